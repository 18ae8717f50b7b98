package smpp

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"trunkline/gateway"
	"trunkline/gateway/smpp/pdu"
	"trunkline/gateway/smpp/receipt"
	"trunkline/gateway/smpp/text"
)

const (
	manageTime = 10 * time.Second   // for the core to answer a query, cancel or replace
	remembered = 7 * 24 * time.Hour // how long query_sm knows a message that took effect
)

// manage runs a request to the core without holding up the reader. The
// session's window_in bounds how many run at once.
func (s *session) manage(what string, f func(ctx context.Context)) {
	s.owed.Add(1)
	s.start(what, func() {
		defer s.owed.Add(-1)
		ctx, cancel := context.WithTimeout(context.Background(), manageTime)
		defer cancel()
		s.start("watching", func() {
			select {
			case <-s.dead:
				cancel() // nobody waits for the answer
			case <-ctx.Done():
			}
		})
		f(ctx)
	})
}

// handleQuery answers query_sm (SMPP 3.4 §4.8). The core knows messages that
// wait for their time; one of ours that it does not know took effect.
func (s *session) handleQuery(h pdu.Header) {
	var m pdu.QuerySM
	err := m.Decode(s.buf)
	if err == nil {
		err = m.Validate()
	}
	if err != nil {
		s.refuse(h, err)
		return
	}
	given, _, ok := s.carrier.key.verify(m.MessageID)
	if !ok || s.edge.now().Sub(given) > remembered {
		s.reply(h.Response(pdu.ESME_RQUERYFAIL))
		return
	}
	id, from := strings.ToLower(string(m.MessageID)), plain(m.Source, s.carrier.terms.Load().Alphabet)
	s.manage("query_sm", func(ctx context.Context) {
		resp := pdu.QuerySMResp{MessageID: []byte(id), State: pdu.StateEnroute}
		state, final, err := s.edge.core.Query(ctx, s.carrier.name, from, id)
		switch {
		case errors.Is(err, gateway.ErrNotFound):
			resp.State = pdu.StateDelivered
			if s.edge.cancelled.has(id) {
				resp.State = pdu.StateDeleted
			}
		case err != nil:
			s.reply(h.Response(pdu.ESME_RQUERYFAIL))
			return
		case state != gateway.StateUnknown:
			resp.State = pdu.MessageState(receipt.Code(state))
		}
		if resp.State.Final() && !final.IsZero() {
			resp.FinalDate, _ = pdu.AppendTime(nil, final.UTC())
		}
		_ = s.send(h.Response(pdu.ESME_ROK), &resp)
	})
}

// handleCancel answers cancel_sm (SMPP 3.4 §4.9). Without an id it would mean
// all messages between two addresses, which is not offered.
func (s *session) handleCancel(h pdu.Header) {
	var m pdu.CancelSM
	err := m.Decode(s.buf)
	if err == nil {
		err = m.Validate()
	}
	if err != nil {
		s.refuse(h, err)
		return
	}
	if _, _, ok := s.carrier.key.verify(m.MessageID); !ok {
		s.reply(h.Response(pdu.ESME_RCANCELFAIL))
		return
	}
	id, from := strings.ToLower(string(m.MessageID)), plain(m.Source, s.carrier.terms.Load().Alphabet)
	s.manage("cancel_sm", func(ctx context.Context) {
		err := s.edge.core.Cancel(ctx, s.carrier.name, from, id)
		for n := 1; err == nil && n < maxDests; n++ { // the other destinations of a submit_multi
			if s.edge.core.Cancel(ctx, s.carrier.name, from, memberID(id, n)) != nil {
				break
			}
		}
		if err != nil {
			s.reply(h.Response(pdu.ESME_RCANCELFAIL))
			return
		}
		s.edge.cancelled.add(id)
		s.reply(h.Response(pdu.ESME_ROK))
	})
}

// handleReplace answers replace_sm (SMPP 3.4 §4.10). It has no data_coding: the
// text is in the default alphabet.
func (s *session) handleReplace(h pdu.Header) {
	var m pdu.ReplaceSM
	err := m.Decode(s.buf)
	if err == nil {
		err = m.Validate()
	}
	if err != nil {
		s.refuse(h, err)
		return
	}
	alphabet := s.carrier.terms.Load().Alphabet
	a := arrival{schedule: m.Schedule, validity: m.Validity}
	at, status := a.times(s.edge.now())
	if status == pdu.ESME_ROK && m.DefaultMsgID != 0 {
		status = pdu.ESME_RINVDFTMSGID
	}
	body, err := text.Decode(0, alphabet, nil, m.Message())
	if _, _, ok := s.carrier.key.verify(m.MessageID); status == pdu.ESME_ROK && (!ok || err != nil) {
		status = pdu.ESME_RREPLACEFAIL
	}
	if status != pdu.ESME_ROK {
		s.reply(h.Response(status))
		return
	}
	id, from := strings.ToLower(string(m.MessageID)), plain(m.Source, alphabet)
	s.manage("replace_sm", func(ctx context.Context) {
		if s.edge.core.Replace(ctx, s.carrier.name, from, id, body, at) != nil {
			s.reply(h.Response(pdu.ESME_RREPLACEFAIL))
			return
		}
		s.reply(h.Response(pdu.ESME_ROK))
	})
}

// cancelled remembers the last ids that were cancelled, so that a query_sm can
// tell them from those that took effect.
type cancelled struct {
	mu   sync.Mutex
	ids  map[string]bool
	ring [1024]string
	next int
}

func (c *cancelled) add(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ids == nil {
		c.ids = make(map[string]bool)
	}
	delete(c.ids, c.ring[c.next])
	c.ring[c.next] = id
	c.ids[id] = true
	c.next = (c.next + 1) % len(c.ring)
}

func (c *cancelled) has(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ids[id]
}
