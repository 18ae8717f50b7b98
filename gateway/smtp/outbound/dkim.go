package outbound

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"time"
)

// Key is one key that mail of a domain is signed with (RFC 6376, RFC 8463).
type Key struct {
	Selector string `yaml:"selector" required:"true" pattern:"^[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$" doc:"Name under which the public key is published: SELECTOR._domainkey.DOMAIN."`
	File     string `yaml:"key" required:"true" doc:"File with the private key (PEM): RSA of at least 2048 bits, or Ed25519."`
	Begins   string `yaml:"begins" pattern:"^[0-9]{4}-[0-9]{2}-[0-9]{2}$" doc:"Day from which on it signs in place of older ones, such as 2026-12-01 (UTC), so that it can be published before. Default: now."`
}

// rsaLeast is the shortest RSA key (RFC 8301 §3.2 allows 1024 bits and asks for 2048).
const rsaLeast = 2048

func (k *Key) check(at string, earlier []Key, fault faultFunc) {
	for i := range earlier {
		if earlier[i].Selector == k.Selector && k.Selector != "" {
			fault(at+".selector", "%q is there already", k.Selector)
		}
	}
	if k.File != "" {
		if _, err := readKey(k.File); err != nil {
			fault(at+".key", "%v", err)
		}
	}
	if k.Begins != "" {
		if _, err := time.Parse(time.DateOnly, k.Begins); err != nil {
			fault(at+".begins", "%q is not a day such as 2026-12-01", k.Begins)
		}
	}
}

// readKey reads a private key.
func readKey(name string) (crypto.Signer, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key in PEM", name)
	}
	var key any
	if key, err = x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
		if key, err = x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
			return nil, fmt.Errorf("%s holds no private key of RSA or Ed25519 (PKCS #8 or #1)", name)
		}
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < rsaLeast {
			return nil, fmt.Errorf("%s has %d bits; mail servers want at least %d", name, k.N.BitLen(), rsaLeast)
		}
		k.Precompute()
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, fmt.Errorf("%s is neither RSA nor Ed25519", name)
}

// Record is what has to be published of a key: the name relative to the domain, and the text.
func (k *Key) Record() (name, text string, err error) {
	signer, err := readKey(k.File)
	if err != nil {
		return "", "", err
	}
	name = k.Selector + "._domainkey"
	switch public := signer.Public().(type) {
	case ed25519.PublicKey: // RFC 8463 §4
		return name, "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public), nil
	default: // RFC 6376 §3.6.1
		der, err := x509.MarshalPKIXPublicKey(public)
		return name, "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), err
	}
}
