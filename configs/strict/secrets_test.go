package strict

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func testSecrets() *Secrets {
	env := map[string]string{"USER": "gw", "PIN": "0042", "N": "5", "FLAG": "true", "WAIT": "3h", "EMPTY": ""}
	return &Secrets{
		Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		File: func(path string) ([]byte, error) {
			if path != "keys/pw" {
				return nil, os.ErrNotExist
			}
			return []byte("s3cr3t: &x\r\n"), nil
		},
	}
}

func TestSecrets(t *testing.T) {
	type target struct {
		User  string        `yaml:"user"`
		Pass  string        `yaml:"pass"`
		PIN   string        `yaml:"pin"`
		URL   string        `yaml:"url"`
		N     int           `yaml:"n"`
		Flag  bool          `yaml:"flag"`
		Wait  time.Duration `yaml:"wait"`
		Plain string        `yaml:"plain"`
		List  []string      `yaml:"list"`
	}
	const file = `user: ${env:USER}
pass: "${file:keys/pw}"
pin: ${env:PIN}
url: smtp://${env:USER}:${env:PIN}@host
n: ${env:N}
flag: ${env:FLAG}
wait: ${env:WAIT}
plain: $${env:USER} $5 {}
list: ["${env:EMPTY}"]
`
	var got target
	doc, err := Decode("f", []byte(file), &got, Options{Secrets: testSecrets()})
	if err != nil {
		t.Fatal(err)
	}
	want := target{"gw", "s3cr3t: &x", "0042", "smtp://gw:0042@host", 5, true, 3 * time.Hour, "${env:USER} $5 {}", []string{""}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	canonical, _ := Canonical(doc) // which is stored and shown
	if strings.Contains(string(canonical), "s3cr3t") || !strings.Contains(string(canonical), "${file:keys/pw}") {
		t.Errorf("canonical: %s", canonical)
	}
	var text struct {
		Plain string `yaml:"plain"`
	}
	if _, err := Decode("f", []byte(`plain: ${inbound.text}`), &text, Options{}); err != nil || text.Plain != "${inbound.text}" {
		t.Errorf("without secrets: %q, %v", text.Plain, err)
	}
}

// What is missing is an error at its place; what is filled in is never shown.
func TestSecretErrors(t *testing.T) {
	const file = `name: ${env:PIN}
note: "${env:NONE} ${file:none}"
count: ${file:keys/pw}
wait: ${env:PIN}
mode: ${env:PIN}
address: ${file:keys/pw}
link: {host: "${PIN}", port: "${env:N"}
`
	want := []string{
		`f:1:7: name: "${env:PIN}" does not fit (Name in small letters)`,
		`f:2:7: note: ${env:NONE}: the environment has no variable "NONE"; ${file:none}: file does not exist`,
		`f:3:8: count: "${file:keys/pw}" is not a whole number`,
		`f:4:7: wait: "${env:PIN}" is not a duration (write it as 90s, 15m, 24h, 7d or 1d12h)`,
		`f:5:7: mode: "${env:PIN}" is none of whole, first_word`,
		`f:6:10: address: what is filled in does not fit`,
		`f:7:14: host: ${PIN} is neither ${env:NAME} nor ${file:path}; write $${PIN} for the text itself`,
		`f:7:30: port: ${env:N is not closed with }`,
	}
	var into sample
	_, err := Decode("f", []byte(file), &into, Options{Secrets: testSecrets()})
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Errorf("got\n%v\nwant\n%s", err, strings.Join(want, "\n"))
	}
}

func TestSystemSecrets(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pw"), []byte("x y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "large"), make([]byte, maxSecret+1), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TRUNKLINE_TEST", "z")
	var got struct {
		A string `yaml:"a"`
		B string `yaml:"b"`
	}
	secrets := SystemSecrets(filepath.Join(dir, "trunkline.yaml"))
	if _, err := Decode("f", []byte("a: ${file:pw}\nb: ${env:TRUNKLINE_TEST}"), &got, Options{Secrets: secrets}); err != nil || got.A != "x y" || got.B != "z" {
		t.Errorf("%+v, %v", got, err)
	}
	const want = `f:1:4: a: ${file:large}: the file has more than 65536 bytes`
	if _, err := Decode("f", []byte("a: ${file:large}"), &got, Options{Secrets: secrets}); err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

// A key that is secret by its tag is not repeated, wherever the error is shown.
func TestSecretTag(t *testing.T) {
	var into struct {
		Password string `yaml:"password" secret:"true" pattern:"^[a-z]+$"`
	}
	for file, want := range map[string]string{
		"password: 12345678": "f:1:11: password: what is written there is not text (put it in quotes)",
		"password: Hunter2!": "f:1:11: password: what is written there does not fit (it has to match ^[a-z]+$)",
	} {
		_, err := Decode("f", []byte(file), &into, Options{})
		if all, ok := err.(Errors); !ok || all.Report() != want+"\n" || all[0].Text != "" {
			t.Errorf("%v", err)
		}
	}
}
