package main

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"trunkline/gateway"
	"trunkline/gateway/smtp/compose"
	"trunkline/gateway/smtp/outbound"
)

// signLimit is how many mails per second this machine can sign with RSA-2048 and
// Ed25519, doing nothing else: no gateway that signs as DKIM wants can send more.
func signLimit(d time.Duration) (float64, error) {
	long, short, err := signingKeys()
	if err != nil {
		return 0, err
	}
	sum := sha256.Sum256([]byte("a mail"))
	var n atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for time.Since(began) < d {
				if _, err := rsa.SignPKCS1v15(nil, long, crypto.SHA256, sum[:]); err != nil {
					return
				}
				ed25519.Sign(short, sum[:])
				n.Add(1)
			}
		})
	}
	all.Wait()
	return float64(n.Load()) / time.Since(began).Seconds(), nil
}

func signingKeys() (*rsa.PrivateKey, ed25519.PrivateKey, error) {
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, err
	}
	_, short, err := ed25519.GenerateKey(rand.Reader)
	return long, short, err
}

// dkimKeys writes one key of each kind into a folder.
func dkimKeys(dir string) (keys []outbound.Key, err error) {
	long, short, err := signingKeys()
	if err != nil {
		return nil, err
	}
	for name, key := range map[string]any{"rsa": long, "ed": short} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		file := filepath.Join(dir, name+".pem")
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
			return nil, err
		}
		keys = append(keys, outbound.Key{Selector: name, File: file})
	}
	return keys, nil
}

// out measures the transport: mails are composed, signed with both keys and delivered to
// Postfix's smtp-sink.
func (b *mailBench) out(ctx context.Context) (float64, error) {
	s, err := startSink(b.dir, "sink")
	if err != nil {
		fmt.Fprintf(os.Stderr, "\n*** NOTHING IS SENT: %v ***\n\n", err)
		return 0, nil
	}
	defer s.kill()
	keys, err := dkimKeys(b.dir)
	if err != nil {
		return 0, err
	}
	edge, err := outbound.New(outbound.Config{
		Hostname: "mx.example.com", Identities: []outbound.Identity{{Name: "shop", Address: mailAddress}}, TLS: "none",
		Domains:   []outbound.Domain{{Domain: "example.com", DKIM: keys}},
		SmartHost: &outbound.SmartHost{Address: s.address, TLS: "none"}, Connections: outConnections, ConnectionsPerDomain: outConnections,
		MessagesPerConnection: 1000, Queue: 4 * outConnections, ConnectTimeout: patience, IdleTimeout: time.Second, DrainTimeout: time.Second,
	}, outbound.Options{
		Compose:    func(m gateway.Outbound) ([]byte, error) { return compose.Compose(m, compose.Options{}) },
		ReturnPath: func(id string) string { return "b-" + id }, Reference: func(id string) string { return id }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, b.warm+b.duration+patience)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { _ = edge.Run(ctx) })
	defer running.Wait()
	defer cancel()
	var accepted, other atomic.Int64
	places := make(chan struct{}, 2*outConnections)
	sending, stop := context.WithTimeout(ctx, b.warm+b.duration)
	defer stop()
	running.Go(func() { sendAll(sending, edge, places, &accepted, &other) })
	if err := sleep(ctx, b.warm); err != nil {
		return 0, err
	}
	before, began := accepted.Load(), time.Now()
	<-sending.Done()
	rate := float64(accepted.Load()-before) / time.Since(began).Seconds()
	if other.Load() > 0 || rate == 0 {
		return 0, fmt.Errorf("%d mails were delivered to smtp-sink, and %d were not", accepted.Load(), other.Load())
	}
	return rate, nil
}

const outConnections = 32

func sendAll(ctx context.Context, edge *outbound.Edge, places chan struct{}, accepted, other *atomic.Int64) {
	text := strings.Repeat("This is a line of a mail that a shop has written to somebody.\r\n", 12)
	for n := 0; ; n++ {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		m := gateway.Outbound{
			ID: strconv.Itoa(n), Channel: gateway.Email, From: mailAddress, To: fmt.Sprintf("p%d@b.example", n), Text: text,
			Mail: &gateway.Mail{Subject: "size " + strconv.Itoa(n), Composed: time.Now()},
		}
		edge.Send(context.WithoutCancel(ctx), m, func(r gateway.Result) {
			<-places
			switch {
			case r.Fate == gateway.FateAccepted:
				accepted.Add(1)
			case ctx.Err() == nil:
				other.Add(1)
			}
		})
	}
}

// sink is Postfix's smtp-sink, which takes mail and forgets it.
type sink struct {
	*process
	address string
}

func startSink(dir, name string) (*sink, error) {
	path, err := postfixProgram("smtp-sink")
	if err != nil {
		return nil, err
	}
	ports, err := freeAddresses(1)
	if err != nil {
		return nil, err
	}
	args := []string{"-c", ports[0], "1000"}
	if os.Getuid() == 0 {
		args = append([]string{"-u", "postfix"}, args...)
	}
	p, err := start(dir, filepath.Join(dir, name+".log"), path, args...)
	if err != nil {
		return nil, err
	}
	return &sink{p, ports[0]}, listening(p, ports[0])
}

// listening waits until a program answers at an address.
func listening(p *process, address string) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			return c.Close()
		}
		if !p.alive() {
			return fmt.Errorf("%s ended: %s", p.cmd.Path, p.output())
		}
	}
	return fmt.Errorf("%s does not listen at %s: %s", p.cmd.Path, address, p.output())
}

// taken is how many mails the sink says that it took.
func (s *sink) taken() int {
	out := s.output()
	i := strings.LastIndex(out, "mesg=")
	if i < 0 {
		return 0
	}
	fields := strings.Fields(out[i+len("mesg="):])
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(fields[0])
	return n
}

// postfixProgram finds a program of the Debian package postfix.
func postfixProgram(name string) (string, error) {
	for _, dir := range []string{"/usr/sbin/", "/usr/lib/postfix/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("Postfix is not installed (Debian package postfix; its service is not needed)")
}
