package pdu

import (
	"bytes"
	"io"
	"testing"

	module "github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutlv"
)

// Each pair does the same work with this codec and with the go-smpp module.

func BenchmarkDecodeSubmitSM(b *testing.B) {
	wire := encode(b, IDSubmitSM, fullSM())
	b.Run("trunkline", func(b *testing.B) {
		b.ReportAllocs()
		var m SM
		for b.Loop() {
			if h, err := DecodeHeader(wire); err != nil || h.ID != IDSubmitSM {
				b.Fatal(h, err)
			}
			if err := m.Decode(wire); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("validated", func(b *testing.B) {
		b.ReportAllocs()
		var m SM
		for b.Loop() {
			if err := m.Decode(wire); err != nil {
				b.Fatal(err)
			}
			if err := m.Validate(IDSubmitSM); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("go-smpp", func(b *testing.B) {
		b.ReportAllocs()
		var r bytes.Reader
		for b.Loop() {
			r.Reset(wire)
			if _, err := module.Decode(&r); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkEncodeSubmitSM(b *testing.B) {
	m := fullSM()
	b.Run("trunkline", func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		var err error
		for b.Loop() {
			if buf, err = m.Append(buf[:0], Header{ID: IDSubmitSM, Sequence: 1}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("go-smpp", func(b *testing.B) {
		b.ReportAllocs()
		var buf bytes.Buffer
		for b.Loop() {
			buf.Reset()
			p := module.NewSubmitSM(nil)
			for name, v := range moduleFields(m) {
				if err := p.Fields().Set(name, v); err != nil {
					b.Fatal(err)
				}
			}
			if err := p.TLVFields().Set(pdutlv.Tag(TagUserMessageReference), []byte{0, 7}); err != nil {
				b.Fatal(err)
			}
			if err := p.SerializeTo(&buf); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("go-smpp serialize only", func(b *testing.B) {
		b.ReportAllocs()
		p := module.NewSubmitSM(nil)
		for name, v := range moduleFields(m) {
			if err := p.Fields().Set(name, v); err != nil {
				b.Fatal(err)
			}
		}
		if p.Fields()[pdufield.ShortMessage] == nil {
			b.Fatal("no message")
		}
		for b.Loop() {
			if err := p.SerializeTo(io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	wire := encode(b, IDSubmitSM, fullSM())
	var r bytes.Reader
	var buf []byte
	var err error
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(wire)
		if buf, _, err = Read(&r, buf, 4096); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseTime(b *testing.B) {
	at := []byte("260102030405608+")
	b.ReportAllocs()
	for b.Loop() {
		if err := (&SM{Schedule: at, Dest: Address{Addr: at[:2]}}).Validate(IDSubmitSM); err != nil {
			b.Fatal(err)
		}
	}
}

// A reused struct and a buffer with room cost no allocation.
func TestNoAllocation(t *testing.T) {
	wire := encode(t, IDSubmitSM, fullSM())
	multi := encode(t, IDSubmitMulti, &SubmitMulti{Dests: make([]Dest, 20)})
	var (
		m    SM
		many SubmitMulti
		r    bytes.Reader
		buf  = make([]byte, 0, 1024)
		out  = make([]byte, 0, 1024)
	)
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"decode", func() { check(t, m.Decode(wire)) }}, // the others use what it decoded
		{"validate", func() { check(t, m.Validate(IDSubmitSM)) }},
		{"multi", func() { check(t, many.Decode(multi)) }},
		{"read", func() {
			r.Reset(wire)
			_, _, err := Read(&r, buf, 1024)
			check(t, err)
		}},
		{"append", func() {
			_, err := m.Append(out, Header{ID: IDSubmitSM})
			check(t, err)
		}},
		{"tlv", func() {
			if _, ok := m.TLVs.Get(TagUserMessageReference); !ok {
				t.Error("no TLV")
			}
			for range m.TLVs.All() {
			}
		}},
	} {
		c.f() // the first decode of submit_multi grows its list
		if n := testing.AllocsPerRun(100, c.f); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

func check(t *testing.T, err error) {
	if err != nil {
		t.Error(err)
	}
}
