package sip

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"trunkline/gateway/rtp/sdp"
	"trunkline/gateway/sip/message"
)

// Dial is a call that is to be made.
type Dial struct {
	Trunk    string
	Called   string // number with its country code, with or without +; or any user part
	Caller   string // likewise; the trunk's caller_id decides whether it is shown
	Name     string // display name of the caller
	Withheld bool   // the number is not to be shown to the called person
	Local    sdp.Local
	// RingTimeout and MaxDuration shorten those of the trunk; 0 leaves them.
	RingTimeout, MaxDuration time.Duration
	// Hops is how many proxies the call may still pass: that of the leg which is
	// passed on, below zero an error; 0 means the usual 70.
	Hops int
	// Diverted is the number that passes the call on (Diversion, RFC 5806).
	Diverted string
	// Confirm says that the peer's answer is acknowledged by [Leg.Confirm], not
	// before: the host has to write down first that it owes for a call.
	Confirm bool
}

// Errors of Dial. The trunk is not even asked.
var (
	ErrUnknownTrunk = errors.New("sip: no such trunk")
	ErrDown         = errors.New("sip: the trunk is down")
	ErrBusy         = errors.New("sip: the trunk has as many calls as it may")
	ErrRate         = errors.New("sip: too many calls per second to the trunk")
	ErrNumber       = errors.New("sip: the trunk's routes do not allow the number")
	ErrCaller       = errors.New("sip: the trunk does not allow the caller's number, and has no default")
	ErrStopping     = errors.New("sip: the daemon is stopping")
	ErrLoop         = errors.New("sip: the call has been passed on too often")
)

// outgoing is an INVITE of ours, the first one or another within the call.
type outgoing struct {
	client *client
	first  bool
	seq    uint32
	branch string
	uri    string
	via    path
	routes []string

	provisional bool // there was a response
	cancel      bool // it is to be withdrawn
	cancelSent  bool
	refresh     bool // it only keeps the session alive
	offer       []byte
	before      media  // what holds when the peer refuses
	ack         []byte // for 2xx that come again
	ackTo       path
	ackTag      string
	tries       int // challenges and longer sessions that were answered
	next        int // of the trunk's targets
	timer       *time.Timer
	dial        *Dial
}

// Dial makes a call. Its events go to sink, the first one after Dial has returned
// or while it does.
func (e *Edge) Dial(d Dial, sink func(Event)) (*Leg, error) {
	t := e.current.Load().trunks[d.Trunk]
	if t == nil {
		return nil, fmt.Errorf("%w: %q", ErrUnknownTrunk, d.Trunk)
	}
	conf := t.conf.Load()
	caller, err := t.mayDial(e, conf, &d)
	if err != nil {
		return nil, err
	}
	l := &Leg{edge: e, trunk: t, log: e.log, counted: true, sink: sink}
	l.ID = e.newTag()
	l.Info = Info{
		ID: l.ID, CallID: l.ID + "@" + e.mark[len(message.Magic):], Trunk: t.name, Caller: caller, Called: d.Called, Name: d.Name,
		Withheld: d.Withheld, Diverted: d.Diverted, Hops: cmp.Or(d.Hops, maxForwards), Received: time.Now(),
	}
	from := "sip:anonymous@anonymous.invalid" // RFC 3323 §4.1.1.3
	name := "Anonymous"
	if !d.Withheld {
		from, name = "sip:"+message.EscapeUser(caller)+"@"+t.domain(), d.Name
	}
	to := "sip:" + message.EscapeUser(numberFor(d.Called, conf)) + "@" + t.domain()
	l.dialog = dialog{local: address(name, from) + ";tag=" + l.ID, remote: "<" + to + ">", target: to}
	e.table.addLeg(l)
	l.do(func() { l.invite(&d, 0) })
	return l, nil
}

func address(name, uri string) string {
	if name == "" {
		return "<" + uri + ">"
	}
	return message.Quote(name) + " <" + uri + ">"
}

// numberFor writes a number as the peer likes it.
func numberFor(number string, conf *Trunk) string {
	digits := strings.TrimPrefix(number, "+")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return number
	}
	if conf.CallerID.Format == "plus" && len(digits) > 6 {
		return "+" + digits
	}
	return digits
}

// mayDial asks the trunk's limits and policies, and counts the call.
func (t *trunk) mayDial(e *Edge, conf *Trunk, d *Dial) (caller string, err error) {
	caller = numberFor(d.Caller, conf)
	switch {
	case e.stopping.Load():
		return "", ErrStopping
	case d.Hops < 0:
		return "", ErrLoop
	case len(conf.Connect) == 0 || !t.up():
		return "", fmt.Errorf("%w: %s", ErrDown, t.name)
	case len(conf.Routes) > 0 && bestRoute(conf, d.Called) == nil:
		return "", fmt.Errorf("%w: trunk %s", ErrNumber, t.name)
	}
	if len(conf.CallerID.Allow) > 0 && !matches(conf.CallerID.Allow, caller) || caller == "" {
		if caller = numberFor(conf.CallerID.Default, conf); caller == "" && (d.Caller != "" || len(conf.CallerID.Allow) > 0) {
			return "", fmt.Errorf("%w: trunk %s", ErrCaller, t.name)
		}
	}
	if caller == "" {
		caller = "trunkline"
	}
	if !t.rateOut.take(conf.Limits.CallsPerSecondOut, time.Now()) {
		return "", fmt.Errorf("%w: %s", ErrRate, t.name)
	}
	if !t.count(e, conf) {
		return "", fmt.Errorf("%w: %s", ErrBusy, t.name)
	}
	return caller, nil
}

// invite sends the first INVITE, to the trunk's target number next.
func (l *Leg) invite(d *Dial, next int) {
	if l.phase == over {
		l.retire()
		return
	}
	if !l.media.said {
		if _, err := l.describe(d.Local, nil); err != nil {
			l.finish(causeFault)
			l.retire()
			return
		}
	}
	p, err := l.trunk.path(l.edge.ending, next)
	if err != nil {
		l.failed(d, next, causeTransport)
		return
	}
	l.dialog.path = p
	l.onStream(p.stream)
	if next == 0 && l.limit == nil {
		ring := l.trunk.conf.Load().RingTimeout
		if d.RingTimeout > 0 {
			ring = min(ring, d.RingTimeout)
		}
		l.arm(ring, func() { l.withdraw(causeRing) })
	}
	l.sendInvite(&outgoing{first: true, dial: d, next: next, offer: l.media.body})
}

// failed goes on to the next target, or ends the call.
func (l *Leg) failed(d *Dial, next int, c Cause) {
	if l.phase != over && next+1 < l.trunk.targetCount() {
		l.dialog.seq++
		l.invite(d, next+1)
		return
	}
	l.finish(c)
	l.retire()
}

// sendInvite sends an INVITE; o says which.
func (l *Leg) sendInvite(o *outgoing) {
	l.dialog.seq++
	o.seq, o.branch = l.dialog.seq, l.edge.newBranch()
	o.via = l.dialog.path
	if !o.first {
		o.via = l.next()
	}
	o.uri, o.routes = l.dialog.target, l.dialog.routes
	b := l.compose(o.via, "INVITE", o.seq, o.branch)
	b = l.askSession(b)
	if o.first {
		b = l.appendIdentity(b, o.dial)
	}
	b = message.AppendBody(b, sdpType, o.offer)
	l.confirm()
	l.dropSettled()
	l.outgoing = o
	o.client = &client{edge: l.edge, branch: o.branch, method: "INVITE", path: o.via, data: b}
	o.client.deliver = func(m *message.Message, p path, err error) { l.do(func() { l.inviteReply(o, m, p, err) }) }
	o.client.start()
}

// appendIdentity says who calls, in the ways in which peers want to know it.
func (l *Leg) appendIdentity(b []byte, d *Dial) []byte {
	conf := l.trunk.conf.Load()
	if conf.CallerID.Assert { // RFC 3325
		b = message.Append(b, "P-Asserted-Identity", address(d.Name, "sip:"+message.EscapeUser(l.Caller)+"@"+l.trunk.domain()))
	}
	if d.Withheld {
		b = message.Append(b, "Privacy", "id")
	}
	if d.Diverted != "" {
		b = message.Append(b, "Diversion", "<sip:"+message.EscapeUser(numberFor(d.Diverted, conf))+"@"+l.trunk.domain()+">")
	}
	return b
}

// inviteReply takes a response to an INVITE of ours.
func (l *Leg) inviteReply(o *outgoing, m *message.Message, p path, err error) {
	if o == l.settled {
		l.answeredAgain(o, m, p)
		return
	}
	if o != l.outgoing {
		return
	}
	switch {
	case m == nil:
		l.inviteUnanswered(o, err)
	case m.Status < 200:
		l.inviteProgress(o, m, p)
	case m.Status < 300:
		l.inviteAccepted(o, m, p)
	default:
		l.inviteRefused(o, m)
	}
}

func (l *Leg) inviteUnanswered(o *outgoing, err error) {
	l.outgoing = nil
	c := causeNoReply
	if err != nil {
		c = causeTransport
	}
	l.trunk.suspect()
	switch {
	case o.first && !o.cancel:
		l.failed(o.dial, o.next, c)
	case o.first:
		l.retire()
	default: // §12.2.1.2: the call is as good as gone
		l.sayBye(c)
	}
}

// inviteProgress takes a provisional response.
func (l *Leg) inviteProgress(o *outgoing, m *message.Message, p path) {
	o.provisional = true
	if o.cancel {
		l.sendCancel(o)
		return
	}
	if !o.first || m.Status == 100 {
		return
	}
	if !l.acknowledgeReliable(o, m, p) {
		return // a repetition, or out of order
	}
	if m.Body != "" && mediaType(m.Get(message.ContentType)) == sdpType {
		if err := l.conclude(m.Body, true); err == nil {
			return
		}
	}
	if m.Status <= 182 {
		l.emit(Ringing{m.Status})
	}
}

// inviteAccepted takes a 2xx: ACK, and the call stands (§13.2.2.4).
func (l *Leg) inviteAccepted(o *outgoing, m *message.Message, p path) {
	l.outgoing = nil
	to, err := message.ParseAddress(m.Get(message.To))
	if o.first {
		l.dialog.path = path{socket: p.socket, stream: p.stream, peer: o.via.peer}
		l.dialog.remote, l.dialog.remoteTag = m.Get(message.To), to.Tag()
		l.dialog.route(m, true)
	}
	if o.first || m.Has(message.Contact) {
		l.dialog.learn(m)
	}
	o.ackTag = l.dialog.remoteTag
	l.settled = o
	if !o.first || !o.dial.Confirm || l.phase == over || err != nil {
		l.sendAck(o)
	}
	if l.phase == over { // withdrawn too late
		l.sayBye(l.byeCause)
		return
	}
	if o.first {
		l.phase = confirmed
		d := l.trunk.conf.Load().MaxDuration
		if o.dial.MaxDuration > 0 {
			d = min(d, o.dial.MaxDuration)
		}
		l.arm(d, func() { l.hangup(causeDuration) })
	}
	if err != nil {
		l.sayBye(causeFault)
		return
	}
	switch {
	case m.Body != "" && (o.first || l.media.offering): // another phone than the one with early media may have answered
		err = l.conclude(m.Body, false)
	case l.media.offering:
		err = sdp.ErrNoAudio
	case o.first:
		l.tellMedia(false) // as agreed before the answer
	}
	if err != nil {
		l.sayBye(causeMedia)
		return
	}
	l.takeSession(m)
	if o.first {
		l.emit(Answered{Trace: l.Trace()})
	}
	l.proceed()
}

// sendAck acknowledges a 2xx, in a transaction of its own.
func (l *Leg) sendAck(o *outgoing) {
	o.ackTo = l.next()
	b := l.compose(o.ackTo, "ACK", o.seq, l.edge.newBranch())
	o.ack = message.AppendBody(b, "", nil)
	l.edge.metrics.sent(o.ack)
	_ = o.ackTo.send(o.ack)
}

// answeredAgain takes what comes after a 2xx: the same again, because ACK was
// lost, or the answer of another phone (forking), which is hung up.
func (l *Leg) answeredAgain(o *outgoing, m *message.Message, p path) {
	if m == nil || m.Status < 200 || m.Status >= 300 {
		return
	}
	to, err := message.ParseAddress(m.Get(message.To))
	if err != nil || to.Tag() != o.ackTag {
		l.edge.lateAnswer(m, p)
		return
	}
	l.edge.metrics.repeated("in")
	if o.ack != nil {
		_ = o.ackTo.send(o.ack)
	}
}

// confirm acknowledges an answer that has waited for it.
func (l *Leg) confirm() {
	if o := l.settled; o != nil && o.ack == nil {
		l.sendAck(o)
	}
}

// dropSettled forgets the INVITE that was answered last.
func (l *Leg) dropSettled() {
	if l.settled != nil {
		l.settled.client.finish()
		l.settled = nil
	}
}

// inviteRefused takes a final failure: ACK, then what its code asks for.
func (l *Leg) inviteRefused(o *outgoing, m *message.Message) {
	l.outgoing = nil
	l.ackFailure(o, m)
	if o.timer != nil {
		o.timer.Stop()
	}
	switch {
	case l.phase == over:
		l.retire()
	case l.tryAgain(o, m):
	case o.first && (m.Status == 503 || m.Status == 408) && !o.cancel:
		l.failed(o.dial, o.next, causeFrom(m))
	case o.first:
		l.finish(causeFrom(m))
		l.retire()
	default:
		l.changeRefused(o, m)
	}
}

// tryAgain sends the INVITE once more where the refusal says how.
func (l *Leg) tryAgain(o *outgoing, m *message.Message) bool {
	if o.tries >= 2 {
		return false
	}
	switch m.Status {
	case 401, 407:
		if !l.authorize(m) {
			return false
		}
	case 422:
		n, err := m.Number(message.MinSE)
		if err != nil || n <= 0 || n > 24*3600 {
			return false
		}
		l.session.least = time.Duration(n) * time.Second
	default:
		return false
	}
	l.sendInvite(&outgoing{first: o.first, dial: o.dial, next: o.next, offer: o.offer, refresh: o.refresh, before: o.before, tries: o.tries + 1})
	return true
}

// changeRefused: the call goes on as it was, unless the peer does not know it
// any more (§12.2.1.2, §14.1).
func (l *Leg) changeRefused(o *outgoing, m *message.Message) {
	switch m.Status {
	case 481, 408:
		l.sayBye(causeGone)
		return
	case 491:
		wanted := l.media.local
		l.media = o.before
		if o.refresh {
			l.later(l.refreshSession)
		} else {
			l.later(func() { l.reoffer(wanted) })
		}
		return
	}
	l.media = o.before
	if !o.refresh {
		l.emit(Refused{m.Status})
	}
	l.proceed()
}

// ackFailure acknowledges a final failure, within the transaction (§17.1.1.3),
// and again whenever it is repeated.
func (l *Leg) ackFailure(o *outgoing, m *message.Message) {
	b := make([]byte, 0, 512)
	b = message.AppendRequestLine(b, "ACK", o.uri)
	b = appendVia(b, o.via, o.branch)
	for _, r := range o.routes {
		b = message.Append(b, "Route", r)
	}
	b = message.AppendNumber(b, "Max-Forwards", maxForwards)
	b = message.Append(b, "From", l.dialog.local)
	b = message.Append(b, "To", m.Get(message.To))
	b = message.Append(b, "Call-ID", l.CallID)
	b = message.AppendBody(appendSequence(b, o.seq, "ACK"), "", nil)
	l.edge.metrics.sent(b)
	_ = o.via.send(b)
	o.client.finish()
	if !o.via.reliable() {
		l.edge.replays.put(o.branch, b, time.Now())
	}
}

// causeFrom is what a final failure says.
func causeFrom(m *message.Message) Cause {
	c := Cause{By: Peer, Code: m.Status, Q850: Q850(m.Status), Text: m.Phrase}
	if q, text := readReason(m); q != 0 {
		c.Q850 = q
		if text != "" {
			c.Text = text
		}
	}
	if len(c.Text) > 100 {
		c.Text = c.Text[:100]
	}
	return c
}

// withdraw gives up a call that is not answered: CANCEL, as soon as the peer has
// given a sign of life (§9.1). An answer that comes nevertheless is hung up.
func (l *Leg) withdraw(c Cause) {
	if l.phase != trying {
		return
	}
	if c.By == Us && c.Code == 200 {
		c.Code, c.Text = 487, phrase(487)
	}
	l.byeCause = c
	l.finish(c)
	o := l.outgoing
	if o == nil {
		l.retire()
		return
	}
	o.cancel = true
	if o.provisional {
		l.sendCancel(o)
	}
}

// sendCancel sends CANCEL, and gives up when no final answer comes (§9.1).
func (l *Leg) sendCancel(o *outgoing) {
	if o.cancelSent {
		return
	}
	o.cancelSent = true
	b := make([]byte, 0, 512)
	b = message.AppendRequestLine(b, "CANCEL", o.uri)
	b = appendVia(b, o.via, o.branch)
	for _, r := range o.routes {
		b = message.Append(b, "Route", r)
	}
	b = message.AppendNumber(b, "Max-Forwards", maxForwards)
	b = message.Append(b, "From", l.dialog.local)
	b = message.Append(b, "To", l.dialog.remote)
	b = message.Append(b, "Call-ID", l.CallID)
	b = appendSequence(b, o.seq, "CANCEL")
	if r := l.byeCause.reason(); r != "" {
		b = message.Append(b, "Reason", r)
	}
	b = message.AppendBody(b, "", nil)
	l.busy++
	c := &client{edge: l.edge, branch: o.branch, method: "CANCEL", path: o.via, data: b}
	c.deliver = func(m *message.Message, _ path, _ error) {
		if m == nil || m.Status >= 200 {
			l.do(func() { l.busy--; l.retire() })
		}
	}
	c.start()
	o.timer = l.after(64*T1, func() {
		if l.outgoing == o {
			l.outgoing = nil
			o.client.finish()
			l.retire()
		}
	})
}

// lateAnswer hangs up an answer that no leg waits for: ACK, then BYE (§13.2.2.4).
// Everything that is needed stands in the answer.
func (e *Edge) lateAnswer(m *message.Message, p path) {
	e.metrics.late.Inc()
	seq, _, _ := m.Sequence()
	to, err := message.ParseAddress(m.Get(message.To))
	if err != nil {
		return
	}
	d := dialog{target: to.URI}
	d.learn(m)
	d.route(m, true)
	compose := func(method string, seq uint32, branch string) []byte {
		b := message.AppendRequestLine(make([]byte, 0, 512), method, d.target)
		b = appendVia(b, p, branch)
		for _, r := range d.routes {
			b = message.Append(b, "Route", r)
		}
		b = message.AppendNumber(b, "Max-Forwards", maxForwards)
		b = message.Append(b, "From", m.Get(message.From))
		b = message.Append(b, "To", m.Get(message.To))
		b = message.Append(b, "Call-ID", m.Get(message.CallID))
		return message.AppendBody(appendSequence(b, seq, method), "", nil)
	}
	key := "late|" + m.Get(message.CallID) + "|" + to.Tag() + "|" + strconv.FormatUint(uint64(seq), 10)
	ack, again := e.replays.get(key, time.Now())
	if !again {
		ack = compose("ACK", seq, e.newBranch())
		e.replays.put(key, ack, time.Now())
	}
	_ = p.send(ack)
	if again {
		return
	}
	branch := e.newBranch()
	bye := &client{edge: e, branch: branch, method: "BYE", path: p, data: compose("BYE", seq+1, branch), deliver: func(*message.Message, path, error) {}}
	bye.start()
}
