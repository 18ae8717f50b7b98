package text

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

func TestParseHeader(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   string
		want Header
		rest string
	}{
		{"empty", "\x00rest", Header{}, "rest"},
		{"8-bit reference", "\x05\x00\x03\xab\x03\x02rest", Header{Concat: Concat{Ref: 0xab, Total: 3, Seq: 2, OK: true}}, "rest"},
		{"16-bit reference", "\x06\x08\x04\xab\xcd\x03\x02", Header{Concat: Concat{Ref: 0xabcd, Total: 3, Seq: 2, Wide: true, OK: true}}, ""},
		{"8-bit ports", "\x04\x04\x02\xf0\xf1", Header{Ports: Ports{Dest: 0xf0, Source: 0xf1, OK: true}}, ""},
		{"16-bit ports", "\x06\x05\x04\x15\x81\x15\x82", Header{Ports: Ports{Dest: 0x1581, Source: 0x1582, OK: true}}, ""},
		{"languages", "\x06\x24\x01\x01\x25\x01\x03", Header{Single: Turkish, Locking: Portuguese}, ""},
		{"EMS element beside a reference", "\x0a\x0a\x03\x00\x05\x10\x00\x03\x01\x02\x01x", Header{Concat: Concat{Ref: 1, Total: 2, Seq: 1, OK: true}}, "x"},
		{"the last of several counts", "\x0b\x00\x03\x01\x02\x01\x08\x04\x00\x02\x03\x03", Header{Concat: Concat{Ref: 2, Total: 3, Seq: 3, Wide: true, OK: true}}, ""},
		{"total 0 counts for nothing", "\x05\x00\x03\x01\x00\x00", Header{}, ""},
		{"seq 0 counts for nothing", "\x05\x00\x03\x01\x02\x00", Header{}, ""},
		{"seq beyond total counts for nothing", "\x05\x00\x03\x01\x02\x03", Header{}, ""},
		{"wrong length counts for nothing", "\x04\x00\x02\x01\x02", Header{}, ""},
		{"empty element", "\x02\x70\x00", Header{}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, rest, err := ParseHeader([]byte(tc.in))
			if err != nil {
				t.Fatal(err)
			}
			if raw := tc.in[1 : 1+tc.in[0]]; string(got.Raw) != raw {
				t.Errorf("raw % X, want % X", got.Raw, raw)
			}
			got.Raw = nil
			if !reflect.DeepEqual(got, tc.want) || string(rest) != tc.rest {
				t.Errorf("got %+v and %q\nwant %+v and %q", got, rest, tc.want, tc.rest)
			}
		})
	}
}

func TestParseHeaderRefusesBrokenOnes(t *testing.T) {
	for _, in := range []string{"", "\x05", "\x05\x00\x03\x01\x02", "\x01\x00", "\x02\x00\x01", "\x03\x24\x02\x01x", "\xff\x00"} {
		if h, rest, err := ParseHeader([]byte(in)); !errors.Is(err, ErrHeader) {
			t.Errorf("ParseHeader(% X) = %+v, % X, %v", in, h, rest, err)
		}
	}
}

func TestElements(t *testing.T) {
	h, _, err := ParseHeader([]byte("\x0a\x0a\x03\x00\x05\x10\x00\x03\x01\x02\x01"))
	if err != nil {
		t.Fatal(err)
	}
	var ids, contents []byte
	for id, content := range h.Elements() {
		ids, contents = append(ids, id), append(contents, content...)
	}
	if !bytes.Equal(ids, []byte{0x0a, 0x00}) || string(contents) != "\x00\x05\x10\x01\x02\x01" {
		t.Errorf("elements % X with % X", ids, contents)
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add([]byte("\x05\x00\x03\xab\x03\x02rest"))
	f.Add([]byte("\x06\x24\x01\x01\x25\x01\x03"))
	f.Add([]byte("\x03\x24\x02\x01x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, rest, err := ParseHeader(b)
		if err != nil {
			return
		}
		if 1+len(h.Raw)+len(rest) != len(b) {
			t.Fatalf("% X: %d octets of elements and %d behind", b, len(h.Raw), len(rest))
		}
		n := 0
		for _, content := range h.Elements() {
			n += 2 + len(content)
		}
		if n != len(h.Raw) {
			t.Fatalf("% X: elements cover %d of %d octets", b, n, len(h.Raw))
		}
		if c := h.Concat; c.OK && (c.Seq < 1 || c.Seq > c.Total) {
			t.Fatalf("% X: part %d of %d", b, c.Seq, c.Total)
		}
	})
}
