package main

import (
	"context"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"trunkline/gateway/smpp/pdu"
)

// Sizes of the message centre.
const (
	reportSeq  = 1 << 30 // where the sequence numbers of delivery reports begin
	reportRing = 512     // sequence numbers of reports that are told apart, per session; a power of two
	reportMost = 200     // reports that may wait for an answer, per session
	reportTick = 2 * time.Millisecond
	reportWait = 200 * time.Millisecond // before a refused report is sent again
)

// smsc is a message centre: gateways bind to it, it takes what they submit, and
// reports its delivery some time later, again and again until the gateway has
// taken the report.
type smsc struct {
	listener net.Listener
	load     *load
	delay    time.Duration // from submit_sm to its delivery report; <0: no reports
	bound    func(*link)   // called when a gateway has bound; may give the link a line

	ids     atomic.Uint64
	refused atomic.Int64 // reports that the gateway did not take at once

	mu     sync.Mutex
	links  []*link
	queue  []report // by due time
	first  int      // of the queue; those before are gone
	retry  []report // by due time too
	turn   int
	unsent int // reports without acknowledgement
}

// report is a delivery report to be sent.
type report struct {
	due time.Time
	id  uint64
	n   int // message
}

// reportWindow is the reports of a session that wait for an answer. The message
// centre's lock guards it.
type reportWindow struct {
	seq     uint32
	open    int
	pending [reportRing]report // id 0: none
}

func newSMSC(ld *load, delay time.Duration) (*smsc, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &smsc{listener: l, load: ld, delay: delay, bound: func(*link) {}}
	ld.owed = s.owed
	return s, nil
}

func (s *smsc) address() string { return s.listener.Addr().String() }

// run serves until ctx ends.
func (s *smsc) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	if s.delay >= 0 {
		all.Go(func() { s.sendReports(ctx) })
	}
	all.Go(func() { <-ctx.Done(); s.listener.Close() })
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		l := newLink(c)
		l.life = int(s.load.life.Load())
		all.Go(func() { <-ctx.Done(); l.close() })
		all.Go(func() { s.serve(l) })
	}
}

// sessions is how many gateways are bound.
func (s *smsc) sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.links)
}

// owed is how many reports have no acknowledgement.
func (s *smsc) owed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unsent
}

func (s *smsc) serve(l *link) {
	defer s.leave(l)
	var sm pdu.SM
	var id [20]byte
	for {
		b, h, err := l.read()
		if err != nil {
			return
		}
		switch h.ID {
		case pdu.IDBindTransceiver, pdu.IDBindReceiver, pdu.IDBindTransmitter:
			if l.send(h.Response(0), &pdu.BindResp{SystemID: []byte("harness")}) != nil {
				return
			}
			s.enter(l)
		case pdu.IDEnquireLink, pdu.IDUnbind:
			_ = l.send(h.Response(0), nil)
		case pdu.IDSubmitSM:
			if err := sm.Decode(b); err != nil {
				s.load.book.violate("a submit_sm is broken: %v", err)
				return
			}
			n := s.ids.Add(1)
			_ = l.write(h.Response(0), &pdu.SMResp{MessageID: strconv.AppendUint(id[:0], n, 10)})
			s.submitted(l, &sm, n)
		case pdu.IDDeliverSMResp:
			if h.Sequence >= reportSeq {
				s.acknowledged(l, h)
			} else if l.line != nil {
				s.load.answered(l.line, h.Sequence, h.Status)
			}
		}
		if l.drained() {
			l.kick()
			s.load.pump()
		}
	}
}

func (s *smsc) enter(l *link) {
	s.mu.Lock()
	s.links = append(s.links, l)
	s.mu.Unlock()
	s.bound(l)
	if l.line != nil {
		s.load.attach(l.line)
	}
}

// leave forgets a session; the reports it did not answer are sent again.
func (s *smsc) leave(l *link) {
	l.close()
	s.mu.Lock()
	s.links = slices.DeleteFunc(s.links, func(x *link) bool { return x == l })
	for i := range l.reports.pending {
		if r := &l.reports.pending[i]; r.id != 0 {
			s.retry = append(s.retry, *r)
			*r = report{}
		}
	}
	s.mu.Unlock()
	if l.line != nil {
		s.load.detach(l.line)
	}
}

// submitted takes a message; its answer is gathered already.
func (s *smsc) submitted(l *link, sm *pdu.SM, id uint64) {
	n, ok := s.load.replied(l.life, sm.Dest.Addr, sm.Message())
	if !ok || s.delay < 0 {
		return
	}
	if sm.RegisteredDelivery.Receipt() == pdu.ReceiptNever {
		s.load.book.violate("the reply to %d asks for no delivery report", firstSender+n)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, report{time.Now().Add(s.delay), id, n})
	s.unsent++
}

// acknowledged takes the answer to a report.
func (s *smsc) acknowledged(l *link, h pdu.Header) {
	s.mu.Lock()
	w := &l.reports
	slot := &w.pending[h.Sequence%reportRing]
	r := *slot
	*slot = report{}
	if r.id != 0 {
		w.open--
		if h.Status == pdu.ESME_ROK {
			s.unsent--
		} else {
			r.due = time.Now().Add(reportWait)
			s.retry = append(s.retry, r)
		}
	}
	s.mu.Unlock()
	switch {
	case r.id == 0:
		s.load.book.violate("an answer to report %d, which has none open", h.Sequence)
	case h.Status == pdu.ESME_ROK:
		s.load.reported(r.n)
	default:
		s.refused.Add(1)
	}
}

func (s *smsc) sendReports(ctx context.Context) {
	tick := time.NewTicker(reportTick)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.sendDue(time.Now())
		case <-ctx.Done():
			return
		}
	}
}

// sendDue sends the reports that are due, as far as the windows let it.
func (s *smsc) sendDue(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.retry) > 0 && !s.retry[0].due.After(now) && s.sendReport(s.retry[0]) {
		s.retry = s.retry[1:]
	}
	for s.first < len(s.queue) && !s.queue[s.first].due.After(now) && s.sendReport(s.queue[s.first]) {
		s.first++
	}
	if s.first > 4096 && 2*s.first > len(s.queue) { // let go of what is done
		s.queue = s.queue[:copy(s.queue, s.queue[s.first:])]
		s.first = 0
	}
	for _, l := range s.links {
		l.kick()
	}
}

// sendReport writes a report to the next session with room.
func (s *smsc) sendReport(r report) bool {
	for range s.links {
		s.turn++
		l := s.links[s.turn%len(s.links)]
		w := &l.reports
		slot := &w.pending[(w.seq+1)%reportRing]
		if w.open >= reportMost || slot.id != 0 {
			continue
		}
		if l.write(pdu.Header{ID: pdu.IDDeliverSM, Sequence: reportSeq + (w.seq+1)%reportSeq}, receipt(r)) != nil {
			continue
		}
		w.seq++
		w.open++
		*slot = r
		return true
	}
	return false
}

// receipt is the delivery report about a message (SMPP 3.4 Appendix B).
func receipt(r report) *pdu.SM {
	const rest = " sub:001 dlvrd:001 submit date:2401010000 done date:2401010000 stat:DELIVRD err:000 text:"
	text := append(strconv.AppendUint(append(make([]byte, 0, 128), "id:"...), r.id, 10), rest...)
	return &pdu.SM{
		Source:   pdu.Address{TON: 1, NPI: 1, Addr: appendSender(nil, r.n)},
		Dest:     pdu.Address{TON: 1, NPI: 1, Addr: []byte(ourNumber)},
		ESMClass: pdu.TypeReceipt, ShortMessage: text,
	}
}
