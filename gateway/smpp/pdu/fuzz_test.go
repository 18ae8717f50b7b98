package pdu

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"
	"time"

	module "github.com/fiorix/go-smpp/smpp/pdu"
)

// status returns the status of a fault, which must be typed and not "no error".
func status(t *testing.T, err error) Status {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Status == ESME_ROK || e.Field == "" || e.Reason == "" {
		t.Fatalf("%#v is no fault with a status", err)
	}
	return e.Status
}

// A stream of any octets is cut into PDUs of the announced length within the
// limit or refused, and the header is the module's.
func FuzzHeader(f *testing.F) {
	f.Add(AppendHeader(nil, Header{ID: IDEnquireLink, Sequence: 1}))
	f.Add(append(AppendHeader(nil, Header{ID: IDUnbind, Sequence: 1}), AppendHeader(nil, Header{ID: IDUnbindResp})...))
	f.Fuzz(func(t *testing.T, stream []byte) {
		const limit = 512
		r := bytes.NewReader(stream)
		var buf []byte
		for {
			before := stream[len(stream)-r.Len():]
			pdu, h, err := Read(r, buf, limit)
			if cap(pdu) > 2*limit {
				t.Fatalf("a buffer of %d octets for a limit of %d", cap(pdu), limit)
			}
			theirs, theirErr := module.DecodeHeader(bytes.NewReader(before))
			if err == nil {
				if theirErr != nil || theirs.Len != h.Length || uint32(theirs.ID) != uint32(h.ID) ||
					uint32(theirs.Status) != uint32(h.Status) || theirs.Seq != h.Sequence {
					t.Fatalf("%+v, the module reads %+v, %v", h, theirs, theirErr)
				}
				if int(h.Length) != len(pdu) || !bytes.Equal(pdu, before[:len(pdu)]) {
					t.Fatalf("%x as %x", before, pdu)
				}
				buf = pdu
				continue
			}
			if err == io.EOF && len(before) == 0 || err == io.ErrUnexpectedEOF {
				return
			}
			if s := status(t, err); s != ESME_RINVCMDLEN || h.Length >= HeaderLen && h.Length <= limit {
				t.Fatalf("%x: %v", before, err)
			}
			return
		}
	})
}

// Any octets behind a header of any command are refused with a status, or read
// so that they write back as the same octets and mean to the module what they
// mean to us.
func FuzzBody(f *testing.F) {
	for i, id := range bodyIDs {
		body, _ := NewBody(id)
		wire := encode(f, id, body)
		f.Add(byte(i), wire[HeaderLen:])
		if id == IDSubmitSM || id == IDDeliverSM {
			f.Add(byte(i), encode(f, id, fullSM())[HeaderLen:])
		}
	}
	f.Fuzz(func(t *testing.T, which byte, octets []byte) {
		if len(octets) > 64<<10 {
			return
		}
		id := bodyIDs[int(which)%len(bodyIDs)]
		h := Header{ID: id, Sequence: 1, Length: uint32(HeaderLen + len(octets))}
		if len(octets) == 0 {
			h.Status = ESME_RSYSERR // only then may a body be absent
		}
		wire := AppendHeader(nil, h)
		wire[0], wire[1], wire[2], wire[3] = 0, byte(h.Length>>16), byte(h.Length>>8), byte(h.Length)
		wire = append(wire, octets...)
		body, _ := NewBody(id)
		if err := body.Decode(wire); err != nil {
			status(t, err)
			return
		}
		again, err := body.Append(nil, h)
		if err != nil || !bytes.Equal(again, wire) {
			t.Fatalf("%s %x\nwrites back as %x, %v", id, wire, again, err)
		}
		checkModule(t, id, body, wire)
		switch m := body.(type) {
		case *SM:
			err = m.Validate(id)
		case interface{ Validate() error }:
			err = m.Validate()
		}
		if err != nil {
			status(t, err)
		}
		// A struct used before holds nothing of its past.
		used, _ := NewBody(id)
		_ = used.Decode(wire[:HeaderLen+len(octets)/2])
		if err := used.Decode(wire); err != nil || !same(reflect.ValueOf(used).Elem(), reflect.ValueOf(body).Elem()) {
			t.Fatalf("used again: %+v, %v\nfresh: %+v", used, err, body)
		}
	})
}

// Looking up and iterating agree on any octets, and well-formed ones write
// back as they were.
func FuzzTLV(f *testing.F) {
	f.Add([]byte(sar(1, 2, 1)), uint16(TagSARSegmentSeqnum))
	f.Fuzz(func(t *testing.T, octets []byte, tag uint16) {
		tlvs := TLVs(octets)
		var (
			again TLVs
			first []byte
			found bool
			err   error
		)
		for tg, v := range tlvs.All() {
			if tg == Tag(tag) && !found {
				first, found = v, true
			}
			if again, err = again.Append(tg, v); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.HasPrefix(tlvs, again) {
			t.Fatalf("%x is no beginning of %x", []byte(again), octets)
		}
		if _, reason := tlvs.check(); (reason == "") != (len(again) == len(tlvs)) {
			t.Fatalf("%q, but %d of %d octets are iterated", reason, len(again), len(tlvs))
		}
		got, ok := tlvs.Get(Tag(tag))
		if ok != found || !bytes.Equal(got, first) {
			t.Fatalf("Get: %x %v, All: %x %v", got, ok, first, found)
		}
		if _, ok := tlvs.CString(Tag(tag)); ok != found {
			t.Fatalf("CString finds %v, Get %v", ok, found)
		}
		tlvs.SAR()
		var c checker
		c.tlvs(tlvs)
		if err := c.end(); err != nil {
			status(t, err)
		}
	})
}

// Any octets are refused or are a time that writes back as the same instant.
func FuzzTime(f *testing.F) {
	for _, s := range []string{"", "260102030405608+", "260102030405648-", "000007000000000R", "240229235959900+"} {
		f.Add([]byte(s))
	}
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, octets []byte) {
		at, relative, err := ParseTime(octets, now)
		switch {
		case err != nil:
			if !at.IsZero() || relative {
				t.Fatalf("%q: %v besides %v", octets, at, err)
			}
		case len(octets) == 0:
			if !at.IsZero() {
				t.Fatalf("nothing is %v", at)
			}
		case relative:
			if at.Before(now) {
				t.Fatalf("%q lies before", octets)
			}
		default:
			b, err := AppendTime(nil, at)
			if y := at.Year(); err != nil && (y == 1999 || y == 2100) {
				return // an offset that crosses the century
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, _, err := ParseTime(b, now); err != nil || !got.Equal(at) {
				t.Fatalf("%q is %v, its rewriting %q is %v, %v", octets, at, b, got, err)
			}
		}
	})
}
