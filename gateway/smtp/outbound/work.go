package outbound

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"trunkline/gateway"
)

// worker is a connection to a destination, or one that is about to be.
type worker struct {
	dest    *destination
	jobs    chan *job // holds one; closed when the worker shall end
	session *session
	at      *settings // with which the session was opened
	rested  time.Time // since when it is idle
	place   *list.Element
}

// dispatch gives messages of a destination to workers that are idle, or to new ones. The
// lock is held.
func (e *Edge) dispatch(d *destination) {
	for e.phase == phaseRunning && d.queue.Len() > 0 {
		if n := len(d.idle); n > 0 {
			w := d.idle[n-1]
			e.rouse(w)
			w.jobs <- e.pop(d)
			continue
		}
		if d.workers >= min(d.allowed, d.most) {
			return
		}
		if e.workers >= d.at.config.Connections {
			if d.turn == nil {
				d.turn = e.turns.PushBack(d)
			}
			e.evict()
			return
		}
		w := &worker{dest: d, jobs: make(chan *job, 1)}
		d.workers++
		e.workers++
		j := e.pop(d)
		e.working.Add(1)
		go func() {
			defer e.working.Done()
			e.work(w, j)
		}()
	}
}

func (e *Edge) dispatchAll() {
	for _, d := range e.known {
		e.dispatch(d)
	}
}

// rouse takes a worker out of the lists of idle ones. The lock is held.
func (e *Edge) rouse(w *worker) {
	e.idle.Remove(w.place)
	w.place = nil
	w.dest.idle = slices.DeleteFunc(w.dest.idle, func(x *worker) bool { return x == w })
}

// evict ends the worker that is idle for the longest time. The lock is held.
func (e *Edge) evict() {
	if f := e.idle.Front(); f != nil {
		w, _ := f.Value.(*worker)
		e.rouse(w)
		close(w.jobs)
	}
}

// work is a worker's life: message after message, until there is none for a while.
func (e *Edge) work(w *worker, j *job) {
	for j != nil {
		e.serve(w, j)
		j = e.next(w)
	}
	w.hangUp()
	e.mu.Lock()
	defer e.mu.Unlock()
	w.dest.workers--
	e.workers--
	e.dispatch(w.dest)
	for f := e.turns.Front(); f != nil && e.workers < e.current.Load().config.Connections; f = e.turns.Front() {
		d, _ := e.turns.Remove(f).(*destination)
		d.turn = nil
		e.dispatch(d)
	}
}

func (w *worker) hangUp() {
	if w.session != nil {
		w.session.quit()
		w.session = nil
	}
}

// next waits for the worker's next message; nil: it shall end.
func (e *Edge) next(w *worker) *job {
	e.mu.Lock()
	s, d := e.current.Load(), w.dest
	worn := w.session != nil && w.session.used >= s.config.MessagesPerConnection
	switch {
	case e.phase != phaseRunning || d.workers > min(d.allowed, d.most), worn && e.turns.Len() > 0:
		e.mu.Unlock()
		return nil
	case d.queue.Len() > 0:
		j := e.pop(d)
		e.mu.Unlock()
		return j
	case w.session == nil || w.session.failed || worn || s.config.IdleTimeout == 0 || e.turns.Len() > 0:
		e.mu.Unlock()
		return nil
	}
	w.place = e.idle.PushBack(w)
	d.idle = append(d.idle, w)
	e.mu.Unlock()
	w.rested = time.Now()
	timer := time.NewTimer(s.config.IdleTimeout)
	defer timer.Stop()
	select {
	case j := <-w.jobs:
		return j
	case <-timer.C:
	}
	e.mu.Lock()
	if w.place != nil {
		e.rouse(w)
		close(w.jobs)
	}
	e.mu.Unlock()
	return <-w.jobs // one may have come at the last moment
}

// serve tries one message. A fault in our own code ends the attempt, not the daemon.
func (e *Edge) serve(w *worker, j *job) {
	answered := false
	answer := func(r gateway.Result) { answered = true; e.answer(j, r) }
	defer func() {
		if fault := recover(); fault != nil {
			e.metrics.panics.Inc()
			e.log.Error("sending a mail ended by a fault", "message", j.ID, "fault", fault, "stack", string(debug.Stack()))
			w.session = nil
			if !answered {
				e.answer(j, retry(codeBroken, j.Attempt))
			}
		}
	}()
	s := e.current.Load()
	if !e.await(w, j) {
		answer(stopping())
		return
	}
	if !j.Expires.IsZero() && !e.now().Before(j.Expires) {
		answer(gateway.Result{Fate: gateway.FateExpired})
		return
	}
	m, err := e.compose(s, j)
	if err != nil {
		e.log.Warn("a mail could not be composed", "message", j.ID, "error", err)
		answer(gateway.Result{Fate: gateway.FateRejected, Code: codeCompose, Trail: gateway.Trail{Reply: clean(err.Error(), replyTextMost)}})
		return
	}
	d, err := e.carry(s, w, m)
	if err != nil {
		e.unreachable(w, j, err, answer)
		return
	}
	answer(e.result(w, j, d))
}

// await waits for the message's moment; false: the daemon stops.
func (e *Edge) await(w *worker, j *job) bool {
	e.mu.Lock()
	pause := w.dest.begin(e.now())
	e.mu.Unlock()
	if pause <= 0 {
		return j.ctx.Err() == nil
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-j.ctx.Done():
		return false
	}
}

// compose makes the message and signs it.
func (e *Edge) compose(s *settings, j *job) (m *mail, err error) {
	m = &mail{to: j.To, utf8: !isASCII(j.To)}
	local := e.options.ReturnPath(j.ID)
	domain := j.from
	from := s.domains[j.from]
	if from != nil && from.ReturnPath != "" {
		if domain, err = ASCII(from.ReturnPath); err != nil {
			return nil, err
		}
	}
	m.from = local + "@" + domain
	content, err := e.composed(j)
	if err != nil {
		return nil, err
	}
	m.content = normalise(content)
	m.eight = eightBit(m.content)
	m.utf8 = m.utf8 || m.eight && eightBit(header(m.content))
	if from != nil {
		m.content, err = from.signer.sign(m.content, e.now())
	}
	return m, err
}

// composed calls the composer, whose faults are the message's own.
func (e *Edge) composed(j *job) (content []byte, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			e.metrics.panics.Inc()
			err = fmt.Errorf("a fault: %v", fault)
		}
	}()
	out := j.Outbound
	out.From = j.sender.Address
	if m := out.Mail; m != nil && (m.FromName == "" || m.ReplyTo == "") {
		filled := *m
		if filled.FromName == "" {
			filled.FromName = j.sender.Display
		}
		if filled.ReplyTo == "" {
			filled.ReplyTo = j.sender.ReplyTo
		}
		out.Mail = &filled
	}
	return e.options.Compose(out)
}

// carry sends a message over the worker's session, or over a new one. A connection that
// turns out to be gone before it had anything of the message is replaced once.
func (e *Edge) carry(s *settings, w *worker, m *mail) (delivery, error) {
	rested := !w.rested.IsZero()
	if w.session != nil && (w.at != s || w.session.failed || w.session.used >= s.config.MessagesPerConnection || rested && !w.session.ready()) {
		w.hangUp()
	}
	w.rested = time.Time{}
	reused := w.session != nil
	for {
		if w.session == nil {
			x, err := e.connect(e.cut, s, w.dest)
			if err != nil {
				return delivery{}, err
			}
			w.session, w.at = x, s
		}
		conn := w.session.conn
		stop := context.AfterFunc(e.cut, func() { conn.Close() })
		began := time.Now()
		d := w.session.carry(m)
		stop()
		e.metrics.seconds.Observe(time.Since(began).Seconds())
		if reused && d.stage <= stageData && (d.err != nil || d.reply.code == 421) {
			w.hangUp()
			reused = false
			continue
		}
		return d, nil
	}
}

// result tells what a delivery means for the message and for the destination.
func (e *Edge) result(w *worker, j *job, d delivery) gateway.Result {
	r := outcome(d, j.Attempt)
	r.Carrier = Carrier
	r.Trail = gateway.Trail{Host: w.session.host + " [" + w.session.addr.String() + "]", TLS: w.session.tls, Reply: d.reply.text}
	if d.reply.code != 0 {
		r.Trail.Reply = d.reply.status() + " " + d.reply.text
	}
	if d.err != nil {
		r.Trail.Reply = clean(d.stage.String()+": "+d.err.Error(), replyTextMost)
	}
	if r.Fate == gateway.FateAccepted || r.Fate == gateway.FateInDoubt {
		r.Keys = []string{e.options.Reference(j.ID)}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch now := e.now(); {
	case throttles(d):
		if w.dest.complained(now) {
			e.metrics.throttles.Inc()
		}
	case d.err == nil:
		w.dest.took(now)
		e.dispatch(w.dest)
	}
	return r
}

// Carrier is the peer's name in the results of mail, as in what arrives.
const Carrier = "smtp"

// unreachable answers a message for which no connection came about. When none of the
// destination's others has one, nothing is tried for a while, and what waits goes back.
func (e *Edge) unreachable(w *worker, j *job, err error, answer func(gateway.Result)) {
	var never *permanentError
	if errors.As(err, &never) {
		answer(gateway.Result{Fate: gateway.FateRejected, Carrier: Carrier, Code: never.code, Dead: true, Trail: gateway.Trail{Reply: clean(never.reason, replyTextMost)}})
		return
	}
	code, reason := codeNoConnect, clean(err.Error(), replyTextMost)
	var refused *refusedError
	var known *temporaryError
	if errors.As(err, &known) {
		code = known.code
	} else if errors.As(err, &refused) {
		code = refused.reply.status()
	}
	r := retry(code, j.Attempt)
	r.Carrier, r.Trail.Reply = Carrier, reason
	e.mu.Lock()
	var waiting []*job
	d, now := w.dest, e.now()
	if e.cut.Err() == nil {
		if d.workers > 1 { // others have a connection: it wants no more of them
			d.allowed = max(1, d.workers-1)
			d.good = 0
			if refused != nil && d.complained(now) {
				e.metrics.throttles.Inc()
			}
		} else {
			d.failed(now, reason)
			e.metrics.down.Inc()
			waiting = e.drain(d)
		}
	}
	until := d.until
	e.mu.Unlock()
	answer(r)
	for _, other := range waiting {
		r := retry(codeUnsent, other.Attempt)
		r.After = max(r.After, until.Sub(now)+rand.N(downFirst))
		r.Trail.Reply = reason
		e.answer(other, r)
	}
}
