package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
)

// Errors that an exchange ends with besides those of net/http.
var (
	errTooLarge  = errors.New("it is too large")
	errUpgrade   = errors.New("the server switches to another protocol")
	errRedirects = errors.New("the server redirects too often")
	errDowngrade = errors.New("the server redirects from https to http")
	errLocation  = errors.New("the server redirects to an address that cannot be used")
)

// classify names the failure that an error is. ctx is the attempt's.
func classify(ctx context.Context, err error) Failure {
	var refused *RefusedError
	var dns *net.DNSError
	var network net.Error
	switch {
	case errors.As(err, &refused):
		return FailureRefused
	case errors.Is(err, errTooLarge):
		return FailureTooLarge
	case errors.Is(err, errRedirects), errors.Is(err, errDowngrade), errors.Is(err, errLocation):
		return FailureRedirect
	case ctx.Err() != nil:
		return FailureTimeout
	case errors.As(err, &dns):
		return FailureDNS
	case errors.As(err, &network) && network.Timeout():
		return FailureTimeout
	case unproven(err):
		return FailureTLS
	}
	return FailureConnection
}

// unproven says that a connection failed because of a certificate or of TLS
// itself; another attempt would end the same.
func unproven(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &certificate) || errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &authority) ||
		errors.As(err, &name) || errors.As(err, &invalid) || errors.Is(err, http.ErrSchemeMismatch)
}

// detail tells people about an error. Errors of net/http that may repeat what
// the server sent are not shown.
func detail(err error) string {
	var refused *RefusedError
	var dns *net.DNSError
	var op *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &refused):
		return cut(refused.Error())
	case errors.Is(err, errRedirects), errors.Is(err, errDowngrade), errors.Is(err, errLocation), errors.Is(err, errUpgrade):
		return cut(err.Error())
	case errors.As(err, &dns):
		return cut("looking up " + dns.Name + ": " + dns.Err)
	case errors.As(err, &certificate):
		return cut(certificate.Error())
	case errors.As(err, &op) && op.Err != nil:
		return cut(op.Op + ": " + op.Err.Error())
	}
	return ""
}

// usual is the detail where an error gives none.
func usual(f Failure) string {
	switch f {
	case FailureTimeout:
		return "no whole answer came in time"
	case FailureConnection:
		return "the connection broke, or what came was no HTTP"
	case FailureTLS:
		return "the server does not speak TLS as it should"
	}
	return ""
}

// cut bounds a text for people, in runes.
func cut(s string) string {
	const most = 200
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i]
		}
	}
	return s
}
