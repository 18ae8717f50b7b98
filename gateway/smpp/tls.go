package smpp

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
)

// server reads the files of a listener.
func (t *TLS) server() (*tls.Config, error) {
	conf, err := t.base()
	if err != nil {
		return nil, err
	}
	if t.CA != "" {
		conf.ClientCAs, conf.ClientAuth = conf.RootCAs, tls.RequireAndVerifyClientCert
	}
	return conf, nil
}

// client reads the files of a carrier that we connect to at address.
func (t *TLS) client(address string) (*tls.Config, error) {
	conf, err := t.base()
	if err != nil {
		return nil, err
	}
	conf.InsecureSkipVerify = t.Insecure
	conf.ServerName = t.ServerName
	if conf.ServerName == "" {
		if conf.ServerName, _, err = net.SplitHostPort(address); err != nil {
			return nil, err
		}
	}
	return conf, nil
}

func (t *TLS) base() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.Cert != "" || t.Key != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("smpp: reading certificate %q and key %q: %w", t.Cert, t.Key, err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("smpp: reading authorities: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("smpp: %q holds no certificate in PEM", t.CA)
		}
	}
	return conf, nil
}
