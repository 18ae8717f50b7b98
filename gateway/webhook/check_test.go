package webhook

import (
	"net/netip"
	"testing"
)

// What is wrong with the address of a request is found before it is made, unless a
// name hides it.
func TestCheckURLOfConfiguration(t *testing.T) {
	c := Config{AllowPrivate: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	for url, ok := range map[string]bool{
		"https://api.example.org/x":         true,
		"http://10.1.2.3/":                  true,
		"http://10.2.2.3/":                  false,
		"http://127.0.0.1:8080/":            false,
		"http://localhost/":                 false,
		"http://metadata.google.internal/x": false,
		"http://169.254.169.254/latest":     false,
		"http://[::1]/":                     false,
		"http://[::ffff:10.1.2.3]/":         false,
		"http://[64:ff9b::a01:203]/":        false,
		"http://[fe80::1%25eth0]/":          false,
		"http://127.1/":                     false,
		"http://2130706433/":                false,
		"http://0x7f000001/":                false,
		"ftp://api.example.org/":            false,
		"https://user@api.example.org/":     false,
	} {
		if err := c.CheckURL(url); (err == nil) != ok {
			t.Errorf("%s: %v", url, err)
		}
	}
}
