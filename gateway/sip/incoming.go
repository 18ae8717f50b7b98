package sip

import (
	"errors"
	"strings"
	"time"

	"trunkline/gateway/rtp/sdp"
	"trunkline/gateway/sip/message"
)

// incoming is an INVITE of the peer, the first one or another within the call,
// until our answer to it is acknowledged (RFC 3261 §13.3, §17.2.1).
type incoming struct {
	*request
	first       bool
	waits       bool   // for its first answer: it counts among those that tell how far behind we are
	key, merged string // where the table has it

	last     []byte // the newest response, for when the INVITE comes again
	status   int
	final    bool
	offered  bool       // our offer is on its way: ACK or PRACK brings the answer
	answered bool       // the peer's offer was answered reliably already
	waiting  *sdp.Local // Answer waits for a PRACK

	timer    *time.Timer
	pause    time.Duration
	deadline time.Time
}

// tryingAfter is how long an INVITE goes without an answer before we say 100
// (§17.2.1 asks for 200 ms).
const tryingAfter = 150 * time.Millisecond

// newIncoming makes the leg of a new call.
func (e *Edge) newIncoming(r *request) *Leg {
	conf := r.trunk.conf.Load()
	l := &Leg{edge: e, trunk: r.trunk, log: e.log, counted: true}
	l.ID = e.newTag()
	caller, name, withheld := callerOf(r, conf)
	l.Info = Info{
		ID: l.ID, CallID: r.callID, Trunk: r.trunk.name, Inbound: true, Caller: caller, Called: number(r.uri), Name: name, Withheld: withheld,
		Diverted: divertedBy(r.Message), Hops: hopsLeft(r.maxFwd), Received: r.received,
	}
	l.dialog = dialog{
		local: r.Get(message.To) + ";tag=" + l.ID, remote: r.Get(message.From), remoteTag: r.from.Tag(), target: r.from.URI,
		peerSeq: r.seq, peerSeen: true, path: r.path,
	}
	l.dialog.learn(r.Message)
	l.dialog.route(r.Message, false)
	l.incoming = &incoming{request: r, first: true, waits: true}
	l.onStream(r.path.stream)
	return l
}

// hopsLeft counts ourselves as a hop; maxFwd is below zero when the call does not
// say.
func hopsLeft(maxFwd int) int {
	switch {
	case maxFwd < 0:
		return maxForwards
	case maxFwd <= 1:
		return -1
	}
	return maxFwd - 1
}

// divertedBy is who passed the call on (RFC 5806).
func divertedBy(m *message.Message) string {
	a, err := message.ParseAddress(m.Extra("Diversion"))
	if err != nil {
		return ""
	}
	u, err := message.ParseURI(a.URI)
	if err != nil {
		return ""
	}
	return u.User
}

// begin is the first thing that happens in a leg.
func (l *Leg) begin() {
	in := l.incoming
	if in.Body != "" {
		offer, err := sdp.Parse([]byte(in.Body))
		if err != nil {
			l.refuseMedia(err)
			return
		}
		l.Offer = &offer
	}
	in.timer = l.after(tryingAfter, l.tick)
	l.arm(l.setupTime(in), func() {
		c := causeRing
		if in.Has(message.Expires) {
			c.Code = 487 // §13.3.1
		}
		l.refuse(c)
	})
	sink := l.edge.handler.Invited(l)
	if sink == nil {
		sink = func(Event) {}
		defer l.Reject(480)
	}
	l.sink = sink
}

// setupTime is how long the call may stay unanswered.
func (l *Leg) setupTime(in *incoming) time.Duration {
	limit := l.trunk.conf.Load().RingTimeout
	if s, err := in.Number(message.Expires); err == nil && s > 0 {
		limit = min(limit, time.Duration(s)*time.Second)
	}
	return limit
}

// inviteAgain answers a repetition with the newest response.
func (l *Leg) inviteAgain(r *request) {
	in := l.incoming
	if in == nil || !in.first || in.key != r.transaction() {
		return
	}
	l.edge.metrics.repeated("in")
	if in.last == nil {
		l.sayTrying(in)
		return
	}
	_ = l.edge.back(r.replyPath(), in.last)
}

func (l *Leg) sayTrying(in *incoming) {
	b := message.AppendReplyHead(nil, in.Message, 100, phrase(100), "", in.path.peer)
	in.last, in.status = message.AppendBody(b, "", nil), 100
	_ = l.edge.back(in.replyPath(), in.last)
}

// tick is the INVITE's timer: 100, then repetitions of a final response until
// ACK comes (§13.3.1.4, §17.2.1 timers G and H).
func (l *Leg) tick() {
	in := l.incoming
	switch {
	case in == nil:
		return
	case !in.final:
		if in.status == 0 {
			l.sayTrying(in)
		}
		return
	case time.Now().Before(in.deadline):
		in.pause = min(2*in.pause, T2)
		in.timer = l.after(min(in.pause, time.Until(in.deadline)), l.tick)
		l.edge.metrics.repeated("out")
		_ = l.edge.back(in.replyPath(), in.last)
		return
	}
	ok := in.status < 300
	l.settle()
	if ok && l.phase != over { // our 200 was never acknowledged
		l.sayBye(causeNoAck)
	} else if ok {
		l.sayBye(l.byeCause)
	}
	l.retire()
}

// final sends a final response and repeats it until ACK comes. Over a reliable
// path only a 2xx is repeated.
func (l *Leg) final(in *incoming, status int, b []byte) {
	l.looked(in)
	in.final, in.status, in.last = true, status, b
	if in.timer != nil {
		in.timer.Stop()
	}
	in.pause, in.deadline = T1, time.Now().Add(64*T1)
	l.edge.metrics.request(l.Trunk, "INVITE", status)
	_ = l.edge.back(in.replyPath(), b)
	if status >= 300 && in.path.reliable() {
		l.settle()
		return
	}
	in.timer = l.after(in.pause, l.tick)
}

// looked notes that the call gets its first answer, other than 100: the core knows it.
func (l *Leg) looked(in *incoming) {
	if in.waits {
		in.waits = false
		l.edge.load.note(time.Since(in.received))
	}
}

// settle ends the INVITE's transaction. A repetition that comes later is
// answered again when it was refused, and ignored when it became a call.
func (l *Leg) settle() {
	in := l.incoming
	l.incoming = nil
	if in.timer != nil {
		in.timer.Stop()
	}
	var again []byte
	if in.status >= 300 {
		again = in.last
	}
	l.edge.replays.put(in.transaction(), again, time.Now())
	if in.first {
		l.edge.table.settle(in.key, in.merged)
	}
}

// reply begins a response to the INVITE that belongs to the dialog.
func (l *Leg) reply(in *incoming, status int) []byte {
	b := message.AppendReplyHead(make([]byte, 0, 1024), in.Message, status, phrase(status), l.ID, in.path.peer)
	if status >= 300 {
		return b
	}
	for i := range in.Headers {
		if h := &in.Headers[i]; h.Name == message.RecordRoute {
			b = message.Append(b, "Record-Route", h.Value)
		}
	}
	b = l.appendContact(b, in.path)
	return message.Append(b, "Allow", allowed)
}

// pending is the first INVITE while it can still be decided.
func (l *Leg) pending() *incoming {
	if in := l.incoming; in != nil && in.first && !in.final {
		return in
	}
	return nil
}

// progress sends a provisional response, with local as our description.
func (l *Leg) progress(status int, local *sdp.Local) {
	in := l.pending()
	if in == nil {
		return
	}
	l.looked(in)
	conf := l.trunk.conf.Load()
	can := conf.Reliable != "never" && in.Lists(message.Supported, "100rel")
	must := in.Lists(message.Require, "100rel")
	reliably := must || can && local != nil
	var body []byte
	if local != nil && (l.Offer != nil || reliably) {
		var err error
		if body, err = l.early(in, *local); err != nil {
			l.refuseMedia(err)
			return
		}
	}
	if reliably {
		l.sendReliably(in, status, body)
		return
	}
	in.status = status
	in.last = message.AppendBody(l.reply(in, status), sdpType, body)
	_ = l.edge.back(in.replyPath(), in.last)
	if body != nil {
		l.tellMedia(true)
	}
}

// early is our description before the answer; it is made once.
func (l *Leg) early(in *incoming, local sdp.Local) ([]byte, error) {
	if l.media.said {
		return nil, nil
	}
	body, err := l.describe(local, l.Offer)
	in.offered = err == nil && l.Offer == nil
	return body, err
}

// accept answers the call (200).
func (l *Leg) accept(local sdp.Local) {
	in := l.pending()
	if in == nil {
		return
	}
	if l.reliable.pending != nil { // §5 of RFC 3262: not before it is acknowledged
		in.waiting = &local
		return
	}
	body := l.media.body
	tell := !l.media.said && l.Offer != nil
	switch {
	case in.answered:
		body = nil // said reliably: it is not repeated (RFC 6337 §3.1)
	case !l.media.said:
		var err error
		if body, err = l.describe(local, l.Offer); err != nil {
			l.refuseMedia(err)
			return
		}
		in.offered = l.Offer == nil
	}
	l.phase = answered
	if tell {
		l.tellMedia(false)
	}
	l.final(in, 200, l.acceptance(in, body))
	l.arm(l.trunk.conf.Load().MaxDuration, func() { l.hangup(causeDuration) })
}

// acceptance is the 200 to an INVITE, with the session timer that it sets.
func (l *Leg) acceptance(in *incoming, body []byte) []byte {
	b := l.reply(in, 200)
	b = message.Append(b, "Supported", extensions)
	b = l.agreeSession(b, in.Message)
	b = l.edge.appendServer(b)
	return message.AppendBody(b, sdpType, body)
}

// refuse answers the call with a final failure.
func (l *Leg) refuse(c Cause) {
	in := l.pending()
	if in == nil || c.Code < 300 || c.Code > 699 {
		return
	}
	b := l.reply(in, c.Code)
	if r := c.reason(); r != "" {
		b = message.Append(b, "Reason", r)
	}
	switch c.Code {
	case 503:
		b = message.AppendNumber(b, "Retry-After", retryAfter())
	case 500:
		b = message.AppendNumber(b, "Retry-After", retryAfter())
	case 488:
		b = message.Append(b, "Warning", l.warning(c.Text))
	case 405:
		b = message.Append(b, "Allow", allowed)
	}
	l.finish(c)
	l.final(in, c.Code, message.AppendBody(l.edge.appendServer(b), "", nil))
	l.retire()
}

// warning is for people who look for the reason of a 488 (§20.43): 305 means
// incompatible media formats.
func (l *Leg) warning(text string) string {
	return "305 trunkline " + message.Quote(text)
}

// refuseMedia refuses a call whose sound we cannot exchange.
func (l *Leg) refuseMedia(err error) {
	c := causeMedia
	if errors.Is(err, sdp.ErrMalformed) {
		c = Cause{By: Gateway, Code: 400, Q850: Q850(400), Text: "Malformed session description"}
	}
	l.refuse(c)
}

// cancel answers CANCEL, and ends the INVITE when there is still time (§9.2).
func (l *Leg) cancel(r *request) {
	l.respond(r, refused(200), "", nil)
	c := causeCancelled
	if q, text := readReason(r.Message); q != 0 {
		c.Q850, c.Text = q, text
	}
	l.refuse(c)
}

// acknowledged takes ACK: the INVITE is settled.
func (l *Leg) acknowledged(r *request) {
	in := l.incoming
	if in == nil || !in.final || in.seq != r.seq {
		return
	}
	if in.status >= 300 {
		l.settle()
		l.retire()
		return
	}
	offered := in.offered && l.media.offering
	first := in.first
	l.settle()
	if first && l.phase == answered {
		l.phase = confirmed
	}
	if l.phase == over { // hung up meanwhile
		l.sayBye(l.byeCause)
		return
	}
	if offered {
		if err := l.conclude(r.Body, false); err != nil {
			l.hangup(causeMedia)
			return
		}
	}
	if first {
		l.emit(Answered{})
	}
	l.proceed()
}

// hangup ends the leg, however far it is.
func (l *Leg) hangup(c Cause) {
	switch {
	case l.phase == over:
	case l.pending() != nil:
		if c.Code < 300 {
			c.Code, c.Text = 480, phrase(480)
		}
		l.refuse(c)
	case l.phase == trying:
		l.withdraw(c)
	case l.phase == answered: // BYE has to wait for ACK (§15)
		l.byeCause = c
		l.finish(c)
	default:
		l.sayBye(c)
	}
}

// sayBye ends an answered call.
func (l *Leg) sayBye(c Cause) {
	l.confirm()
	l.finish(c)
	var extra [][2]string
	if r := c.reason(); r != "" {
		extra = append(extra, [2]string{"Reason", r})
	}
	l.send("BYE", extra, "", nil, func(*message.Message) {})
}

// callerOf is who calls, as far as the trunk is believed.
func callerOf(r *request, conf *Trunk) (caller, name string, withheld bool) {
	a := r.from
	if conf.CallerID.Trust == "asserted" {
		r.Each(message.PAssertedIdentity, func(e string) bool {
			if asserted, err := message.ParseAddress(e); err == nil {
				a = asserted
			}
			return false
		})
	}
	privacy := strings.ToLower(r.Get(message.Privacy))
	withheld = strings.Contains(privacy, "id") || strings.Contains(privacy, "user") || strings.Contains(privacy, "header")
	u, err := message.ParseURI(a.URI)
	if err != nil {
		return "", a.Display, withheld
	}
	if strings.EqualFold(u.User, "anonymous") {
		return "", "", true
	}
	return number(u), a.Display, withheld
}

// number is the user part of a URI without parameters: +385911234567 of
// sip:+385911234567;phone-context=x@example.com (RFC 3261 §19.1.6).
func number(u message.URI) string {
	n, _, _ := strings.Cut(u.User, ";")
	return n
}
