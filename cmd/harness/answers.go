package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
)

// answers is the application behind Kannel: over HTTP it gives the text that
// answers a keyword, asks for its delivery report, and takes the report. It keeps
// nothing, and speaks no more of HTTP/1.1 than Kannel's client needs, so that it
// takes as little of the machine as it can.
type answers struct {
	listener net.Listener
	load     *load
	given    atomic.Int64 // answers
	told     atomic.Int64 // reports of delivery that arrived here
}

// reportMask asks Kannel to hand on whether a message was delivered or failed
// (user guide, table of DLR masks). With 31 it would also call when the message
// centre takes the message: one more request for each.
const reportMask = 3

func newAnswers(ld *load) (*answers, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &answers{listener: l, load: ld}, nil
}

// service is how Kannel's configuration names the application. %p is the sender,
// %r the text behind the keyword.
func (a *answers) service() string {
	return fmt.Sprintf(`get-url = "http://%s/answer/%%p/%%r"
accept-x-kannel-headers = true`, a.listener.Addr())
}

// owed is how many reports Kannel has yet to hand on.
func (a *answers) owed() int { return int(a.given.Load() - a.told.Load()) }

// run serves until ctx ends.
func (a *answers) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { <-ctx.Done(); a.listener.Close() })
	for {
		c, err := a.listener.Accept()
		if err != nil {
			return
		}
		done := make(chan struct{})
		all.Go(func() {
			select {
			case <-ctx.Done():
			case <-done:
			}
			c.Close()
		})
		all.Go(func() { defer close(done); a.serve(c) })
	}
}

// serve answers the requests of a connection, one after the other.
func (a *answers) serve(c net.Conn) {
	in := bufio.NewReader(c)
	var out []byte
	for {
		path, err := readRequest(in)
		if err != nil {
			return
		}
		if out, err = a.respond(out[:0], path); err != nil {
			a.load.book.violate("Kannel asked for %q: %v", path, err)
			return
		}
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

// readRequest reads a request without a body and returns its path, which is
// valid until the next one.
func readRequest(in *bufio.Reader) (path []byte, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	fields := bytes.Fields(line)
	if len(fields) != 3 || string(fields[0]) != "GET" {
		return nil, errors.New("no GET request")
	}
	path = bytes.Clone(fields[1])
	for len(bytes.TrimSpace(line)) > 0 {
		if line, err = in.ReadSlice('\n'); err != nil {
			return nil, err
		}
	}
	return path, nil
}

// respond takes /answer/<sender>/<size> and /delivered/<sender>/<state>.
func (a *answers) respond(out, path []byte) ([]byte, error) {
	parts := bytes.Split(path, []byte("/"))
	if len(parts) != 4 {
		return nil, errors.New("no such path")
	}
	n, ok := messageOf(bytes.TrimPrefix(parts[2], []byte("%2B")))
	if !ok {
		return nil, errors.New("no sender of ours")
	}
	switch string(parts[1]) {
	case "answer":
		if string(parts[3]) != strconv.Itoa(shoeSize(n)) {
			return nil, errors.New("not what the sender wrote")
		}
		a.given.Add(1)
		var room [64]byte
		text := appendReply(room[:0], n)
		return fmt.Appendf(out, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Kannel-DLR-Mask: %d\r\nX-Kannel-DLR-Url: http://%s/delivered/%s/%%d\r\nContent-Length: %d\r\n\r\n%s",
			reportMask, a.listener.Addr(), parts[2], len(text), text), nil
	case "delivered":
		if string(parts[3]) != "1" { // delivered to the phone
			return nil, errors.New("not the state that was reported")
		}
		a.told.Add(1)
		return append(out, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n"...), nil
	}
	return nil, errors.New("no such path")
}
