package smtp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"trunkline/gateway"
)

// instant is a core that keeps nothing.
type instant struct{ gateway.Core }

func (instant) Inbound(_ gateway.Inbound, done func(error)) { done(nil) }

// BenchmarkInbound is the edge's own part of a mail of 1 KiB, over loopback, with a
// peer that pipelines.
func BenchmarkInbound(b *testing.B) {
	c := defaults()
	c.MaxConnections, c.MaxConnectionsPerAddress, c.Rate = 1000, 1000, 1_000_000
	e, err := New(c, Options{Log: slog.New(slog.DiscardHandler), Core: instant{}, Mailbox: func(string) (string, bool) { return "shop@example.com", true }})
	if err != nil {
		b.Fatal(err)
	}
	if err := e.Listen(b.Context()); err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	defer func() { stop(); <-ended }()
	e.limiter.perMinute = 1 << 40
	mail := "From: Ana <ana@b.example>\r\nTo: shop@example.com\r\nSubject: START\r\nMessage-ID: <1@b.example>\r\nDate: Wed, 25 Nov 2026 09:14:00 +0000\r\n\r\n" +
		strings.Repeat("This is a line of a mail that somebody has written to a shop.\r\n", 14) + ".\r\n"
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		conn, err := net.Dial("tcp", e.listeners[0].Addr().String())
		if err != nil {
			b.Error(err)
			return
		}
		defer conn.Close()
		r := bufio.NewReader(conn)
		hear := func(n int) {
			for range n {
				if _, err := r.ReadSlice('\n'); err != nil {
					b.Error(err)
				}
			}
		}
		hear(1)
		fmt.Fprint(conn, "HELO x\r\n")
		hear(1)
		for pb.Next() && !b.Failed() {
			_, _ = io.WriteString(conn, "MAIL FROM:<ana@b.example>\r\nRCPT TO:<shop@example.com>\r\nDATA\r\n")
			hear(3)
			_, _ = io.WriteString(conn, mail)
			hear(1)
		}
	})
}
