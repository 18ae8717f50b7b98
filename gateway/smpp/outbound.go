package smpp

import (
	"context"
	"sync"
	"time"

	"trunkline/gateway"
	"trunkline/gateway/smpp/pdu"
	"trunkline/gateway/smpp/text"
)

var _ gateway.Sender = (*Edge)(nil)

// Pauses before a message is tried again, by attempt.
const (
	retryFirst = time.Second
	retryMost  = 5 * time.Minute
	unboundFor = 30 * time.Second // longest pause when only a bind is missing
)

// Codes of results that no peer gave.
const (
	codeNoRoute  = "no_route"
	codeNoBind   = "no_bind"
	codeSender   = "sender_refused"
	codeTooLong  = "too_long"
	codeStopping = "stopping"
)

// job is one message on its way out. It belongs to one goroutine at a time: to
// the one that places it, then to the carrier's queue and a session's window in
// turn.
type job struct {
	edge *Edge
	m    gateway.Outbound
	done func(gateway.Result)

	candidates []*carrier // best first
	next       int        // the candidate to try next
	unbound    bool       // a candidate had no bind
	since      int64      // edge clock from when on no candidate had one
	passing    bool       // a candidate refused for a reason that may pass
	code       string     // of the last refusal

	carrier *carrier // which has it
	queued  int64    // edge clock when it came into its queue
	parts   []text.Part
	method  text.Method
	charge  int // parts of the message as operators count them (rule M4)
	sent    uint8
	ref     uint16
	keys    []string
	source  pdu.Address
	dest    pdu.Address

	carriers [2]*carrier // first storage of candidates, parts, keys and addresses
	part     [1]text.Part
	key      [1]string
	address  [48]byte
}

// Send implements [gateway.Sender]: the message goes to the best carrier that
// has a bind, waits there for a free window, and done is called with what
// became of it.
func (e *Edge) Send(ctx context.Context, m gateway.Outbound, done func(gateway.Result)) {
	j := &job{edge: e, m: m, done: done, sent: m.Sent, ref: m.Ref}
	j.candidates, j.keys = j.carriers[:0], j.key[:0]
	if ctx.Err() != nil || e.stopping.Load() {
		j.stopping()
		return
	}
	if m.Receipt != nil && !e.wanted(&m) {
		j.end(gateway.Result{Fate: gateway.FateAccepted, Carrier: m.Carrier, Code: "not_wanted"})
		return
	}
	e.route(j)
	if len(j.candidates) == 0 {
		j.end(gateway.Result{Fate: gateway.FateRejected, Carrier: m.Carrier, Code: codeNoRoute})
		return
	}
	e.place(j)
}

// route finds the carriers for a message. Parts of one message stay with the
// carrier that took the first.
func (e *Edge) route(j *job) {
	set := e.current.Load()
	name := j.m.Carrier
	if name == "" && j.sent > 0 {
		name = e.started.carrier(j.m.ID)
	}
	if name != "" {
		if c := set.carriers[name]; c != nil {
			j.candidates = append(j.candidates, c)
		}
		return
	}
	var names [8]string
	for _, name := range set.routes.find(names[:0], j.m.ID, j.m.From, j.m.To) {
		j.candidates = append(j.candidates, set.carriers[name])
	}
}

// place gives a job to the next candidate that can take it, or decides that
// there is none.
func (e *Edge) place(j *job) {
	if e.stopping.Load() {
		j.stopping()
		return
	}
	if j.expired(e.now()) {
		j.end(gateway.Result{Fate: gateway.FateExpired})
		return
	}
	for j.next < len(j.candidates) {
		c := j.candidates[j.next]
		j.next++
		if !c.usable() {
			j.absent(c)
			continue
		}
		if j.code = c.prepare(j); j.code == "" {
			c.enqueue(j)
			return
		}
	}
	switch {
	case j.unbound:
		j.unsent("")
	case j.passing:
		j.retry(j.name(), j.code, 0)
	default:
		j.end(gateway.Result{Fate: gateway.FateRejected, Carrier: j.name(), Code: j.code})
	}
}

// prepare makes a job ready for the carrier, or says why it cannot be.
func (c *carrier) prepare(j *job) (code string) {
	t := c.terms.Load()
	j.carrier, j.parts = c, j.part[:0]
	if j.m.Receipt != nil {
		j.parts, j.charge = j.part[:1], 1
		return c.address(j, t, j.m.From)
	}
	from, ok := applySender(t.Senders, j.m.From, j.m.To)
	if !ok {
		return codeSender
	}
	if j.ref == 0 {
		j.ref = c.edge.reference()
	}
	var err error
	if j.parts, err = text.Segment(j.parts, j.m.Text, j.ref, t.text); err != nil {
		return codeTooLong
	}
	j.method, j.charge = t.text.Method, len(j.parts)
	if j.method == text.Payload {
		j.charge = countParts(j.m.Text, t.text)
	}
	if int(j.sent) >= len(j.parts) { // another carrier, which cuts the text differently: from the start
		j.sent = 0
	}
	return c.address(j, t, from)
}

// address fills in source and destination.
func (c *carrier) address(j *job, t *terms, from string) (code string) {
	var ok bool
	buf := j.address[:0]
	if j.source, buf, ok = number(buf, from, t.Source, t.Alphabet); !ok {
		return codeSender
	}
	if j.dest, _, ok = number(buf, j.m.To, t.Dest, t.Alphabet); !ok || len(j.dest.Addr) == 0 {
		return pdu.ESME_RINVDSTADR.String()
	}
	return ""
}

func (j *job) name() string {
	if j.carrier == nil {
		return j.m.Carrier
	}
	return j.carrier.name
}

func (j *job) expired(now time.Time) bool {
	return !j.m.Expires.IsZero() && !now.Before(j.m.Expires)
}

// retry gives the job back for a later attempt; without a pause one that grows
// with the attempts.
func (j *job) retry(carrier, code string, after time.Duration) {
	if after <= 0 {
		after = backoff(int(j.m.Attempt)+1, retryFirst, retryMost)
	}
	j.end(gateway.Result{Fate: gateway.FateRetry, Carrier: carrier, Code: code, After: after})
}

// stopping gives the job back because the daemon ends.
func (j *job) stopping() {
	j.end(gateway.Result{Fate: gateway.FateRetry, Code: codeStopping, After: retryFirst, Untried: true})
}

// absent notes a carrier to which the job would go if it were bound.
func (j *job) absent(c *carrier) {
	if since := c.unbound.Load(); !j.unbound || since > j.since {
		j.unbound, j.since = true, since
	}
}

// unsent gives the job back while no carrier for it is bound. It waits about as
// long as the carrier that was bound last has been away: not to miss one that
// comes back at once, as after a start, and not to ask all the time for one that
// is away for hours.
func (j *job) unsent(carrier string) {
	away := time.Duration(j.edge.clock() - j.since)
	j.end(gateway.Result{
		Fate: gateway.FateRetry, Carrier: carrier, Code: codeNoBind, Untried: true,
		After: jitter(min(max(away, retryFirst), unboundFor)),
	})
}

// inDoubt ends a job that a peer may have carried out (rule X2).
func (j *job) inDoubt(code string) {
	j.end(gateway.Result{Fate: gateway.FateInDoubt, Carrier: j.name(), Code: code})
}

// end tells the core what became of the job.
func (j *job) end(r gateway.Result) {
	r.Keys, r.Parts, r.Ref = j.keys, j.sent, j.ref
	switch {
	case r.Fate == gateway.FateAccepted && j.m.Receipt == nil:
		r.Parts = uint8(min(max(j.charge, int(j.sent)), 255))
		j.edge.started.forget(j.m.ID, j.m.Sent)
	case r.Fate == gateway.FateRetry, r.Fate == gateway.FateInDoubt:
		if j.sent > 0 {
			j.edge.started.remember(j.m.ID, j.name())
		}
	default:
		j.edge.started.forget(j.m.ID, j.m.Sent)
	}
	if len(j.parts) < 2 {
		r.Ref = j.m.Ref
	}
	if j.m.Receipt != nil {
		r.Keys = nil
	}
	j.edge.metrics.result(r.Fate)
	if j.edge.bodies {
		j.edge.log.Debug("an SMS ended", "carrier", r.Carrier, "from", j.m.From, "to", j.m.To, "text", j.m.Text, "code", r.Code)
	}
	j.done(r)
}

// started remembers which carrier took the first parts of messages that are to
// go on.
type started struct {
	mu sync.Mutex
	by map[string]string
}

const maxStarted = 10000

func (s *started) remember(id, carrier string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil || len(s.by) >= maxStarted {
		s.by = make(map[string]string) // the routes find the same carrier again as long as nothing changes
	}
	s.by[id] = carrier
}

func (s *started) carrier(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.by[id]
}

// forget drops a message; only one with parts sent before can be known.
func (s *started) forget(id string, sent uint8) {
	if sent == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.by, id)
}

// reference numbers messages in parts. Zero stands for none.
func (e *Edge) reference() uint16 {
	for {
		if r := uint16(e.references.Add(1)); r != 0 {
			return r
		}
	}
}

// countParts is the number of parts that an operator charges (rule M4), also
// where one PDU carries the whole message.
func countParts(s string, o text.Options) int {
	if o.Method == text.Payload {
		o.Method = text.UDH8
	}
	return max(1, text.Count(s, o))
}

// Parts returns as how many parts a text is charged (rule M4) by a carrier, or
// by one with the default alphabet when the name is empty or unknown.
func (e *Edge) Parts(s, carrier string) int {
	o := text.Options{Alphabet: text.GSM7}
	if c := e.current.Load().carriers[carrier]; c != nil {
		o = c.terms.Load().text
	}
	return countParts(s, o)
}
