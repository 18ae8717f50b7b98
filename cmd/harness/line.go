package main

import (
	"sync"

	"trunkline/gateway/smpp/pdu"
)

// lineRing is how many sequence numbers a line tells apart: above its window,
// and a power of two.
const lineRing = 8192

// line carries keywords to a gateway over a link: as submit_sm where we are
// bound to it, as deliver_sm where it is bound to us.
type line struct {
	link   *link
	id     pdu.ID
	window int

	mu      sync.Mutex
	down    bool
	seq     uint32
	open    int             // requests without an answer
	pending [lineRing]int32 // by sequence number: message + 1
	sm      pdu.SM
	from    [senderDigits + 1]byte
	text    [16]byte
}

func newLine(l *link, id pdu.ID, window int) *line {
	ln := &line{link: l, id: id, window: min(window, lineRing/2), seq: 1}
	ln.sm.Dest = pdu.Address{TON: 1, NPI: 1, Addr: []byte(ourNumber)}
	ln.sm.Source = pdu.Address{TON: 1, NPI: 1}
	l.line = ln
	return ln
}

// submit gathers the keyword of message n; false when the window is full or the
// session has ended.
func (ln *line) submit(n int) bool {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.down || ln.open >= ln.window || ln.pending[(ln.seq+1)%lineRing] != 0 {
		return false
	}
	ln.sm.Source.Addr = appendSender(ln.from[:0], n)
	ln.sm.ShortMessage = appendKeyword(ln.text[:0], n)
	if ln.link.write(pdu.Header{ID: ln.id, Sequence: ln.seq + 1}, &ln.sm) != nil {
		return false
	}
	ln.seq++
	if ln.seq >= reportSeq-1 {
		ln.seq = 1
	}
	ln.pending[ln.seq%lineRing] = int32(n + 1)
	ln.open++
	return true
}

// answered tells which message a response is about.
func (ln *line) answered(seq uint32) (n int, ok bool) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	p := &ln.pending[seq%lineRing]
	if *p == 0 {
		return 0, false
	}
	n, *p = int(*p-1), 0
	ln.open--
	return n, true
}

// end closes the line and returns the messages that never got an answer.
func (ln *line) end() (open []int) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	ln.down = true
	for i, p := range ln.pending {
		if p != 0 {
			open = append(open, int(p-1))
			ln.pending[i] = 0
		}
	}
	ln.open = 0
	return open
}
