package gateway

import (
	"crypto/tls"
	"os"
	"sync"
	"time"
)

// Certificate reads its files again when they change, so that a renewed one is
// used without a restart.
type Certificate struct {
	Cert, Key string

	mu     sync.Mutex
	loaded *tls.Certificate
	at     time.Time // of the newer file
}

// Get implements tls.Config.GetCertificate.
func (c *Certificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var at time.Time
	for _, name := range []string{c.Cert, c.Key} {
		if info, err := os.Stat(name); err == nil && info.ModTime().After(at) {
			at = info.ModTime()
		}
	}
	if c.loaded != nil && at.Equal(c.at) {
		return c.loaded, nil
	}
	loaded, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		if c.loaded != nil { // half of a renewal is there: the old one still works
			return c.loaded, nil
		}
		return nil, err
	}
	c.loaded, c.at = &loaded, at
	return c.loaded, nil
}
