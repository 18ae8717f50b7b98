package smpp

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"trunkline/gateway"
	"trunkline/gateway/smpp/pdu"
)

// Every destination of a submit_multi is a message of its own for the core,
// and the peer knows one id for all (SMPP 3.4 §4.5.2): the first keeps the id,
// the others add a number to it that the peer never sees.
const (
	idJoin   = "."
	maxDests = 254 // SMPP 3.4 §5.2.24
)

func memberID(id string, n int) string {
	if n == 0 {
		return id
	}
	return id + idJoin + strconv.Itoa(n)
}

// publicID is the id that the peer knows.
func publicID(id string) string {
	public, _, _ := strings.Cut(id, idJoin)
	return public
}

// handleMulti takes a submit_multi.
func (s *session) handleMulti(h pdu.Header) {
	m := &s.multi
	err := m.Decode(s.buf)
	if err == nil {
		err = m.Validate()
	}
	if err != nil {
		s.refuse(h, err)
		return
	}
	now := s.edge.now()
	s.rateIn.takeMany(now, len(m.Dests)-1) // the first was taken already
	s.carrier.rateIn.takeMany(now, len(m.Dests)-1)
	s.arrival = arrival{source: m.Source, class: m.ESMClass, coding: m.DataCoding, registered: m.RegisteredDelivery,
		schedule: m.Schedule, validity: m.Validity, canned: m.DefaultMsgID, data: m.Message(), tlvs: m.TLVs}
	a := &s.arrival
	whole, status := s.message(a)
	if status != pdu.ESME_ROK {
		s.reply(h.Response(status))
		return
	}
	id := s.newID(a.registered)
	whole.ReportWanted = s.reportWanted(a.registered)
	g := &gathering{session: s, header: h, id: id, left: 1}
	alphabet := s.carrier.terms.Load().Alphabet
	members := 0
	for _, d := range m.Dests {
		if d.List != nil { // we keep no distribution lists
			g.fail(pdu.Address{Addr: d.List}, pdu.ESME_RINVDLNAME)
			continue
		}
		one := whole
		one.ID, one.To = memberID(id, members), plain(d.Address, alphabet)
		if !s.ours(one.To) {
			g.fail(d.Address, pdu.ESME_RINVDSTADR)
			continue
		}
		members++
		g.submit(one, d.Address)
	}
	g.close()
}

// gathering waits for the core's word on every destination.
type gathering struct {
	session *session
	header  pdu.Header
	id      string

	mu     sync.Mutex
	left   int // destinations without a word, and one until all are submitted
	taken  int
	failed []pdu.Failed
}

// fail notes a destination that is refused; a copy is kept of the address.
func (g *gathering) fail(a pdu.Address, status pdu.Status) {
	a.Addr = slices.Clone(a.Addr)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failed = append(g.failed, pdu.Failed{Address: a, Status: status})
}

func (g *gathering) submit(m gateway.Inbound, a pdu.Address) {
	s := g.session
	a.Addr = slices.Clone(a.Addr)
	g.mu.Lock()
	g.left++
	g.mu.Unlock()
	s.owed.Add(1)
	s.edge.core.Inbound(m, func(err error) {
		if err != nil {
			g.fail(a, s.verdict(err))
		} else {
			g.mu.Lock()
			g.taken++
			g.mu.Unlock()
		}
		g.close()
		s.owed.Add(-1)
	})
}

// close answers when no destination is left.
func (g *gathering) close() {
	g.mu.Lock()
	g.left--
	last := g.left == 0
	g.mu.Unlock()
	if !last {
		return
	}
	h := g.header.Response(pdu.ESME_ROK)
	if g.taken == 0 { // nothing was taken: that is no success
		h.Status = g.failed[0].Status
		g.session.reply(h)
		return
	}
	_ = g.session.send(h, &pdu.SubmitMultiResp{MessageID: []byte(g.id), Failed: g.failed})
}
