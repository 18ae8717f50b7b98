package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"trunkline/gateway/smpp/pdu"
)

// reportGate is how many delivery reports may be owed before no further keyword
// is sent: a gateway that takes keywords faster than it takes reports would
// otherwise seem faster than it is.
const reportGate = 20_000

// load sends keywords over its lines and follows each until its reply. In the
// closed loop a place frees itself when the answer and the reply are both there.
type load struct {
	book    *book
	started time.Time
	life    atomic.Int32 // of the gateway
	owed    func() int   // delivery reports that the message centre has yet to get rid of

	places atomic.Int64 // messages that hold a place
	target atomic.Int64 // places; 0: no closed loop
	phase  atomic.Pointer[phase]

	pumping sync.Mutex // who holds it may submit
	again   atomic.Bool
	turn    int

	mu       sync.Mutex
	lines    []*line
	statuses map[pdu.Status]int // refusals
}

// phase measures the latency of the messages from a number on.
type phase struct {
	from    int
	latency histogram
	last    atomic.Int64 // when the latest reply came, by the load's clock
	pause   atomic.Int64 // longest time without a reply, in nanoseconds
}

// came notes that a reply arrived.
func (p *phase) came(now int64) {
	if gap := now - p.last.Swap(now); gap > p.pause.Load() {
		p.pause.Store(gap) // of two at once either may win: both are long
	}
}

func newLoad() *load {
	return &load{book: newBook(mostMessages), started: time.Now(), statuses: map[pdu.Status]int{}, owed: func() int { return 0 }}
}

func (ld *load) now() int64 { return int64(time.Since(ld.started)) }

// attach begins to use a line.
func (ld *load) attach(ln *line) {
	ld.mu.Lock()
	ld.lines = append(slices.Clone(ld.lines), ln)
	ld.mu.Unlock()
	ld.pump()
}

// detach gives up a line whose session ended. What it was not answered is lost.
func (ld *load) detach(ln *line) {
	ld.mu.Lock()
	ld.lines = slices.DeleteFunc(slices.Clone(ld.lines), func(x *line) bool { return x == ln })
	ld.mu.Unlock()
	for _, n := range ln.end() {
		e := ld.book.entry(n)
		e.set(lost, &ld.book.lost)
		ld.free(e)
	}
	ld.pump()
}

func (ld *load) current() []*line {
	ld.mu.Lock()
	defer ld.mu.Unlock()
	return ld.lines
}

// free gives the message's place back, once.
func (ld *load) free(e *entry) {
	if e.settle() {
		ld.places.Add(-1)
	}
}

// answered takes a gateway's response to a keyword.
func (ld *load) answered(ln *line, seq uint32, status pdu.Status) {
	n, ok := ln.answered(seq)
	if !ok {
		ld.book.violate("an answer to request %d, which has none open", seq)
		return
	}
	e := ld.book.entry(n)
	if status == pdu.ESME_ROK {
		if e.set(acked, &ld.book.acked)&replied != 0 {
			ld.free(e)
		}
		return
	}
	e.set(refused, &ld.book.refused)
	ld.mu.Lock()
	ld.statuses[status]++
	ld.mu.Unlock()
	time.AfterFunc(5*time.Millisecond, func() { // a peer that is throttled does not hammer
		ld.free(e)
		ld.pump()
	})
}

// replied takes a message that a gateway submitted to the message centre.
func (ld *load) replied(life int, dest, text []byte) (n int, ok bool) {
	n, ok = messageOf(dest)
	if !ok {
		ld.book.violate("a message to %q, who is no sender of ours", dest)
		return 0, false
	}
	var want [64]byte
	if w := appendReply(want[:0], n); !bytes.Equal(text, w) {
		ld.book.violate("the reply to %s says %q, not %q", dest, text, w)
	}
	e := ld.book.reply(n, life)
	if e == nil {
		return n, true
	}
	if p := ld.phase.Load(); p != nil {
		now := ld.now()
		p.came(now)
		if n >= p.from {
			p.latency.add(time.Duration(now - e.sent.Load()))
		}
	}
	if e.state.Load()&acked != 0 {
		ld.free(e)
	}
	return n, true
}

// reported takes the acknowledgement of a delivery report.
func (ld *load) reported(n int) {
	if e := ld.book.entry(n); e != nil {
		e.set(reported, &ld.book.reported)
	}
}

// pump fills the free places. Whoever finds it at work makes it look again.
func (ld *load) pump() {
	for {
		ld.again.Store(true)
		if !ld.pumping.TryLock() {
			return
		}
		ld.again.Store(false)
		ld.fill()
		ld.pumping.Unlock()
		if !ld.again.Load() {
			return
		}
	}
}

func (ld *load) fill() {
	lines := ld.current()
	wrote := false
	for ld.places.Load() < ld.target.Load() && ld.owed() < reportGate {
		if !ld.submit(lines, ld.now()) {
			break
		}
		wrote = true
	}
	if wrote {
		kickAll(lines)
	}
}

// submit sends the next message over the next line with room.
func (ld *load) submit(lines []*line, at int64) bool {
	for range lines {
		ld.turn++
		ln := lines[ld.turn%len(lines)]
		ln.mu.Lock()
		room := !ln.down && ln.open < ln.window
		ln.mu.Unlock()
		if !room {
			continue
		}
		n, ok := ld.book.take(at)
		if !ok {
			ld.target.Store(0)
			ld.book.violate("the load is longer than %d messages; make it shorter", len(ld.book.entries))
			return false
		}
		ld.places.Add(1)
		if ln.submit(n) {
			return true
		}
		e := ld.book.entry(n) // the session ended meanwhile: it was never sent
		e.set(lost, &ld.book.lost)
		ld.free(e)
	}
	return false
}

func kickAll(lines []*line) {
	for _, ln := range lines {
		ln.link.kick()
	}
}

// closed runs the closed loop with so many places.
func (ld *load) closed(places int) {
	ld.target.Store(int64(places))
	ld.pump()
}

// pace sends rate messages a second for d, each at its own moment. What finds
// every window full goes later, and its latency counts from its moment.
func (ld *load) pace(ctx context.Context, rate float64, d time.Duration) {
	runtime.LockOSThread() // sleeps of less than a millisecond need a thread of their own
	defer runtime.UnlockOSThread()
	start, sent := ld.now(), 0
	for ctx.Err() == nil {
		elapsed := ld.now() - start
		if elapsed >= int64(d) {
			return
		}
		due := int(float64(elapsed) / 1e9 * rate)
		ld.pumping.Lock()
		lines := ld.current()
		before := sent
		for sent < due && ld.submit(lines, start+int64(float64(sent)/rate*1e9)) {
			sent++
		}
		ld.pumping.Unlock()
		if sent > before {
			kickAll(lines)
		}
		nap := syscall.NsecToTimespec(int64(200 * time.Microsecond))
		_ = syscall.Nanosleep(&nap, nil)
	}
}

// measure begins to measure the latency of the messages that come from now on.
func (ld *load) measure() *phase {
	p := &phase{from: int(ld.book.next.Load())}
	p.last.Store(ld.now())
	ld.phase.Store(p)
	return p
}

// quiet waits until every message has its answer and its reply, and every
// report is acknowledged; or until nothing has moved for patience.
func (ld *load) quiet(ctx context.Context, patience time.Duration) bool {
	ld.target.Store(0)
	b := ld.book
	progress := func() [3]int64 {
		return [3]int64{b.acked.Load() + b.refused.Load() + b.lost.Load(), b.replied.Load(), b.reported.Load()}
	}
	last, since := progress(), time.Now()
	for ctx.Err() == nil {
		p := progress()
		if p[0] == int64(b.size()) && ld.places.Load() <= 0 && ld.owed() == 0 {
			return true
		}
		if p != last {
			last, since = p, time.Now()
		}
		if time.Since(since) > patience {
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

// refusals describes what was refused, by status.
func (ld *load) refusals() string {
	ld.mu.Lock()
	defer ld.mu.Unlock()
	var parts []string
	for _, s := range slices.Sorted(maps.Keys(ld.statuses)) {
		parts = append(parts, fmt.Sprintf("%s %d", s, ld.statuses[s]))
	}
	return strings.Join(parts, ", ")
}
