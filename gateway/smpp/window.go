package smpp

import (
	"time"

	"trunkline/gateway/smpp/pdu"
)

// openWindow makes room for the requests that may wait for an answer at once.
// There are twice as many slots, so that a request that waits long does not
// keep the sequence numbers behind it from going round.
func (s *session) openWindow(window int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 2
	for n < 2*window {
		n *= 2
	}
	s.window, s.slots = window, make([]slot, n)
}

// submit writes the next part of a job. It returns errClosed when the session
// cannot take it, and an encoding error when no session can.
func (s *session) submit(c *carrier, j *job) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished() || s.at() != stateBound || len(s.slots) == 0 {
		return errClosed
	}
	place := s.freeSlot()
	if place == nil {
		return errClosed
	}
	body := c.render(s, j)
	h := pdu.Header{ID: s.carries(), Sequence: s.sequence}
	b, err := body.Append(s.out, h)
	if err != nil {
		return err
	}
	s.out = b
	s.marks = append(s.marks, mark{h.Sequence, len(b)})
	*place = slot{job: j, sequence: h.Sequence}
	s.inFlight.Add(1)
	s.wake.Signal()
	s.count(out, h.ID, pdu.ESME_ROK)
	return nil
}

// carries is the PDU in which messages of ours go out.
func (s *session) carries() pdu.ID {
	if s.client {
		return pdu.IDSubmitSM
	}
	return pdu.IDDeliverSM
}

// freeSlot takes the next sequence number whose slot is free.
func (s *session) freeSlot() *slot {
	for range s.slots {
		n := s.nextSequence()
		if p := &s.slots[n%uint32(len(s.slots))]; p.sequence == 0 {
			return p
		}
	}
	return nil
}

// take removes the request that a response answers. known is false when no
// request waits under the sequence number; the job is nil when it was given up.
func (s *session) take(sequence uint32) (j *job, written int64, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.slots) == 0 || sequence == 0 {
		return nil, 0, false
	}
	p := &s.slots[sequence%uint32(len(s.slots))]
	if p.sequence != sequence {
		return nil, 0, false
	}
	j, written = p.job, p.written
	*p = slot{}
	s.inFlight.Add(-1)
	return j, written, true
}

// tend looks after the timers of a bound session (SMPP 3.4 §7.2).
func (s *session) tend() {
	t := time.NewTicker(s.tick())
	defer t.Stop()
	for {
		select {
		case <-s.dead:
			return
		case <-t.C:
			s.check(s.edge.clock())
		}
	}
}

// tick is how often timers are looked at: an eighth of the shortest, so that
// none is late by more.
func (s *session) tick() time.Duration {
	shortest := s.timers.Response
	for _, d := range []time.Duration{s.timers.EnquireLink, s.timers.Inactivity} {
		if d > 0 {
			shortest = min(shortest, d)
		}
	}
	return min(max(shortest/8, 2*time.Millisecond), time.Second)
}

func (s *session) check(now int64) {
	s.enquire(now)
	s.expire(now)
	idle := time.Duration(now - s.active.Load())
	if limit := s.timers.Inactivity; limit > 0 && idle >= limit && s.at() == stateBound && s.idle() {
		s.start("unbinding", func() { s.part(errInactive, s.edge.drainTime()) })
	}
}

// enquire asks a silent peer whether it is there, and drops one that does not
// show any life after that.
func (s *session) enquire(now int64) {
	heard := s.heard.Load()
	if s.enquired != 0 && heard >= s.enquired {
		s.enquired = 0
	}
	switch limit := s.timers.EnquireLink; {
	case limit == 0:
	case s.enquired == 0 && time.Duration(now-heard) >= limit:
		s.enquired = now
		_ = s.send(pdu.Header{ID: pdu.IDEnquireLink}, &pdu.Empty{})
	case s.enquired != 0 && time.Duration(now-s.enquired) >= s.timers.Response:
		s.edge.metrics.silent.WithLabelValues(s.name()).Inc()
		s.kill(errSilent)
	}
}

// expire gives up requests that were not answered in time, counted from the
// moment they were written. A peer that throttles or that still answers others
// has until late_response. What is given up keeps its place in the window, so
// that a peer that cannot keep up is not fed more and more; a window full of
// such requests ends the session.
func (s *session) expire(now int64) {
	lively := max(s.answered.Load(), s.carrier.throttled.Load())
	var given []*job
	s.mu.Lock()
	stuck := 0
	for i := range s.slots {
		p := &s.slots[i]
		if p.sequence == 0 || p.written == 0 {
			continue
		}
		age := time.Duration(now - p.written)
		quiet := time.Duration(now - max(p.written, lively))
		switch {
		case age >= s.timers.Late && p.job == nil:
			*p = slot{}
			s.inFlight.Add(-1)
		case p.job == nil:
			stuck++
		case age >= s.timers.Late || quiet >= s.timers.Response:
			given = append(given, p.job)
			p.job = nil
			stuck++
		}
	}
	full := stuck > 0 && stuck >= s.window
	s.mu.Unlock()
	for _, j := range given {
		s.edge.metrics.unanswered.WithLabelValues(s.name()).Inc()
		j.inDoubt("no_response")
	}
	if full {
		s.kill(errUnanswered)
	}
}

// idle reports that no request waits for an answer, in either direction.
func (s *session) idle() bool { return s.inFlight.Load() == 0 && s.owed.Load() == 0 }

// awaitIdle waits until no request waits for an answer, at most for limit.
func (s *session) awaitIdle(limit time.Duration) {
	t := time.NewTicker(2 * time.Millisecond)
	defer t.Stop()
	for end := time.Now().Add(limit); !s.idle() && time.Now().Before(end); {
		select {
		case <-t.C:
		case <-s.dead:
			return
		}
	}
}

// part unbinds: no new messages, those in flight finished within limit, then
// unbind (SMPP 3.4 §4.2) and the end.
func (s *session) part(reason error, limit time.Duration) {
	if !s.state.CompareAndSwap(int32(stateBound), int32(stateParting)) {
		return
	}
	s.awaitIdle(limit)
	if s.send(pdu.Header{ID: pdu.IDUnbind}, &pdu.Empty{}) == nil {
		t := time.NewTimer(min(unbindTime, s.timers.Response))
		defer t.Stop()
		select {
		case <-s.unbound:
		case <-t.C:
		case <-s.dead:
		}
	}
	s.finish(reason)
}

// partFrom answers the peer's unbind when what is in flight is finished.
func (s *session) partFrom(h pdu.Header) {
	s.state.CompareAndSwap(int32(stateBound), int32(stateParting))
	s.awaitIdle(partingTime)
	s.reply(h.Response(pdu.ESME_ROK))
	s.finish(errUnbound)
}

// settle decides about the requests of a session that is over: what the peer
// may have is in doubt, the rest goes another way.
func (s *session) settle() {
	if s.carrier == nil {
		return
	}
	s.carrier.leave(s)
	s.mu.Lock()
	slots := s.slots
	s.slots = nil
	s.mu.Unlock()
	var again []*job
	for i := range slots {
		j := slots[i].job
		switch {
		case j == nil:
		case slots[i].written != 0:
			s.edge.metrics.unanswered.WithLabelValues(s.name()).Inc()
			j.inDoubt("connection_lost")
		default:
			again = append(again, j)
		}
	}
	s.carrier.takeBack(again)
}
