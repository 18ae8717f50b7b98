package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"trunkline/gateway"
	"trunkline/gateway/smtp/outbound"
)

// outVector is a message that the transport is given as it is, whatever composed it.
type outVector struct{ name, message string }

func vectorsOut() (all []outVector) {
	for _, end := range ends {
		all = append(all, outVector{fmt.Sprintf("%q in the body", end), "From: shop@example.com\r\nSubject: one\r\n\r\nx" + end + second(0)})
		all = append(all, outVector{fmt.Sprintf("%q in the header", end), "From: shop@example.com\r\nSubject: one" + end + second(0) + "\r\n\r\nx\r\n"})
	}
	for _, m := range []struct{ name, message string }{
		{"the real end in the body", "Subject: one\r\n\r\nx\r\n.\r\n" + second(0)},
		{"it begins with the end", ".\r\n" + second(0)},
		{"it ends with a full stop", "Subject: one\r\n\r\nx\r\n."},
		{"it ends within CR LF", "Subject: one\r\n\r\nx\r\n.\r"},
		{"it has nothing but full stops", strings.Repeat(".\r\n", 50)},
	} {
		all = append(all, outVector{m.name, m.message})
	}
	return all
}

// play sends the message to a server that writes everything down.
func (v *outVector) play(ctx context.Context, _ string) (answer string, mails int, problem string) {
	h, err := newHearer()
	if err != nil {
		return "", 0, err.Error()
	}
	defer h.close()
	edge, err := outbound.New(outbound.Config{
		Hostname: "mx.example.com", Identities: []outbound.Identity{{Name: "shop", Address: mailAddress}}, TLS: "none",
		SmartHost:   &outbound.SmartHost{Address: h.address(), TLS: "none"},
		Connections: 1, ConnectionsPerDomain: 1, MessagesPerConnection: 1, Queue: 10, ConnectTimeout: patience, DrainTimeout: time.Second,
	}, outbound.Options{
		Compose:    func(gateway.Outbound) ([]byte, error) { return []byte(v.message), nil },
		ReturnPath: func(string) string { return "b-x" }, Reference: func(id string) string { return id }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return "", 0, err.Error()
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { _ = edge.Run(ctx) })
	results := make(chan gateway.Result, 1)
	edge.Send(ctx, gateway.Outbound{ID: "1", Channel: gateway.Email, From: mailAddress, To: "ana@b.example", Mail: &gateway.Mail{Subject: "one"}}, func(r gateway.Result) { results <- r })
	select {
	case r := <-results:
		answer = [...]string{"accepted", "again later", "refused", "expired", "in doubt"}[r.Fate] + " " + r.Code
	case <-ctx.Done():
		problem = "it was not answered"
	}
	cancel()
	running.Wait()
	h.close()
	mails, heard := h.verdict()
	if problem == "" {
		problem = heard
	}
	if strings.HasPrefix(answer, "accepted") && mails != 1 && problem == "" {
		problem = fmt.Sprintf("%d messages arrived", mails)
	}
	return answer, mails, problem
}

// hearer is a mail server that takes everything, and the strictest one in what it
// calls the end of a line.
type hearer struct {
	l    net.Listener
	done sync.WaitGroup

	mu       sync.Mutex
	mails    int
	problems []string
}

func newHearer() (*hearer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &hearer{l: l}
	h.done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.done.Go(func() { h.serve(c) })
		}
	})
	return h, nil
}

func (h *hearer) address() string { return h.l.Addr().String() }

func (h *hearer) close() {
	h.l.Close()
	h.done.Wait()
}

func (h *hearer) verdict() (mails int, problem string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mails, strings.Join(h.problems, "; ")
}

func (h *hearer) fault(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.problems = append(h.problems, fmt.Sprintf(format, args...))
}

func (h *hearer) serve(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(c)
	io.WriteString(c, "220 sink\r\n")
	mail := 0
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return
		}
		command := string(bytes.ToUpper(line[:min(4, len(line))]))
		switch command {
		case "EHLO":
			io.WriteString(c, "250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
		case "MAIL":
			if mail++; mail > 1 || !bytes.Contains(line, []byte("<b-x@example.com>")) {
				h.fault("a message of somebody else: %q", line)
			}
			io.WriteString(c, "250 ok\r\n")
		case "DATA":
			io.WriteString(c, "354 go on\r\n")
			if !h.data(r) {
				return
			}
			io.WriteString(c, "250 ok\r\n")
		case "QUIT":
			io.WriteString(c, "221 bye\r\n")
			return
		default:
			io.WriteString(c, "250 ok\r\n")
		}
	}
}

// data reads a message up to CR LF . CR LF and looks at each line.
func (h *hearer) data(r *bufio.Reader) bool {
	for {
		line, err := r.ReadBytes('\n')
		switch {
		case err != nil:
			h.fault("the message broke off")
			return false
		case !bytes.HasSuffix(line, []byte("\r\n")) || bytes.ContainsAny(line[:len(line)-2], "\r\n"):
			h.fault("a CR or LF alone in %q", line)
		case string(line) == ".\r\n":
			h.mu.Lock()
			h.mails++
			h.mu.Unlock()
			return true
		case line[0] == '.' && line[1] != '.':
			h.fault("a full stop is not doubled in %q", line)
		}
	}
}
