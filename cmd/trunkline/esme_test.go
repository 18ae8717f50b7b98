package main

import (
	"bufio"
	"net"
	"sync"
	"testing"
	"time"

	"trunkline/gateway/smpp/pdu"
)

// link is one end of an SMPP session, PDU by PDU, for what no peer at hand lets
// a test say or see.
type link struct {
	testing.TB
	conn     net.Conn
	mu       sync.Mutex
	sequence uint32
	frames   chan frame // closed when the connection is
	aside    []frame    // requests that came before an answer that was waited for
}

// frame is a PDU that came.
type frame struct {
	pdu.Header
	raw []byte
}

func newLink(t testing.TB, conn net.Conn) *link {
	l := &link{TB: t, conn: conn, frames: make(chan frame, 10000)}
	go func() {
		defer close(l.frames)
		r := bufio.NewReader(conn)
		for {
			b, h, err := pdu.Read(r, nil, 1<<20)
			if err != nil {
				return
			}
			l.frames <- frame{h, b}
		}
	}()
	t.Cleanup(func() { conn.Close() })
	return l
}

// bindTo connects to an address and binds as a transceiver.
func bindTo(t testing.TB, address, systemID, password string) *link {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	l := newLink(t, conn)
	f := l.request(pdu.IDBindTransceiver, &pdu.Bind{SystemID: []byte(systemID), Password: []byte(password), InterfaceVersion: 0x34})
	if f.Status != pdu.ESME_ROK {
		t.Fatalf("the bind was answered with %s", f.Status)
	}
	return l
}

// send writes a request and returns its sequence number.
func (l *link) send(id pdu.ID, body pdu.Body) uint32 {
	l.Helper()
	l.mu.Lock()
	l.sequence++
	n := l.sequence
	l.mu.Unlock()
	l.write(pdu.Header{ID: id, Sequence: n}, body)
	return n
}

func (l *link) write(h pdu.Header, body pdu.Body) {
	l.Helper()
	if body == nil {
		body = new(pdu.Empty)
	}
	b, err := body.Append(nil, h)
	if err != nil {
		l.Fatal(err)
	}
	_, _ = l.conn.Write(b) // a peer that has gone shows when the answer is read
}

// next returns the next PDU but enquire_links, which it answers.
func (l *link) next() (frame, bool) {
	l.Helper()
	late := time.After(patience)
	for {
		select {
		case f, ok := <-l.frames:
			if ok && f.ID == pdu.IDEnquireLink {
				l.write(f.Response(pdu.ESME_ROK), nil)
				continue
			}
			return f, ok
		case <-late:
			l.Fatal("no PDU came")
		}
	}
}

// request sends a request and returns its answer. Requests of the peer that
// come before are kept for await.
func (l *link) request(id pdu.ID, body pdu.Body) frame {
	l.Helper()
	n := l.send(id, body)
	return l.response(n)
}

func (l *link) response(sequence uint32) frame {
	l.Helper()
	for {
		f, ok := l.next()
		switch {
		case !ok:
			l.Fatal("the session ended before an answer")
		case f.ID.IsResponse() && f.Sequence == sequence:
			return f
		}
		l.aside = append(l.aside, f)
	}
}

// await returns the next request of the peer, which has to be of this kind.
func (l *link) await(id pdu.ID) frame {
	l.Helper()
	var f frame
	if len(l.aside) > 0 {
		f, l.aside = l.aside[0], l.aside[1:]
	} else {
		var ok bool
		if f, ok = l.next(); !ok {
			l.Fatalf("the session ended before a %s", id)
		}
	}
	if f.ID != id {
		l.Fatalf("%s (%s) came, not %s", f.ID, f.Status, id)
	}
	return f
}

// message awaits a short message and answers it.
func (l *link) message(id pdu.ID, messageID string) *pdu.SM {
	l.Helper()
	f := l.await(id)
	m := new(pdu.SM)
	l.decode(f, m)
	l.write(f.Response(pdu.ESME_ROK), &pdu.SMResp{MessageID: []byte(messageID)})
	return m
}

func (l *link) decode(f frame, into pdu.Body) {
	l.Helper()
	if err := into.Decode(f.raw); err != nil {
		l.Fatalf("%s: %v", f.ID, err)
	}
}

func international(number string) pdu.Address {
	return pdu.Address{TON: pdu.TONInternational, NPI: pdu.NPIISDN, Addr: []byte(number)}
}

const ours = "38591000001" // our number in the example

// keywordFrom is what a phone writes to our number.
func keywordFrom(phone, text string) *pdu.SM {
	return &pdu.SM{Source: international(phone), Dest: international(ours), ShortMessage: []byte(text)}
}
