package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

// answerFlow answers each mail. A transactional message whose fate is open goes out again
// (rule X2), so none may be lost.
var answerFlow = strings.Replace(queueFlow, "flow: load\n", "flow: load\nsettings: {category: transactional}\n", 1)

// mailCrash kills the daemon while mails come in and answers go out, and then accounts for
// each of them.
type mailCrash struct {
	*options
	n, kills int
	seed     uint64
	rate     float64
}

func crashMail(o *options) runner {
	c := &mailCrash{options: o}
	o.flags.IntVar(&c.n, "n", 10_000, "mails that come in, each of which is answered")
	o.flags.IntVar(&c.kills, "kills", 12, "how often the daemon is killed, at least")
	o.flags.Uint64Var(&c.seed, "seed", 0, "of the moments of the kills; 0: a new one")
	o.flags.Float64Var(&c.rate, "rate", 800, "mails per second that come in")
	return c.run
}

func (c *mailCrash) run(ctx context.Context) error {
	if c.seed == 0 {
		c.seed = uint64(time.Now().UnixNano())
	}
	fmt.Printf("seed %d\n", c.seed)
	box, err := startAnswered()
	if err != nil {
		return err
	}
	defer box.close()
	s, err := newMailSite(c.options, nil)
	if err != nil {
		return err
	}
	if err := s.answers(answerFlow, box.address()); err != nil {
		return err
	}
	if err := s.limit("channel: email, duplicate_window: 0s", "channel: email, duplicate_window: 1h"); err != nil {
		return err
	}
	var writing sync.WaitGroup
	w := &persistent{address: s.smtp, n: c.n, rate: c.rate, began: time.Now()}
	writers, stop := context.WithCancel(ctx)
	defer writing.Wait()
	defer stop()
	for range 16 {
		writing.Go(func() { w.run(writers) })
	}
	kills, err := c.killWhile(ctx, s, func() bool { return box.answered() >= c.n })
	if err != nil {
		return err
	}
	p, _, err := s.startReady(ctx)
	if err != nil {
		return err
	}
	defer p.kill()
	_ = until(ctx, time.Minute, func() bool { return int(w.accepted.Load()) >= c.n && box.answered() >= c.n })
	if err := sleep(ctx, 2*time.Second); err != nil { // what comes twice comes now
		return err
	}
	problems := box.judge(c.n, kills)
	st, err := s.show(ctx)
	if err != nil {
		return err
	}
	if int(st.Entered) != c.n || int(w.accepted.Load()) != c.n {
		problems = append(problems, fmt.Sprintf("%d mails were acknowledged, and %d are there, of %d", w.accepted.Load(), st.Entered, c.n))
	}
	if err := p.stop(time.Minute); err != nil {
		problems = append(problems, err.Error())
	}
	differences, err := recount(s.data())
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KILLS\tMAILS IN\tTRIED AGAIN\tANSWERS\tLOST\tTWICE\tOTHER MESSAGE-ID")
	fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%d\t%d\t%d\n", len(kills), w.accepted.Load(), w.again.Load(), box.answered(), box.lost, box.twice, box.other)
	t.Flush()
	fmt.Printf("RESULT kills=%d accepted=%d lost=%d duplicated=%d other_id=%d recount_ok=%t\n", len(kills), w.accepted.Load(), box.lost, box.twice, box.other, len(differences) == 0)
	return failure(append(problems, differences...))
}

// killWhile kills the daemon at random moments, as often as it is told to and until all is
// done. One in five falls into the start. It returns when that was.
func (c *mailCrash) killWhile(ctx context.Context, s *mailSite, done func() bool) (kills []killed, err error) {
	r := rand.New(rand.NewPCG(c.seed, 0))
	for len(kills) < c.kills || !done() {
		p, err := s.start()
		if err != nil {
			return nil, err
		}
		moment := time.Duration(r.Int64N(int64(1500 * time.Millisecond)))
		if r.IntN(5) == 0 {
			moment /= 4
		} else if _, err := s.ready(ctx, p); err != nil {
			p.kill()
			return nil, fmt.Errorf("after kill %d: %w", len(kills), err)
		}
		err = sleep(ctx, moment)
		alive := p.alive()
		k := killed{from: time.Now()}
		p.kill()
		k.to = time.Now()
		kills = append(kills, k)
		switch {
		case err != nil:
			return nil, err
		case !alive:
			return nil, fmt.Errorf("the daemon ended by itself after kill %d: %w\n%s", len(kills), errors.Join(p.err), p.output())
		case len(kills) > 20*c.kills:
			return nil, fmt.Errorf("after %d kills not everything is answered", len(kills))
		}
	}
	return kills, nil
}

// killed is when the daemon was killed: not before from, and gone at to.
type killed struct{ from, to time.Time }

// persistent hands n mails over, each until it is acknowledged, as a mail server does.
type persistent struct {
	address string
	n       int
	rate    float64
	began   time.Time

	next, accepted, again atomic.Int64
}

func (w *persistent) run(ctx context.Context) {
	for ctx.Err() == nil {
		i := int(w.next.Add(1)) - 1
		if i >= w.n {
			return
		}
		_ = sleep(ctx, time.Until(w.began.Add(time.Duration(float64(i)/w.rate*float64(time.Second)))))
		for ctx.Err() == nil && w.hand(i) != nil {
			w.again.Add(1)
			_ = sleep(ctx, 20*time.Millisecond)
		}
		w.accepted.Add(1)
	}
}

func (w *persistent) hand(i int) error {
	c, err := net.DialTimeout("tcp", w.address, time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(c)
	for _, step := range []struct{ say, want string }{
		{"", "220"},
		{"EHLO peer.example\r\n", "250"},
		{fmt.Sprintf("MAIL FROM:<p%d@b.example>\r\n", i), "250"},
		{"RCPT TO:<" + mailAddress + ">\r\n", "250"},
		{"DATA\r\n", "354"},
		{fmt.Sprintf("From: <p%d@b.example>\r\nSubject: n%d\r\nMessage-ID: <%d@b.example>\r\nDate: Wed, 25 Nov 2026 09:14:00 +0000\r\n\r\nHello\r\n.\r\n", i, i, i), "250"},
	} {
		if _, err := io.WriteString(c, step.say); err != nil {
			return err
		}
		if answer, err := readReply(r); err != nil || !strings.HasPrefix(answer, step.want) {
			return fmt.Errorf("%q: %w", answer, err)
		}
	}
	return nil
}

// answered is a server that takes the answers and notes when each came.
type answered struct {
	l      net.Listener
	server *gosmtp.Server
	ended  chan struct{}

	mu               sync.Mutex
	copies           map[int][]arrival
	lost, twice      int
	other, elsewhere int
}

type arrival struct {
	at time.Time
	id string
}

func startAnswered() (*answered, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &answered{l: l, ended: make(chan struct{}), copies: map[int][]arrival{}}
	b.server = gosmtp.NewServer(gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) { return answeredSession{b}, nil }))
	b.server.ErrorLog = log.New(io.Discard, "", 0) // connections that broke are the daemon's deaths
	go func() { defer close(b.ended); _ = b.server.Serve(l) }()
	return b, nil
}

func (b *answered) address() string { return b.l.Addr().String() }

func (b *answered) close() {
	_ = b.server.Close()
	<-b.ended
}

func (b *answered) answered() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.copies)
}

// inFlight is how long before a kill a server may have said 250 without that being durable.
const inFlight = 2 * time.Second

// judge accounts for all. What came twice has the same Message-ID, and its first copy came
// right before a kill.
func (b *answered) judge(n int, kills []killed) (problems []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range n {
		all := b.copies[i]
		if len(all) == 0 {
			b.lost++
			continue
		}
		for k, a := range all[1:] {
			b.twice++
			if a.id != all[0].id {
				b.other++
			}
			first := all[k].at
			if !slices.ContainsFunc(kills, func(k killed) bool {
				return first.Before(k.to) && k.from.Sub(first) < inFlight && a.at.After(k.from)
			}) {
				b.elsewhere++
			}
		}
	}
	if b.lost > 0 {
		problems = append(problems, fmt.Sprintf("%d of %d answers are lost", b.lost, n))
	}
	if b.other > 0 {
		problems = append(problems, fmt.Sprintf("%d came twice with another Message-ID", b.other))
	}
	if b.elsewhere > 0 {
		problems = append(problems, fmt.Sprintf("%d came twice although no kill fell between", b.elsewhere))
	}
	return problems
}

// answeredSession is one connection of the daemon.
type answeredSession struct{ box *answered }

func (answeredSession) Mail(string, *gosmtp.MailOptions) error { return nil }
func (answeredSession) Rcpt(string, *gosmtp.RcptOptions) error { return nil }
func (answeredSession) Reset()                                 {}
func (answeredSession) Logout() error                          { return nil }

// Data notes a mail. It takes a moment, so that some are always on their way.
func (s answeredSession) Data(r io.Reader) error {
	number, id := -1, ""
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case strings.EqualFold(name, "Subject"):
			n, err := strconv.Atoi(strings.TrimPrefix(value, "Re: n"))
			if err == nil {
				number = n
			}
		case strings.EqualFold(name, "Message-Id"):
			id = value
		}
	}
	if lines.Err() != nil || number < 0 || id == "" {
		return fmt.Errorf("a mail broke off: %w", lines.Err())
	}
	s.box.mu.Lock()
	s.box.copies[number] = append(s.box.copies[number], arrival{time.Now(), id})
	s.box.mu.Unlock()
	time.Sleep(2 * time.Millisecond)
	return nil
}
