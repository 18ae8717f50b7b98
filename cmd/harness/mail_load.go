package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// mailLoad hands mails over on several connections, each as fast as it is answered.
// A connection stays open, envelope and content go out in two packets, as PIPELINING
// allows (RFC 2920), and every mail is from somebody else.
type mailLoad struct {
	address string
	size    int // octets of a mail, about
	serial  atomic.Int64

	accepted, refused, broken atomic.Int64
}

// refusedPause is how soon a peer comes back that was turned away: mail servers take half
// an hour (RFC 5321 §4.5.4.1).
const refusedPause = 250 * time.Millisecond

// run keeps so many connections busy until ctx ends.
func (l *mailLoad) run(ctx context.Context, connections int) {
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			for ctx.Err() == nil {
				if err := l.connection(ctx); err != nil && ctx.Err() == nil {
					l.broken.Add(1)
					_ = sleep(ctx, 10*time.Millisecond)
				}
			}
		})
	}
	all.Wait()
}

// rate is how many mails a second are accepted while d passes, after warm.
func (l *mailLoad) rate(ctx context.Context, connections int, warm, d time.Duration) (float64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { l.run(ctx, connections) })
	defer running.Wait()
	defer cancel()
	if err := sleep(ctx, warm); err != nil {
		return 0, err
	}
	before, began := l.accepted.Load(), time.Now()
	if err := sleep(ctx, d); err != nil {
		return 0, err
	}
	return float64(l.accepted.Load()-before) / time.Since(began).Seconds(), nil
}

// best tries several numbers of connections for a short time each.
func (l *mailLoad) best(ctx context.Context, who string) (connections int, err error) {
	if len(crowds) == 1 {
		return crowds[0], nil
	}
	top := -1.0
	for _, n := range crowds {
		r, err := l.rate(ctx, n, time.Second, 2*time.Second)
		if err != nil {
			return 0, err
		}
		fmt.Printf("  %-10s %4d connections: %6.0f mails/s\n", who, n, r)
		if r > top {
			top, connections = r, n
		}
	}
	return connections, nil
}

// connection hands mails over on one connection. A refusal of the connection is
// counted and no error.
func (l *mailLoad) connection(ctx context.Context) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", l.address)
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.SetReadDeadline(time.Now().Add(time.Second)) })
	defer stop()
	r := bufio.NewReaderSize(c, 1<<10)
	answer, err := readReply(r)
	if err != nil || !strings.HasPrefix(answer, "220") {
		l.refused.Add(1)
		return sleep(ctx, refusedPause)
	}
	if _, err := io.WriteString(c, "EHLO peer.example\r\n"); err != nil {
		return err
	}
	if _, err := readReply(r); err != nil {
		return err
	}
	text := strings.Repeat("This is a line of a mail that somebody has written to a shop.\r\n", max(1, l.size/63))[:max(2, l.size-250)]
	for ctx.Err() == nil {
		ok, err := l.mail(c, r, text)
		switch {
		case err != nil:
			return err
		case ok:
			l.accepted.Add(1)
		default:
			l.refused.Add(1)
		}
	}
	_, err = io.WriteString(c, "QUIT\r\n")
	return err
}

func (l *mailLoad) mail(c net.Conn, r *bufio.Reader, text string) (ok bool, err error) {
	n := l.serial.Add(1)
	if _, err := fmt.Fprintf(c, "MAIL FROM:<p%d@b.example>\r\nRCPT TO:<%s>\r\nDATA\r\n", n, mailAddress); err != nil {
		return false, err
	}
	for range 3 {
		answer, err := readReply(r)
		if err != nil {
			return false, err
		}
		if answer[0] != '2' && answer[0] != '3' {
			return false, nil
		}
	}
	if _, err := fmt.Fprintf(c, "From: <p%d@b.example>\r\nTo: <%s>\r\nSubject: size %d\r\nMessage-ID: <%d@b.example>\r\nDate: Wed, 25 Nov 2026 09:14:00 +0000\r\n\r\n%s\r\n.\r\n", n, mailAddress, n, n, text); err != nil {
		return false, err
	}
	answer, err := readReply(r)
	return strings.HasPrefix(answer, "250"), err
}
