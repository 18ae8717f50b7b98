package webhook

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trunkline/configs/strict"
)

// defaults is the configuration of an empty file.
func defaults(t testing.TB) Config {
	t.Helper()
	var c Config
	if _, err := strict.Decode("http.yaml", []byte("{}"), &c, strict.Options{}); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaultsAreValid(t *testing.T) {
	c := defaults(t)
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if c.Timeout != 10*time.Second || c.Retries != 3 || c.MaxBody != 256<<10 || c.AllowPrivate != nil { // X9
		t.Errorf("timeout %s, retries %d, body %d, private %v", c.Timeout, c.Retries, c.MaxBody, c.AllowPrivate)
	}
}

func TestValidate(t *testing.T) {
	noPEM := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(noPEM, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path   string
		change func(*Config)
	}{
		{"allow_private[0]", func(c *Config) { c.AllowPrivate = []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104")} }},
		{"allow_private[0]", func(c *Config) { c.AllowPrivate = make([]netip.Prefix, 1) }},
		{"timeout", func(c *Config) { c.Timeout = 0 }},
		{"timeout", func(c *Config) { c.Timeout = time.Hour }},
		{"drain_timeout", func(c *Config) { c.DrainTimeout = -1 }},
		{"retries", func(c *Config) { c.Retries = 4 }},
		{"retries", func(c *Config) { c.Retries = -1 }},
		{"concurrency", func(c *Config) { c.Concurrency = 0 }},
		{"concurrency_per_host", func(c *Config) { c.ConcurrencyPerHost = 0 }},
		{"queue", func(c *Config) { c.Queue = 0 }},
		{"queue_per_host", func(c *Config) { c.QueuePerHost = 0 }},
		{"max_body", func(c *Config) { c.MaxBody = 256<<10 + 1 }},
		{"user_agent", func(c *Config) { c.UserAgent = "a\r\nb: c" }},
		{"proxy", func(c *Config) { c.Proxy = "ftp://secret@proxy:21" }},
		{"proxy", func(c *Config) { c.Proxy = "http://secret@proxy/path" }},
		{"proxy", func(c *Config) { c.Proxy = "secret" }},
		{"ca", func(c *Config) { c.CA = filepath.Join(t.TempDir(), "missing") }},
		{"ca", func(c *Config) { c.CA = noPEM }},
	} {
		c := defaults(t)
		tt.change(&c)
		err := c.Validate()
		var f *FieldError
		if !errors.As(err, &f) || f.Path != tt.path || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", tt.path, err)
		}
		if _, err := New(c, Options{}); err == nil {
			t.Errorf("%s: New took it", tt.path)
		}
	}
}

func TestEndpointFile(t *testing.T) {
	var e Endpoint
	good := "endpoint: crm\nurl: https://crm.example/hook\nsecrets: [" + vectorSecret + "]\nevents: [run.*]\n"
	if _, err := strict.Decode("crm.yaml", []byte(good), &e, strict.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := e.Validate(); err != nil || e.Secrets[0].Reveal() != vectorSecret {
		t.Errorf("%v, %v", err, e)
	}
	bad := strings.ReplaceAll(good, "whsec_", "whsek_")
	if _, err := strict.Decode("crm.yaml", []byte(bad), &e, strict.Options{}); err == nil || !strings.Contains(err.Error(), "whsec_") {
		t.Errorf("a secret without its prefix: %v", err)
	} else if strings.Contains(err.Error(), "MfKQ9r8G") {
		t.Errorf("the error shows the secret: %v", err)
	}
}
