package httpapi

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// Config is the section api of the configuration.
type Config struct {
	Listen       string        `yaml:"listen" default:"" doc:"host:port of the HTTP API, such as 127.0.0.1:8080; \"\" switches it off."`
	TLS          *TLS          `yaml:"tls" doc:"Speak HTTPS. Without it, keys and personal data travel in the clear: put a proxy in front, or listen on 127.0.0.1 only."`
	Keys         []Key         `yaml:"keys" max:"1000" doc:"Who may call. The command trunkline api key makes a key and the lines for it."`
	Secret       string        `yaml:"secret" secret:"true" max:"1000" doc:"Secret from which the tokens of the Flow API's entry points are made, best as ${file:…}; without it they can be called with keys only. At least 16 characters."`
	Rate         int           `yaml:"rate" default:"100" min:"1" max:"100000" doc:"Requests per second for each key, and for each token."`
	Requests     int           `yaml:"requests" default:"64" min:"1" max:"10000" doc:"Requests that are worked on at the same time; more are told to come again."`
	Connections  int           `yaml:"connections" default:"1000" min:"10" max:"100000" doc:"Connections at the same time; further ones are closed."`
	DrainTimeout time.Duration `yaml:"drain_timeout" default:"5s" min:"0s" max:"5m" doc:"How long requests that are being answered may take when the daemon stops."`
}

// TLS is our side of an encrypted connection. The files are read again when they
// change.
type TLS struct {
	Cert string `yaml:"cert" required:"true" doc:"File with our certificate chain (PEM)."`
	Key  string `yaml:"key" required:"true" doc:"File with its private key (PEM)."`
}

// Key is who may call. The key itself is known to its holder only.
type Key struct {
	Name   string  `yaml:"name" required:"true" pattern:"^[A-Za-z0-9._-]{1,64}$" doc:"Name of the key, for the audit log."`
	Hash   string  `yaml:"hash" required:"true" pattern:"^sha256:[0-9a-f]{64}$" doc:"SHA-256 of the key."`
	Scopes []Scope `yaml:"scopes" required:"true" max:"10" enum:"people,events,flows,messages,broadcasts,admin" doc:"What the key may do: people (read, write and erase), events, flows (read, participants), messages (send), broadcasts (make, approve, start, cancel), admin (everything, also start and stop flows)."`
}

// Scope is something that a key may do.
type Scope string

// The scopes. Admin includes all others.
const (
	People     Scope = "people"
	Events     Scope = "events"
	Flows      Scope = "flows"
	Messages   Scope = "messages"
	Broadcasts Scope = "broadcasts"
	Admin      Scope = "admin"
)

// Scopes lists all scopes.
func Scopes() []Scope { return []Scope{People, Events, Flows, Messages, Broadcasts, Admin} }

// FieldError is a fault of the configuration at a path such as keys[0].hash,
// relative to the section.
type FieldError struct {
	Path   string
	Reason string
}

func (e *FieldError) Error() string { return e.Path + ": " + e.Reason }

// Validate returns every fault that the tags of the fields do not tell, joined.
func (c *Config) Validate() error {
	var faults []error
	fault := func(path, format string, args ...any) {
		faults = append(faults, &FieldError{path, fmt.Sprintf(format, args...)})
	}
	if c.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Listen); err != nil {
			fault("listen", "%q is not host:port", c.Listen)
		}
	}
	if c.Secret != "" && len(c.Secret) < 16 {
		fault("secret", "it is shorter than 16 characters; `openssl rand -hex 32` makes a good one")
	}
	if c.TLS != nil {
		if _, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key); err != nil {
			fault("tls", "%v", err)
		}
	}
	names, hashes := map[string]int{}, map[string]int{}
	for i, k := range c.Keys {
		at := fmt.Sprintf("keys[%d]", i)
		if first, ok := names[k.Name]; ok {
			fault(at+".name", "%q is the name of keys[%d] already", k.Name, first)
		}
		names[k.Name] = i
		if first, ok := hashes[k.Hash]; ok && k.Hash != "" {
			fault(at+".hash", "it is the hash of keys[%d] already", first)
		}
		hashes[k.Hash] = i
		if len(k.Scopes) == 0 {
			fault(at+".scopes", "a key without scopes may do nothing; the scopes are people, events, flows, messages, broadcasts and admin")
		}
	}
	return errors.Join(faults...)
}

// keyPrefix marks our keys, so that scanners for leaked secrets find them.
const keyPrefix = "tlk_"

// NewKey makes a key of 256 random bits and the hash to configure.
func NewKey() (key, hash string) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	key = keyPrefix + base64.RawURLEncoding.EncodeToString(b[:])
	sum := sha256.Sum256([]byte(key))
	return key, "sha256:" + hex.EncodeToString(sum[:])
}

func (k *Key) may(s Scope) bool {
	return slices.Contains(k.Scopes, s) || slices.Contains(k.Scopes, Admin)
}

func (k *Key) sum() (sum [32]byte, ok bool) {
	b, err := hex.DecodeString(strings.TrimPrefix(k.Hash, "sha256:"))
	return [32]byte(append(b, make([]byte, 32)...)), err == nil && len(b) == len(sum)
}
