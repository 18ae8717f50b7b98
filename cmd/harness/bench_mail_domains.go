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
// otherwise arithmetic would hide the difference.
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
		return l.rate(ctx, b.warm/2, b.duration/2)
	}
	bad := [...]string{s.address, slow.listener.Addr().String(), dead[0]} // good, slow, dead
	var sums [len(bad)]float64
	for range domainRounds {
		for i, address := range bad {
			rate, err := measure(address)
			if err != nil {
				return nil, err
			}
			sums[i] += rate / domainRounds
		}
	}
	const fair = float64(destinations+1) / destinations // the bad one's own mails are not missed
	f.slow, f.dead = fair*sums[1]/max(sums[0], 1), fair*sums[2]/max(sums[0], 1)
	fmt.Printf("  %d destinations: %.0f/s; with a slow one %.0f/s, with a dead one %.0f/s\n", destinations, sums[0], sums[1], sums[2])
	return nil, nil
}

// domainRounds is how often each of the three is measured, by turns: the machine is not
// always equally fast.
const domainRounds = 4

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
