package sip

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"trunkline/gateway/sip/message"
)

// reliable sends provisional responses until the peer acknowledges them, one at
// a time (RFC 3262 §3).
type reliable struct {
	seq     int // RSeq of the newest
	pending []byte
	status  int
	queue   []func()
	timer   *time.Timer
	pause   time.Duration
	until   time.Time
}

const maxReliableQueue = 8

func (r *reliable) stop() {
	if r.timer != nil {
		r.timer.Stop()
	}
	r.pending, r.queue = nil, nil
}

// sendReliably sends a provisional response, or puts it in line behind the one
// that is not acknowledged yet.
func (l *Leg) sendReliably(in *incoming, status int, body []byte) {
	r := &l.reliable
	if r.pending != nil {
		if len(r.queue) < maxReliableQueue {
			r.queue = append(r.queue, func() { l.sendReliably(in, status, body) })
		}
		return
	}
	if r.seq == 0 {
		r.seq = rand.IntN(1 << 16)
	}
	r.seq++
	b := l.reply(in, status)
	b = message.Append(b, "Require", "100rel")
	b = message.AppendNumber(b, "RSeq", r.seq)
	in.last = message.AppendBody(b, sdpType, body)
	in.status = status
	if body != nil {
		in.answered = true
	}
	r.pending, r.status, r.pause, r.until = in.last, status, T1, time.Now().Add(64*T1)
	r.timer = l.after(r.pause, l.repeatReliable)
	_ = l.edge.back(in.replyPath(), in.last)
	if body != nil && l.Offer != nil {
		l.tellMedia(true)
	}
}

// repeatReliable sends it again, or refuses the call when nobody acknowledges it.
func (l *Leg) repeatReliable() {
	r := &l.reliable
	in := l.pending()
	if in == nil || r.pending == nil {
		return
	}
	if !time.Now().Before(r.until) {
		c := causeNoAck
		c.Code, c.Text = 504, "No PRACK"
		r.stop()
		l.refuse(c)
		return
	}
	r.pause *= 2
	r.timer = l.after(min(r.pause, time.Until(r.until)), l.repeatReliable)
	l.edge.metrics.repeated("out")
	_ = l.edge.back(in.replyPath(), r.pending)
}

// pracked takes PRACK for a response of ours.
func (l *Leg) pracked(r *request) {
	in := l.pending()
	fields := strings.Fields(r.Get(message.RAck)) // RSeq, CSeq number, method
	if in == nil || l.reliable.pending == nil || len(fields) != 3 || fields[0] != strconv.Itoa(l.reliable.seq) ||
		fields[1] != strconv.FormatUint(uint64(in.seq), 10) || fields[2] != "INVITE" {
		l.respond(r, refused(481), "", nil)
		return
	}
	l.reliable.timer.Stop()
	l.reliable.pending = nil
	var body []byte
	switch {
	case in.offered && l.media.offering: // it answers our offer
		if err := l.conclude(r.Body, true); err != nil {
			l.respond(r, refused(488), "", nil)
			l.refuse(causeMedia)
			return
		}
	case r.Body != "":
		before := l.media
		var why *refusal
		if body, why = l.answerOffer(r); why != nil {
			l.media = before
			l.respond(r, why, "", nil)
			return
		}
	}
	l.respond(r, refused(200), sdpType, body)
	if body != nil {
		l.tellMedia(true)
	}
	if queue := l.reliable.queue; len(queue) > 0 {
		l.reliable.queue = queue[1:]
		queue[0]()
		return
	}
	if in.waiting != nil {
		l.accept(*in.waiting)
	}
}

// pracks are the reliable provisional responses of the peer, by its tag: one
// INVITE may ring at several phones (§4).
type pracks map[string]int

const maxForks = 16

// acknowledgeReliable sends PRACK for a response that asks for it. It reports
// false when the response has been seen, or comes out of order.
func (l *Leg) acknowledgeReliable(o *outgoing, m *message.Message, p path) bool {
	if !m.Lists(message.Require, "100rel") {
		return true
	}
	seq, err := m.Number(message.RSeq)
	to, err2 := message.ParseAddress(m.Get(message.To))
	if err != nil || err2 != nil || seq < 1 {
		return false
	}
	last, known := l.prack[to.Tag()]
	if known && seq != last+1 || !known && len(l.prack) >= maxForks {
		return false
	}
	if l.prack == nil {
		l.prack = pracks{}
	}
	l.prack[to.Tag()] = seq
	// PRACK goes within the early dialog of who sent this; the dialog of the call
	// is that of who answers (§13.2.2.4).
	l.dialog.remote, l.dialog.remoteTag, l.dialog.path = m.Get(message.To), to.Tag(), path{socket: p.socket, stream: p.stream, peer: o.via.peer}
	l.dialog.learn(m)
	l.dialog.route(m, true)
	rack := strconv.Itoa(seq) + " " + strconv.FormatUint(uint64(o.seq), 10) + " INVITE"
	l.send("PRACK", [][2]string{{"RAck", rack}}, "", nil, func(*message.Message) {})
	return true
}
