package outbound

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// mail is one message on its way.
type mail struct {
	from, to string // envelope; valid addresses
	utf8     bool   // an address or a header field goes beyond ASCII (RFC 6531)
	eight    bool   // the content does (RFC 6152)
	content  []byte // normalised
}

// delivery is how a transaction ended.
type delivery struct {
	stage stage // reached, or at which it failed
	reply reply // that decided it; zero when err is set
	err   error // of the connection
}

// carry sends a message over the session (RFC 5321 §3.3). With a server that offers
// it, the commands go in one write (RFC 2920).
func (s *session) carry(m *mail) delivery {
	if d, ok := s.suits(m); !ok {
		return d
	}
	s.used++
	if s.dirty {
		s.wire = append(s.wire, "RSET\r\n"...)
	}
	s.wire = s.appendMail(s.wire, m)
	if !s.ext.pipelining {
		return s.carryStepwise(m)
	}
	s.wire = appendRcpt(s.wire, m)
	s.wire = append(s.wire, "DATA\r\n"...)
	if _, err := s.flush(); err != nil {
		return delivery{stage: stageMail, err: err}
	}
	var worst delivery
	if d, ok := s.reset(); !ok {
		return d
	}
	for _, step := range [...]struct {
		stage  stage
		limit  time.Duration
		wanted int
	}{{stageMail, s.times.mail, 2}, {stageRcpt, s.times.rcpt, 2}, {stageData, s.times.data, 3}} {
		r, err := s.read(step.limit)
		d := s.judge(delivery{step.stage, r, err}, step.wanted)
		if worst.reply.code == 0 && (d.err != nil || r.class() != step.wanted) {
			worst = d
		}
		if d.err != nil || s.failed {
			return worst
		}
		if step.stage == stageData && r.code == 354 && worst.reply.code != 0 {
			return s.cutShort(worst)
		}
	}
	if worst.reply.code != 0 {
		s.dirty = true
		return worst
	}
	return s.content(m)
}

// carryStepwise waits for the answer to each command.
func (s *session) carryStepwise(m *mail) delivery {
	for _, step := range [...]struct {
		stage  stage
		limit  time.Duration
		wanted int
		line   func([]byte, *mail) []byte
	}{
		{stageMail, s.times.mail, 2, nil},
		{stageRcpt, s.times.rcpt, 2, appendRcpt},
		{stageData, s.times.data, 3, func(b []byte, _ *mail) []byte { return append(b, "DATA\r\n"...) }},
	} {
		if step.line != nil {
			s.wire = step.line(s.wire, m)
		}
		if _, err := s.flush(); err != nil {
			return delivery{stage: step.stage, err: err}
		}
		if step.stage == stageMail {
			if d, ok := s.reset(); !ok {
				return d
			}
		}
		r, err := s.read(step.limit)
		if err != nil || r.class() != step.wanted {
			s.dirty = true
			return s.judge(delivery{step.stage, r, err}, step.wanted)
		}
	}
	return s.content(m)
}

// judge finds answers that no server gives to the command: who answers like this answers
// another one, and no answer of it is to be trusted any more.
func (s *session) judge(d delivery, wanted int) delivery {
	if c := d.reply.class(); d.err == nil && c != wanted && c != 4 && c != 5 {
		s.failed = true
		d.err = fmt.Errorf("%s: %w: %d to %s", s.host, errReplySyntax, d.reply.code, d.stage)
	}
	return d
}

// reset reads the answer to RSET, where one was said before MAIL.
func (s *session) reset() (delivery, bool) {
	if !s.dirty {
		return delivery{}, true
	}
	r, err := s.read(s.times.other)
	if err != nil || r.class() != 2 {
		s.failed = true
		return delivery{stageMail, r, err}, false
	}
	s.dirty = false
	return delivery{}, true
}

// suits tells whether the server can take the message at all.
func (s *session) suits(m *mail) (delivery, bool) {
	refuse := func(code int, enhanced [3]int, text string) (delivery, bool) {
		return delivery{stage: stageMail, reply: reply{code: code, enhanced: enhanced, text: text}}, false
	}
	switch {
	case m.utf8 && !s.ext.utf8:
		return refuse(553, [3]int{5, 6, 7}, "the server does not take addresses beyond ASCII (no SMTPUTF8)")
	case m.eight && !s.ext.eightBitMIME:
		return refuse(554, [3]int{5, 6, 3}, "the server does not take 8-bit content (no 8BITMIME)")
	case s.ext.size > 0 && int64(len(m.content)) > s.ext.size:
		return refuse(552, [3]int{5, 3, 4}, fmt.Sprintf("the message has %d octets, the server takes %d", len(m.content), s.ext.size))
	}
	return delivery{}, true
}

func (s *session) appendMail(b []byte, m *mail) []byte {
	b = append(append(append(b, "MAIL FROM:<"...), m.from...), '>')
	if s.ext.size != 0 {
		b = strconv.AppendInt(append(b, " SIZE="...), int64(len(m.content)), 10)
	}
	if m.eight {
		b = append(b, " BODY=8BITMIME"...)
	}
	if m.utf8 {
		b = append(b, " SMTPUTF8"...)
	}
	return append(b, crlf...)
}

func appendRcpt(b []byte, m *mail) []byte {
	return append(append(append(b, "RCPT TO:<"...), m.to...), ">\r\n"...)
}

// content sends the message itself. From the moment at which its end is written only the
// server's answer tells whether it has it (rule X2).
func (s *session) content(m *mail) delivery {
	if s.r.Buffered() > 0 { // a server that answers before it has the message may answer for anything
		s.failed = true
		return delivery{stage: stageData, err: fmt.Errorf("%s: %w: it answers before it has the message", s.host, errReplySyntax)}
	}
	s.wire = appendStuffed(s.wire, m.content)
	s.wire = append(s.wire, endOfData...)
	all := len(s.wire)
	n, err := s.flush()
	if n < all {
		return delivery{stage: stageContent, err: err}
	}
	r, err := s.read(s.times.end)
	return s.judge(delivery{stageEnd, r, err}, 2)
}

// cutShort ends a DATA that the server lets us begin although there is no recipient: with
// nothing in it (RFC 2920 §3.1).
func (s *session) cutShort(d delivery) delivery {
	s.wire = append(s.wire, endOfData...)
	_, err := s.flush()
	if err == nil {
		var r reply
		if r, err = s.read(s.times.end); err == nil && r.class() == 2 {
			err = errors.New("the server takes a message without recipient")
		}
	}
	s.failed = s.failed || err != nil
	return d
}
