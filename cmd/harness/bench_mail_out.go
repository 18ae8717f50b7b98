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
	"runtime/pprof"
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
func (b *mailBench) out(ctx context.Context, f *mailFigures) (_ []string, err error) {
	if f.limit, err = signLimit(2 * time.Second); err != nil {
		return nil, err
	}
	s, err := startSink(b.dir, "sink")
	if err != nil {
		fmt.Fprintf(os.Stderr, "\n*** NOTHING IS SENT: %v ***\n\n", err)
		return nil, nil
	}
	defer s.kill()
	keys, err := dkimKeys(b.dir)
	if err != nil {
		return nil, err
	}
	c := transport(outConnections)
	c.Domains = []outbound.Domain{{Domain: "example.com", DKIM: keys}}
	c.SmartHost = &outbound.SmartHost{Address: s.address, TLS: "none"}
	l, err := startOutLoad(ctx, c, 2*outConnections, func(int) string { return "b.example" })
	if err != nil {
		return nil, err
	}
	defer l.end()
	if b.options.profile {
		if err := profileSelf("harness-out.prof", func() error { return sleep(ctx, 5*time.Second) }); err != nil {
			return nil, err
		}
	}
	if f.out, err = l.rate(ctx, b.warm, b.duration); err != nil {
		return nil, err
	}
	fmt.Printf("  out: %.0f/s; the limit of signing is %.0f/s\n", f.out, f.limit)
	if l.other.Load() > 0 || f.out == 0 {
		return []string{fmt.Sprintf("%d mails were delivered to smtp-sink, and %d were not", l.accepted.Load(), l.other.Load())}, nil
	}
	return nil, nil
}

// profileSelf writes a profile of this process, which has the transport, while work goes on.
func profileSelf(file string, work func() error) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return work()
}

const outConnections = 32

// transport is the configuration of mail that goes out, with so many connections.
func transport(connections int) outbound.Config {
	return outbound.Config{
		Hostname: "mx.example.com", Identities: []outbound.Identity{{Name: "shop", Address: mailAddress}}, TLS: "none",
		Connections: connections, ConnectionsPerDomain: connections, MessagesPerConnection: 1000, Queue: 4 * connections,
		ConnectTimeout: patience, IdleTimeout: time.Second, DrainTimeout: time.Second,
	}
}

// outLoad hands mails to the transport in this process, so many at once.
type outLoad struct {
	edge    *outbound.Edge
	places  chan struct{}
	domain  func(n int) string // of the recipient of mail n
	counted func(domain string) bool

	accepted, other atomic.Int64
	stop            context.CancelFunc
	running         sync.WaitGroup
}

func startOutLoad(ctx context.Context, c outbound.Config, places int, domain func(int) string) (*outLoad, error) {
	edge, err := outbound.New(c, outbound.Options{
		Compose:    func(m gateway.Outbound) ([]byte, error) { return compose.Compose(m, compose.Options{}) },
		ReturnPath: func(id string) string { return "b-" + id }, Reference: func(id string) string { return id }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	l := &outLoad{edge: edge, places: make(chan struct{}, places), domain: domain}
	ctx, l.stop = context.WithCancel(ctx)
	l.running.Go(func() { _ = edge.Run(ctx) })
	l.running.Go(func() { l.send(ctx) })
	return l, nil
}

func (l *outLoad) end() {
	l.stop()
	l.running.Wait()
}

// rate is how many mails that count are delivered a second.
func (l *outLoad) rate(ctx context.Context, warm, d time.Duration) (float64, error) {
	if err := sleep(ctx, warm); err != nil {
		return 0, err
	}
	before, began := l.accepted.Load(), time.Now()
	if err := sleep(ctx, d); err != nil {
		return 0, err
	}
	return float64(l.accepted.Load()-before) / time.Since(began).Seconds(), nil
}

func (l *outLoad) send(ctx context.Context) {
	text := strings.Repeat("This is a line of a mail that a shop has written to somebody.\r\n", 12)
	for n := 0; ; n++ {
		select {
		case l.places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		domain := l.domain(n)
		m := gateway.Outbound{
			ID: strconv.Itoa(n), Channel: gateway.Email, From: mailAddress, To: fmt.Sprintf("p%d@%s", n, domain), Text: text,
			Mail: &gateway.Mail{Subject: "size " + strconv.Itoa(n), Composed: time.Now()},
		}
		l.edge.Send(context.WithoutCancel(ctx), m, func(r gateway.Result) {
			<-l.places
			switch {
			case l.counted != nil && !l.counted(domain):
			case r.Fate == gateway.FateAccepted:
				l.accepted.Add(1)
			case ctx.Err() == nil && !r.Untried:
				l.other.Add(1)
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
