package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// phones are many telephones at a few sockets: SIP of their own, as much as a call
// needs, and sound in and out (phone_sound.go). They are told apart by their
// Call-ID, and in the sound by the port of the daemon that it comes from.
type phones struct {
	sip    *net.UDPConn
	daemon netip.AddrPort
	media  []*mediaSocket
	pace   *pacer

	ports [1 << 16]atomic.Pointer[telephone] // by the daemon's port

	mu    sync.Mutex
	calls map[string]*telephone

	ringing  histogram // from INVITE to 180
	acting   histogram // from a key to another prompt
	lateness histogram // of packets, against the pace of their call
	gaps     atomic.Int64
	packets  atomic.Int64
	pressed  atomic.Int64
	acted    atomic.Int64
	measured atomic.Bool
	failed   atomic.Int64
}

// telephone is one telephone in one call.
type telephone struct {
	all    *phones
	callID string
	media  *mediaSocket
	remote netip.AddrPort // the daemon's sound
	keys   bool           // it presses keys now and then

	invited time.Time
	rang    bool
	answer  chan error // of the INVITE, then of BYE
	headers dialogHeaders

	out   outSound
	heard heardSound
}

// errBehind says that the daemon takes no calls just now (503).
var errBehind = errors.New("the call was refused with 503")

// dialogHeaders are what requests within the call say.
type dialogHeaders struct {
	from, to, target string
	seq              int
}

// newPhones makes telephones that know where the daemon is; to is set before Call.
func newPhones(sockets int) (*phones, error) {
	p := &phones{calls: map[string]*telephone{}}
	var err error
	if p.sip, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		return nil, err
	}
	for range sockets {
		m, err := openMedia()
		if err != nil {
			return nil, err
		}
		p.media = append(p.media, m)
	}
	p.pace = newPacer()
	return p, nil
}

func (p *phones) address() string { return p.sip.LocalAddr().String() }

// run serves until ctx ends.
func (p *phones) run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(p.readSIP)
	for _, m := range p.media {
		all.Go(func() { p.hear(ctx, m) })
	}
	all.Go(func() { p.pace.run(ctx) })
	<-ctx.Done()
	p.sip.Close()
	all.Wait()
}

func (p *phones) readSIP() {
	buf := make([]byte, 1<<16)
	for {
		n, _, err := p.sip.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		p.message(string(buf[:n]))
	}
}

func (p *phones) send(text string) { _, _ = p.sip.WriteToUDPAddrPort([]byte(text), p.daemon) }

// header is the first value of a header that is written in full.
func header(text, name string) string {
	_, rest, found := strings.Cut(text, "\r\n"+name+": ")
	if !found {
		return ""
	}
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

// message takes what the daemon says.
func (p *phones) message(text string) {
	id := header(text, "Call-ID")
	p.mu.Lock()
	ph := p.calls[id]
	p.mu.Unlock()
	first, _, _ := strings.Cut(text, "\r\n")
	if rest, response := strings.CutPrefix(first, "SIP/2.0 "); response {
		code, _ := strconv.Atoi(rest[:min(3, len(rest))])
		if ph != nil {
			ph.response(code, text)
		}
		return
	}
	method, _, _ := strings.Cut(first, " ")
	switch {
	case method == "INVITE":
		p.invited(ph, id, text)
	case method == "BYE":
		p.reply(text, "200 OK", "", "")
		if ph != nil {
			p.forget(ph)
		}
	case method != "ACK":
		p.reply(text, "200 OK", "", "")
	}
}

// reply answers a request.
func (p *phones) reply(text, status, tag, body string) {
	var b strings.Builder
	b.WriteString("SIP/2.0 " + status + "\r\n")
	for line := range strings.SplitSeq(text, "\r\n") {
		if line == "" {
			break
		}
		if name, _, _ := strings.Cut(line, ":"); name == "Via" || name == "From" || name == "Call-ID" || name == "CSeq" || name == "Record-Route" {
			b.WriteString(line + "\r\n")
		} else if name == "To" {
			b.WriteString(line + tag + "\r\n")
		}
	}
	p.send(b.String() + p.rest(body))
}

// rest is the end of a message of ours.
func (p *phones) rest(body string) string {
	text := "Contact: <sip:phone@" + p.address() + ">\r\n"
	if body != "" {
		text += "Content-Type: application/sdp\r\n"
	}
	return text + "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

// invited takes a call of the daemon, at once.
func (p *phones) invited(ph *telephone, id, text string) {
	if ph == nil {
		ph = &telephone{all: p, callID: id, media: p.media[rand.IntN(len(p.media))], answer: make(chan error, 1)}
		p.mu.Lock()
		p.calls[id] = ph
		p.mu.Unlock()
		if err := ph.begin(text); err != nil {
			p.failed.Add(1)
		}
	}
	p.reply(text, "200 OK", ";tag=phone", ph.media.description())
}

// begin learns where the daemon's sound is, and begins to speak.
func (ph *telephone) begin(text string) error {
	_, rest, found := strings.Cut(text, "\r\nm=audio ")
	port, err := strconv.ParseUint(strings.SplitN(rest, " ", 2)[0], 10, 16)
	if !found || err != nil {
		return errors.New("a description without sound")
	}
	ph.remote = netip.AddrPortFrom(ph.all.daemon.Addr(), uint16(port))
	ph.all.ports[port].Store(ph)
	ph.all.pace.add(ph)
	return nil
}

// call makes a call and returns when it is answered.
func (p *phones) call(ctx context.Context, from, to string, keys bool) (*telephone, error) {
	id := fmt.Sprintf("%x-%x", rand.Uint64(), rand.Uint64())
	ph := &telephone{all: p, callID: id, media: p.media[rand.IntN(len(p.media))], keys: keys, answer: make(chan error, 1)}
	ph.headers = dialogHeaders{from: fmt.Sprintf("<sip:+%s@%s>;tag=%s", from, p.address(), id[:12]), to: fmt.Sprintf("<sip:%s@%s>", to, p.daemon), target: fmt.Sprintf("sip:%s@%s", to, p.daemon)}
	p.mu.Lock()
	p.calls[id] = ph
	p.mu.Unlock()
	ph.invited = time.Now()
	if err := ph.ask(ctx, "INVITE", ph.media.description()); err != nil {
		p.forget(ph)
		return nil, err
	}
	return ph, nil
}

// ask sends a request, again while nothing comes back, and waits for its answer.
func (ph *telephone) ask(ctx context.Context, method, body string) error {
	ph.headers.seq++
	text := ph.request(method, ph.headers.seq, body)
	pause := 500 * time.Millisecond // T1, RFC 3261 §17.1.1.1
	for range 6 {
		ph.all.send(text)
		select {
		case err := <-ph.answer:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause *= 2
		}
	}
	return fmt.Errorf("nobody answered %s", method)
}

func (ph *telephone) request(method string, seq int, body string) string {
	h := &ph.headers
	return fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s%s%d\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\nMax-Forwards: 70\r\n",
		method, h.target, ph.all.address(), ph.callID, method, seq, h.from, h.to, ph.callID, seq, method) + ph.all.rest(body)
}

// response takes the daemon's answer.
func (ph *telephone) response(code int, text string) {
	_, method, _ := strings.Cut(header(text, "CSeq"), " ")
	switch {
	case code == 180 && !ph.rang:
		ph.rang = true
		ph.all.ringing.add(time.Since(ph.invited))
	case code < 200:
	case method == "INVITE":
		ph.decided(code, text)
	default:
		ph.tell(nil)
	}
}

func (ph *telephone) decided(code int, text string) {
	again := strings.Contains(ph.headers.to, ";tag=")
	ph.headers.to = header(text, "To")
	if code >= 300 {
		ph.all.send(ph.request("ACK", 1, ""))
		if code == 503 {
			ph.tell(errBehind)
			return
		}
		ph.tell(fmt.Errorf("the call was refused with %d", code))
		return
	}
	if _, rest, found := strings.Cut(header(text, "Contact"), "<"); found {
		ph.headers.target, _, _ = strings.Cut(rest, ">")
	}
	ph.all.send(ph.request("ACK", 1, ""))
	if !again {
		ph.tell(ph.begin(text))
	}
}

func (ph *telephone) tell(err error) {
	select {
	case ph.answer <- err:
	default:
	}
}

func (p *phones) forget(ph *telephone) {
	p.pace.remove(ph)
	if port := ph.remote.Port(); port != 0 {
		p.ports[port].CompareAndSwap(ph, nil)
	}
	p.mu.Lock()
	delete(p.calls, ph.callID)
	p.mu.Unlock()
}
