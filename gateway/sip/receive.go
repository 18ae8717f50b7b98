package sip

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"trunkline/gateway/sip/message"
)

// datagram takes what a UDP listener read. data is only lent.
func (e *Edge) datagram(data []byte, p path) {
	t := e.trunkAt(p.peer)
	if t == nil {
		e.metrics.dropped("unknown_source")
		return
	}
	if len(data) > e.current.Load().config.MaxMessage {
		e.tooLarge(data, p, t.name)
		return
	}
	e.admitted(data, p, t)
}

// streamed takes a message that came over a connection.
func (e *Edge) streamed(data []byte, s *stream) {
	p := path{stream: s, peer: s.peer}
	t := e.trunkOf(s)
	if t == nil { // its trunk is no longer configured
		e.metrics.dropped("unknown_source")
		s.close()
		return
	}
	e.admitted(data, p, t)
}

// trunkOf is whose a connection is: the certificate or our own connecting says
// it, otherwise the address.
func (e *Edge) trunkOf(s *stream) *trunk {
	if s.name != "" {
		return e.current.Load().trunks[s.name]
	}
	return e.trunkAt(s.peer)
}

// admitted reads and dispatches what may come.
func (e *Edge) admitted(data []byte, p path, t *trunk) {
	now := time.Now()
	if !e.sources.take(p.peer.Addr(), e.current.Load().config.SourceRate, now) {
		e.metrics.dropped("source_rate")
		e.shed(data, p, 503, retryAfter())
		return
	}
	m, err := message.Parse(data)
	if err != nil {
		e.unreadable(data, p, t.name, err)
		return
	}
	if !m.IsRequest() {
		e.response(m, p)
		return
	}
	r := &request{Message: m, path: p, trunk: t, received: now}
	if refusal := r.read(); refusal != nil {
		e.metrics.request(t.name, m.Method, refusal.code)
		e.refuseStateless(r, refusal)
		return
	}
	e.dispatch(r)
}

// shed answers a request without reading it.
func (e *Edge) shed(data []byte, p path, code, after int) {
	g, ok := message.Look(data)
	if !ok || !g.Answerable() {
		return
	}
	_ = e.back(p, g.AppendReply(nil, code, phrase(code), e.strayTag(data), after, p.peer))
}

// unreadable answers what cannot be understood, where it is a request, and
// logs it: seldom, and its beginning only.
func (e *Edge) unreadable(data []byte, p path, trunk string, err error) {
	e.metrics.dropped("unreadable")
	code := 400
	var f *message.Fault
	if errors.As(err, &f) {
		code = f.Code
	}
	if held, ok := e.noise.pass(time.Now()); ok {
		e.log.Warn("a message could not be read", "trunk", trunk, "peer", p.peer.String(), "error", err, "octets", len(data), "others_unlogged", held)
	}
	e.shed(data, p, code, 0)
}

// tooLarge answers what is longer than we read.
func (e *Edge) tooLarge(data []byte, p path, trunk string) {
	e.metrics.dropped("too_large")
	if held, ok := e.noise.pass(time.Now()); ok {
		e.log.Warn("a message is too large", "trunk", trunk, "peer", p.peer.String(), "octets", len(data), "others_unlogged", held)
	}
	e.shed(data, p, 513, 0)
}

// back sends a response the way its request came. A connection that is gone is
// not replaced: the peer will ask again.
func (e *Edge) back(p path, b []byte) error {
	e.metrics.sent(b)
	return p.send(b)
}

// refuseStateless answers a request without remembering it (RFC 3261 §8.2.7):
// when it comes again, it is answered again, with the same tag.
func (e *Edge) refuseStateless(r *request, why *refusal) {
	if r.Method == "ACK" {
		return
	}
	b := message.AppendReplyHead(nil, r.Message, why.code, why.phrase(), e.tagFor(r), r.path.peer)
	for _, h := range why.headers {
		b = message.Append(b, h[0], h[1])
	}
	if why.code == 503 && !why.has("Retry-After") {
		b = message.AppendNumber(b, "Retry-After", retryAfter())
	}
	b = e.appendServer(b)
	_ = e.back(r.replyPath(), message.AppendBody(b, "", nil))
}

// dispatch brings a valid request to where it belongs.
func (e *Edge) dispatch(r *request) {
	if key := r.replayKey(); key != "" {
		if again, ok := e.replays.get(key, r.received); ok {
			e.metrics.repeated("in")
			if again != nil {
				_ = e.back(r.replyPath(), again)
			}
			return
		}
	}
	if r.to.Tag() != "" {
		e.inDialog(r)
		return
	}
	switch r.Method {
	case "INVITE":
		e.invited(r)
	case "CANCEL":
		e.cancelled(r)
	case "ACK": // of a refusal that nobody remembers
	case methodOptions:
		e.options(r)
	case "BYE", "PRACK", "UPDATE", "INFO", "REFER", "NOTIFY":
		e.refuseStateless(r, refused(481))
	default:
		e.refuseStateless(r, refused(405).with("Allow", allowed))
	}
}

// inDialog finds the leg of a request within a dialog.
func (e *Edge) inDialog(r *request) {
	l := e.table.leg(r.to.Tag())
	if l == nil || l.CallID != r.callID {
		e.metrics.request(r.trunk.name, r.Method, 481)
		e.refuseStateless(r, refused(481))
		return
	}
	if !l.box.offer(l.run, func() { l.request(r) }) {
		e.metrics.dropped("mailbox")
		e.refuseStateless(r, refused(500).with("Retry-After", strconv.Itoa(retryAfter())))
	}
}

// cancelled hands CANCEL to the INVITE that it means (§9.2).
func (e *Edge) cancelled(r *request) {
	l := e.table.invite(r.transaction())
	if l == nil {
		e.metrics.request(r.trunk.name, r.Method, 481)
		e.refuseStateless(r, refused(481))
		return
	}
	l.do(func() { l.cancel(r) })
}

// options answers whether we are there (§11). While we stop we are not.
func (e *Edge) options(r *request) {
	if e.stopping.Load() {
		e.refuseStateless(r, refused(503))
		return
	}
	e.metrics.request(r.trunk.name, r.Method, 200)
	b := message.AppendReplyHead(nil, r.Message, 200, "OK", e.tagFor(r), r.path.peer)
	b = e.appendAbilities(b)
	b = message.Append(b, "Accept", acceptTypes)
	b = message.Append(b, "Accept-Encoding", "identity")
	b = e.appendServer(b)
	_ = e.back(r.replyPath(), message.AppendBody(b, "", nil))
}

// invited admits a new call, or refuses it before it costs anything.
func (e *Edge) invited(r *request) {
	if l := e.table.invite(r.transaction()); l != nil { // it came again
		l.do(func() { l.inviteAgain(r) })
		return
	}
	refusal := e.admit(r)
	if refusal != nil {
		e.metrics.request(r.trunk.name, r.Method, refusal.code)
		e.refuseStateless(r, refusal)
		return
	}
	e.load.waiting.Add(1)
	l := e.newIncoming(r)
	if !e.table.addIncoming(l, r) { // the same call came another way (§8.2.2.2)
		e.load.waiting.Add(-1)
		l.uncount()
		l.onStream(nil)
		e.metrics.request(r.trunk.name, r.Method, 482)
		e.refuseStateless(r, refused(482))
		return
	}
	l.do(l.begin)
}

// admit asks everything that can be asked of a new call without state.
func (e *Edge) admit(r *request) *refusal {
	t := r.trunk
	conf := t.conf.Load()
	set := e.current.Load()
	switch {
	case e.stopping.Load():
		return refused(503)
	case e.loops(r):
		return refused(482)
	case r.uri.User == "":
		return refused(484)
	}
	if conf.Reliable == "required" && !r.Lists(message.Supported, "100rel") && !r.Lists(message.Require, "100rel") {
		return refused(421).with("Require", "100rel")
	}
	if why := checkSession(r.Message, conf); why != nil {
		return why
	}
	if e.load.late(set.config.MaxDelay) {
		e.metrics.shed(t.name, "late")
		return refused(503)
	}
	if conf.Authenticate != nil {
		if why := t.authenticate(r, conf.Authenticate); why != nil {
			return why
		}
	}
	if !e.rate.take(set.config.CallsPerSecond, r.received) || !t.rateIn.take(conf.Limits.CallsPerSecondIn, r.received) {
		e.metrics.shed(t.name, "rate")
		return refused(503)
	}
	caller, _, _ := callerOf(r, conf)
	if len(conf.CallerID.Refuse) > 0 && matches(conf.CallerID.Refuse, caller) {
		return refused(403)
	}
	if !t.count(e, conf) {
		e.metrics.shed(t.name, "calls")
		return refused(503)
	}
	return nil
}

// loops tells a request that we sent ourselves by the mark in our branches.
func (e *Edge) loops(r *request) (found bool) {
	r.Each(message.ViaHeader, func(v string) bool {
		found = strings.Contains(v, e.mark)
		return !found
	})
	return found
}

// response brings a response to the request of ours that it answers (§18.1.2).
func (e *Edge) response(m *message.Message, p path) {
	via, err := m.TopVia()
	if err != nil || m.Version != version || !strings.HasPrefix(via.Branch(), e.mark) {
		e.metrics.dropped("stray_response")
		return
	}
	_, method, err := m.Sequence()
	if err != nil {
		e.metrics.dropped("stray_response")
		return
	}
	e.metrics.response(m.Status)
	if tx := e.table.client(via.Branch(), method); tx != nil {
		tx.receive(m, p)
		return
	}
	if method != "INVITE" || m.Status < 200 {
		e.metrics.dropped("stray_response")
		return
	}
	if m.Status < 300 {
		e.lateAnswer(m, p)
		return
	}
	if ack, ok := e.replays.get(via.Branch(), time.Now()); ok && ack != nil {
		e.metrics.repeated("in")
		_ = p.send(ack)
	}
}
