// Package record is the stored form of everything the flow engine keeps: the
// protocol buffers wire format, written by hand because a step encodes several
// records and reflection would dominate it.
//
// Field numbers are never reused and unknown fields are skipped, so that what a
// newer daemon adds does not stop an older one from reading. Zero values are not
// written. Times are Unix milliseconds.
package record

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrDamaged is wrapped by every error of Decode.
var ErrDamaged = errors.New("stored record is damaged")

// AppendUint appends a number, unless it is zero.
func AppendUint(b []byte, num int, v uint64) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, protowire.Number(num), protowire.VarintType)
	return protowire.AppendVarint(b, v)
}

// AppendFixed32 appends a number of four octets, zero too.
func AppendFixed32(b []byte, num int, v uint32) []byte {
	b = protowire.AppendTag(b, protowire.Number(num), protowire.Fixed32Type)
	return protowire.AppendFixed32(b, v)
}

// AppendInt appends a signed number, unless it is zero. Read it with Field.Int.
func AppendInt(b []byte, num int, v int64) []byte {
	return AppendUint(b, num, protowire.EncodeZigZag(v))
}

// AppendBool appends a flag, unless it is false.
func AppendBool(b []byte, num int, v bool) []byte {
	if !v {
		return b
	}
	return AppendUint(b, num, 1)
}

// AppendTime appends a time in milliseconds, unless it is zero.
func AppendTime(b []byte, num int, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return AppendInt(b, num, t.UnixMilli())
}

// AppendString appends a text, unless it is empty.
func AppendString(b []byte, num int, s string) []byte {
	if s == "" {
		return b
	}
	b = protowire.AppendTag(b, protowire.Number(num), protowire.BytesType)
	return protowire.AppendString(b, s)
}

// AppendBytes appends octets, empty ones too.
func AppendBytes(b []byte, num int, v []byte) []byte {
	b = protowire.AppendTag(b, protowire.Number(num), protowire.BytesType)
	return protowire.AppendBytes(b, v)
}

// AppendNested appends what body appends as a length-delimited field. The
// length is written after the fact: one octet is reserved, and the body moves
// when it turns out longer than 127 octets.
func AppendNested(b []byte, num int, body func([]byte) []byte) []byte {
	b = protowire.AppendTag(b, protowire.Number(num), protowire.BytesType)
	at := len(b)
	b = append(b, 0)
	b = body(b)
	n := len(b) - at - 1
	if n < 128 {
		b[at] = byte(n)
		return b
	}
	extra := protowire.SizeVarint(uint64(n)) - 1
	b = append(b, make([]byte, extra)...)
	copy(b[at+1+extra:], b[at+1:at+1+n])
	protowire.AppendVarint(b[:at], uint64(n))
	return b
}

// Field is one decoded field: Bytes, valid as long as the record, for texts,
// octets and nested records; Uint for numbers.
type Field struct {
	Num   int
	Uint  uint64
	Bytes []byte
}

// Int is a number that AppendInt wrote.
func (f Field) Int() int64 { return protowire.DecodeZigZag(f.Uint) }

// Bool is a flag that AppendBool wrote.
func (f Field) Bool() bool { return f.Uint != 0 }

// Time is a time that AppendTime wrote, in UTC.
func (f Field) Time() time.Time {
	return time.UnixMilli(f.Int()).UTC()
}

// Decode calls each for the fields of a record, in order. what names the record
// in errors, all of which wrap ErrDamaged or come from each.
func Decode(b []byte, what string, each func(Field) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("%w: %s: %w", ErrDamaged, what, protowire.ParseError(n))
		}
		b = b[n:]
		f := Field{Num: int(num)}
		switch typ {
		case protowire.VarintType:
			f.Uint, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			f.Uint = uint64(v)
		case protowire.BytesType:
			f.Bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return fmt.Errorf("%w: %s: field %d: %w", ErrDamaged, what, num, protowire.ParseError(n))
		}
		b = b[n:]
		if err := each(f); err != nil {
			return err
		}
	}
	return nil
}
