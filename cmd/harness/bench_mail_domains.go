package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"trunkline/gateway/smtp/outbound"
)

// destinations is among how many domains one is bad.
const destinations = 1000

// slowReply is how long the slow server thinks about each command.
const slowReply = 500 * time.Millisecond

// domains measures what a slow and a dead domain do to a thousand others. Each mail goes
// to the next domain, so the bad one gets its share; mails are not signed, since
// otherwise arithmetic would hide the difference. The order is good, slow, good, dead:
// each is compared with the good one before it.
func (b *mailBench) domains(ctx context.Context, f *mailFigures) ([]string, error) {
	s, err := startSink(b.dir, "domains-sink")
	if err != nil {
		return nil, err
	}
	defer s.kill()
	slow, err := startSlowServer()
	if err != nil {
		return nil, err
	}
	defer slow.close()
	dead, err := freeAddresses(1)
	if err != nil {
		return nil, err
	}
	measure := func(bad string) (float64, error) {
		c := transport(200)
		c.ConnectionsPerDomain, c.Queue = 10, 1000
		for n := range destinations {
			c.Destinations = append(c.Destinations, outbound.Destination{Domain: domainName(n), Route: s.address})
		}
		c.Destinations = append(c.Destinations, outbound.Destination{Domain: "bad.example", Route: bad})
		l, err := startOutLoad(ctx, c, 1000, func(n int) string {
			if n %= destinations + 1; n < destinations {
				return domainName(n)
			}
			return "bad.example"
		})
		if err != nil {
			return 0, err
		}
		defer l.end()
		return l.rate(ctx, b.warm, b.duration)
	}
	for _, c := range []struct {
		share   *float64
		name    string
		address string
	}{{&f.slow, "slow", slow.listener.Addr().String()}, {&f.dead, "dead", dead[0]}} {
		good, err := measure(s.address)
		if err != nil {
			return nil, err
		}
		bad, err := measure(c.address)
		if err != nil {
			return nil, err
		}
		fmt.Printf("  %d destinations: %.0f/s; with a %s one %.0f/s\n", destinations, good, c.name, bad)
		*c.share = bad / max(good, 1) * (destinations + 1) / destinations // the bad one's own mails are not missed
	}
	return nil, nil
}

func domainName(n int) string { return fmt.Sprintf("d%d.example", n) }

// slowServer takes mail, and lets everybody wait for each answer.
type slowServer struct {
	listener net.Listener
	serving  sync.WaitGroup
	ended    chan struct{}
}

func startSlowServer() (*slowServer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &slowServer{listener: l, ended: make(chan struct{})}
	s.serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.serving.Go(func() { s.talk(c) })
		}
	})
	return s, nil
}

func (s *slowServer) close() {
	close(s.ended)
	s.listener.Close()
	s.serving.Wait()
}

func (s *slowServer) talk(c net.Conn) {
	defer c.Close()
	done := make(chan struct{})
	defer close(done)
	s.serving.Go(func() {
		select {
		case <-s.ended:
			c.Close()
		case <-done:
		}
	})
	say := func(text string) { time.Sleep(slowReply); fmt.Fprint(c, text+"\r\n") }
	say("220 slow")
	text := false
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		verb := strings.ToUpper(lines.Text())
		switch {
		case text && verb != ".":
		case text:
			text = false
			say("250 taken")
		case strings.HasPrefix(verb, "DATA"):
			text = true
			say("354 go ahead")
		case strings.HasPrefix(verb, "QUIT"):
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}
