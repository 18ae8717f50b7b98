package sip

import (
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"trunkline/gateway/rtp/sdp"
	"trunkline/gateway/sip/message"
)

// request takes a request within the dialog (RFC 3261 §12.2.2).
func (l *Leg) request(r *request) {
	if r.from.Tag() != l.dialog.remoteTag {
		l.edge.refuseStateless(r, refused(481))
		return
	}
	switch r.Method {
	case "ACK":
		l.acknowledged(r)
		return
	case "CANCEL": // of another INVITE: it was answered at once, so it is too late
		l.respond(r, refused(200), "", nil)
		return
	}
	if again := l.answers.get(r.Method + r.transaction()); again != nil {
		l.edge.metrics.repeated("in")
		_ = l.edge.back(r.replyPath(), again)
		return
	}
	if in := l.incoming; r.Method == "INVITE" && in != nil && !in.first && in.transaction() == r.transaction() {
		l.edge.metrics.repeated("in")
		_ = l.edge.back(r.replyPath(), in.last)
		return
	}
	if l.dialog.peerSeen && r.seq <= l.dialog.peerSeq { // out of order
		l.respond(r, refused(500), "", nil)
		return
	}
	l.dialog.peerSeq, l.dialog.peerSeen = r.seq, true
	l.follow(r.path)
	if l.phase == over {
		l.requestAfterEnd(r)
		return
	}
	switch r.Method {
	case "INVITE":
		l.reinvited(r)
	case "UPDATE":
		l.updated(r)
	case "BYE":
		l.byed(r)
	case "PRACK":
		l.pracked(r)
	case "INFO":
		l.informed(r)
	case "REFER":
		l.referred(r)
	case methodOptions:
		l.respond(r, refused(200).with("Allow", allowed).with("Accept", acceptTypes), "", nil)
	default: // NOTIFY: we have no subscription (RFC 6665 §4.1.3)
		l.respond(r, refused(481), "", nil)
	}
}

// follow keeps to the way on which the peer speaks: a connection that it opened
// anew, a port that its NAT changed.
func (l *Leg) follow(p path) {
	l.dialog.path = p
	l.onStream(p.stream)
}

// requestAfterEnd: BYE that crosses ours is fine, all else comes too late.
func (l *Leg) requestAfterEnd(r *request) {
	if r.Method == "BYE" {
		l.respond(r, refused(200), "", nil)
		l.edge.replays.put(r.replayKey(), l.answers.get(r.Method+r.transaction()), time.Now())
		return
	}
	l.respond(r, refused(481), "", nil)
}

// byed: the peer hangs up (§15.1.2).
func (l *Leg) byed(r *request) {
	l.respond(r, refused(200), "", nil)
	l.edge.replays.put(r.replayKey(), l.answers.get(r.Method+r.transaction()), time.Now())
	c := Cause{By: Peer, Code: 200, Q850: 16, Text: causeNormal.Text}
	if q, text := readReason(r.Message); q != 0 {
		c.Q850, c.Text = q, text
	}
	if l.pending() != nil { // a caller may hang up before the answer, too
		c.Code, c.Text = 487, phrase(487)
		l.refuse(c)
		return
	}
	l.finish(c)
	if in := l.incoming; in != nil { // no ACK will come
		l.settle()
	}
	if o := l.outgoing; o != nil { // INVITE within the call: its answer is no longer wanted
		l.outgoing = nil
		o.client.finish()
	}
	l.retire()
}

// reinvited takes an INVITE within the call: hold, another address, a new codec,
// or only a sign of life (§14.2).
func (l *Leg) reinvited(r *request) {
	switch {
	case l.outgoing != nil:
		l.respond(r, refused(491), "", nil)
		return
	case l.incoming != nil:
		l.respond(r, refused(500).with("Retry-After", strconv.Itoa(rand.IntN(11))), "", nil) // §14.2: 0 to 10 s
		return
	}
	if why := checkSession(r.Message, l.trunk.conf.Load()); why != nil {
		l.respond(r, why, "", nil)
		return
	}
	before := l.media
	body, why := l.answerOffer(r)
	if why != nil {
		l.media = before
		l.respond(r, why, "", nil)
		return
	}
	l.dialog.learn(r.Message)
	in := &incoming{request: r, offered: r.Body == ""}
	l.incoming = in
	l.final(in, 200, l.acceptance(in, body))
	if r.Body != "" {
		l.tellMedia(false)
	}
}

// answerOffer makes our description: the answer to the request's offer, or an
// offer when it has none.
func (l *Leg) answerOffer(r *request) ([]byte, *refusal) {
	if r.Body == "" {
		body, err := l.describe(l.media.local, nil)
		if err != nil {
			return nil, refused(500)
		}
		return body, nil
	}
	offer, err := sdp.Parse([]byte(r.Body))
	var body []byte
	if err == nil {
		body, err = l.describe(l.media.local, &offer)
	}
	switch {
	case err == nil:
		return body, nil
	case errors.Is(err, sdp.ErrMalformed):
		return nil, badRequest("Malformed session description")
	}
	return nil, refused(488).with("Warning", l.warning(causeMedia.Text))
}

// updated takes UPDATE (RFC 3311 §5.2).
func (l *Leg) updated(r *request) {
	if why := checkSession(r.Message, l.trunk.conf.Load()); why != nil {
		l.respond(r, why, "", nil)
		return
	}
	reply := refused(200).with("Allow", allowed)
	var body []byte
	if r.Body != "" {
		switch {
		case l.media.offering:
			l.respond(r, refused(491), "", nil)
			return
		case !l.media.said: // the first offer is not answered yet
			l.respond(r, refused(500).with("Retry-After", strconv.Itoa(rand.IntN(11))), "", nil)
			return
		}
		before := l.media
		var why *refusal
		if body, why = l.answerOffer(r); why != nil {
			l.media = before
			l.respond(r, why, "", nil)
			return
		}
	}
	l.dialog.learn(r.Message)
	reply.headers = append(reply.headers, [2]string{"Contact", l.contact(r.path)})
	if l.phase == confirmed {
		for name, value := range headersOf(l.agreeSession(nil, r.Message)) {
			reply.headers = append(reply.headers, [2]string{name, value})
		}
	}
	l.respond(r, reply, sdpType, body)
	if body != nil {
		l.tellMedia(l.phase == trying)
	}
}

func (l *Leg) contact(p path) string {
	_, value, _ := strings.Cut(strings.TrimSuffix(string(l.appendContact(nil, p)), "\r\n"), ": ")
	return value
}

// headersOf yields the headers that were written.
func headersOf(b []byte) func(yield func(name, value string) bool) {
	return func(yield func(string, string) bool) {
		for line := range strings.SplitSeq(string(b), "\r\n") {
			if name, value, ok := strings.Cut(line, ": "); ok && !yield(name, value) {
				return
			}
		}
	}
}

// informed takes INFO with a digit: application/dtmf-relay has lines
// Signal=5 and Duration=160 (ms), application/dtmf the digit alone.
func (l *Leg) informed(r *request) {
	l.respond(r, refused(200), "", nil)
	if d, ok := readDigit(mediaType(r.Get(message.ContentType)), r.Body); ok {
		l.emit(d)
	}
}

const (
	usualDigit   = 250 * time.Millisecond
	longestDigit = 10 * time.Second
)

func readDigit(kind, body string) (Digit, bool) {
	d := Digit{Duration: usualDigit}
	signal := body
	if kind == "application/dtmf-relay" {
		signal = ""
		for line := range strings.Lines(body) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch strings.ToLower(strings.TrimSpace(key)) {
			case "signal":
				signal = value
			case "duration":
				if ms, err := strconv.Atoi(strings.TrimSpace(value)); err == nil && ms > 0 {
					d.Duration = min(time.Duration(min(ms, 100000))*time.Millisecond, longestDigit)
				}
			}
		}
	}
	signal = strings.ToUpper(strings.TrimSpace(signal))
	switch signal { // some write events of RFC 4733
	case "10":
		signal = "*"
	case "11":
		signal = "#"
	}
	if len(signal) != 1 || !strings.Contains("0123456789*#ABCD", signal) {
		return d, false
	}
	d.Digit = signal[0]
	return d, true
}

// reoffer changes our side of the sound.
func (l *Leg) reoffer(local sdp.Local) {
	switch {
	case l.phase != confirmed || !l.media.said:
		return
	case l.outgoing != nil || l.incoming != nil || l.glare:
		l.again = func() { l.reoffer(local) }
		return
	}
	before := l.media
	if _, err := l.describe(local, nil); err != nil {
		l.media = before
		l.emit(Refused{488})
		return
	}
	l.sendInvite(&outgoing{offer: l.media.body, before: before})
}

// later tries a change again after a glare (491): who made the call waits longer
// (§14.1).
func (l *Leg) later(f func()) {
	wait := time.Duration(rand.IntN(200)) * 10 * time.Millisecond
	if !l.Inbound {
		wait = 2100*time.Millisecond + time.Duration(rand.IntN(190))*10*time.Millisecond
	}
	l.again, l.glare = f, true
	l.after(wait, func() {
		l.glare = false
		l.proceed()
	})
}

// proceed does what waited until an INVITE may be sent.
func (l *Leg) proceed() {
	f := l.again
	if f == nil || l.glare || l.phase != confirmed || l.outgoing != nil || l.incoming != nil {
		return
	}
	l.again = nil
	f()
}
