package sip

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"trunkline/gateway"
)

// server reads the files of a listener. Its certificate is read again when it
// changes.
func (t *TLS) server() (*tls.Config, error) {
	if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
		return nil, fmt.Errorf("sip: reading certificate %q and key %q: %w", t.Cert, t.Key, err)
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: (&gateway.Certificate{Cert: t.Cert, Key: t.Key}).Get}
	if t.CA != "" {
		pool, err := authorities(t.CA)
		if err != nil {
			return nil, err
		}
		conf.ClientCAs, conf.ClientAuth = pool, tls.RequireAndVerifyClientCert
	}
	return conf, nil
}

// client reads the files of a trunk; host is whom we connect to. t may be nil.
func (t *TLS) client(host string) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if t == nil {
		return conf, nil
	}
	conf.InsecureSkipVerify = t.Insecure
	if t.ServerName != "" {
		conf.ServerName = t.ServerName
	}
	if t.Cert != "" || t.Key != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("sip: reading certificate %q and key %q: %w", t.Cert, t.Key, err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	if t.CA != "" {
		pool, err := authorities(t.CA)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = pool
	}
	return conf, nil
}

func authorities(name string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("sip: reading authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("sip: %q holds no certificate in PEM", name)
	}
	return pool, nil
}
