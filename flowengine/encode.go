package flowengine

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The stored form of people and passages is the protocol buffers wire format,
// written by hand because a step encodes several records and reflection would
// dominate it. Field numbers are never reused. Unknown fields are skipped, so a
// newer daemon's additions don't stop an older one from reading.
// Times are Unix milliseconds.

// ErrCorrupt is wrapped by every error of the decoders in this package.
var ErrCorrupt = errors.New("stored record is damaged")

// AppendPerson appends the stored form of p, without its ID, to b.
func AppendPerson(b []byte, p *Person) []byte {
	b = appendTime(b, 1, p.Created)
	for _, a := range p.Addresses {
		b = appendMessage(b, 2, func(b []byte) []byte {
			b = appendUint(b, 1, uint64(a.Kind))
			return appendString(b, 2, a.Value)
		})
	}
	b = appendAttrs(b, 3, p.Attrs)
	for _, t := range p.Tags {
		b = appendMessage(b, 4, func(b []byte) []byte {
			b = appendString(b, 1, t.Fold)
			return appendString(b, 2, t.Name)
		})
	}
	for _, k := range p.DoNotContact {
		b = appendUint(b, 5, uint64(k))
	}
	return b
}

// DecodePerson reads what AppendPerson wrote into p, which must be empty but
// for its ID.
func DecodePerson(b []byte, p *Person) error {
	return decode(b, "person", func(f field) error {
		switch f.num {
		case 1:
			p.Created = f.time()
		case 2:
			var a Address
			err := decode(f.bytes, "address", func(f field) error {
				switch f.num {
				case 1:
					a.Kind = AddressKind(f.uint)
				case 2:
					a.Value = string(f.bytes)
				}
				return nil
			})
			p.Addresses = append(p.Addresses, a)
			return err
		case 3:
			return decodeAttr(f.bytes, &p.Attrs)
		case 4:
			var t Tag
			err := decode(f.bytes, "tag", func(f field) error {
				switch f.num {
				case 1:
					t.Fold = string(f.bytes)
				case 2:
					t.Name = string(f.bytes)
				}
				return nil
			})
			p.Tags = append(p.Tags, t)
			return err
		case 5:
			p.DoNotContact = append(p.DoNotContact, AddressKind(f.uint))
		}
		return nil
	})
}

// AppendPassages appends the stored form of p to b.
func AppendPassages(b []byte, p *Passages) []byte {
	b = appendUint(b, 1, p.Waits)
	for i := range p.Runs {
		b = appendMessage(b, 2, func(b []byte) []byte { return appendRun(b, &p.Runs[i]) })
	}
	for i := range p.Flows {
		b = appendMessage(b, 3, func(b []byte) []byte { return appendMembership(b, &p.Flows[i]) })
	}
	for _, h := range p.Heard {
		b = appendMessage(b, 4, func(b []byte) []byte {
			b = appendUint(b, 1, h.Sum)
			return appendTime(b, 2, h.At)
		})
	}
	return b
}

// DecodePassages reads what AppendPassages wrote into p, which must be empty.
func DecodePassages(b []byte, p *Passages) error {
	return decode(b, "passages", func(f field) error {
		switch f.num {
		case 1:
			p.Waits = f.uint
		case 2:
			p.Runs = append(p.Runs, Run{})
			return decodeRun(f.bytes, &p.Runs[len(p.Runs)-1])
		case 3:
			p.Flows = append(p.Flows, Membership{})
			return decodeMembership(f.bytes, &p.Flows[len(p.Flows)-1])
		case 4:
			var h Digest
			err := decode(f.bytes, "digest", func(f field) error {
				switch f.num {
				case 1:
					h.Sum = f.uint
				case 2:
					h.At = f.time()
				}
				return nil
			})
			p.Heard = append(p.Heard, h)
			return err
		}
		return nil
	})
}

func appendRun(b []byte, r *Run) []byte {
	b = appendString(b, 1, r.Flow)
	b = appendUint(b, 2, uint64(r.Version))
	b = appendUint(b, 3, uint64(r.Number))
	b = appendString(b, 4, r.Entry)
	b = appendTime(b, 5, r.Entered)
	b = appendString(b, 6, r.Element)
	b = appendUint(b, 7, uint64(r.Seq))
	b = appendTime(b, 8, r.Since)
	b = appendTime(b, 9, r.Deadline)
	b = appendUint(b, 10, r.Wait)
	b = appendString(b, 11, r.Sending)
	b = appendUint(b, 12, uint64(r.Steps))
	b = appendUint(b, 13, uint64(r.Repeats))
	b = appendAttrs(b, 14, r.Vars)
	if h := r.Inbound; h != nil {
		b = appendMessage(b, 15, func(b []byte) []byte {
			b = appendString(b, 1, h.Channel)
			b = appendString(b, 2, h.From)
			b = appendString(b, 3, h.To)
			b = appendString(b, 4, h.Text)
			b = appendString(b, 5, h.Keyword)
			return appendTime(b, 6, h.At)
		})
	}
	return b
}

func decodeRun(b []byte, r *Run) error {
	return decode(b, "run", func(f field) error {
		switch f.num {
		case 1:
			r.Flow = string(f.bytes)
		case 2:
			r.Version = uint32(f.uint)
		case 3:
			r.Number = uint32(f.uint)
		case 4:
			r.Entry = string(f.bytes)
		case 5:
			r.Entered = f.time()
		case 6:
			r.Element = string(f.bytes)
		case 7:
			r.Seq = uint32(f.uint)
		case 8:
			r.Since = f.time()
		case 9:
			r.Deadline = f.time()
		case 10:
			r.Wait = f.uint
		case 11:
			r.Sending = string(f.bytes)
		case 12:
			r.Steps = uint32(f.uint)
		case 13:
			r.Repeats = uint32(f.uint)
		case 14:
			return decodeAttr(f.bytes, &r.Vars)
		case 15:
			h := new(Heard)
			r.Inbound = h
			return decode(f.bytes, "inbound", func(f field) error {
				switch f.num {
				case 1:
					h.Channel = string(f.bytes)
				case 2:
					h.From = string(f.bytes)
				case 3:
					h.To = string(f.bytes)
				case 4:
					h.Text = string(f.bytes)
				case 5:
					h.Keyword = string(f.bytes)
				case 6:
					h.At = f.time()
				}
				return nil
			})
		}
		return nil
	})
}

func appendMembership(b []byte, m *Membership) []byte {
	b = appendString(b, 1, m.Flow)
	b = appendUint(b, 2, uint64(m.Entries))
	for _, t := range m.Recent {
		b = appendTime(b, 3, t)
	}
	b = appendTime(b, 4, m.LastExit)
	for _, v := range m.Visited {
		b = protowire.AppendTag(b, 5, protowire.Fixed32Type)
		b = protowire.AppendFixed32(b, v)
	}
	return b
}

func decodeMembership(b []byte, m *Membership) error {
	return decode(b, "membership", func(f field) error {
		switch f.num {
		case 1:
			m.Flow = string(f.bytes)
		case 2:
			m.Entries = uint32(f.uint)
		case 3:
			m.Recent = append(m.Recent, f.time())
		case 4:
			m.LastExit = f.time()
		case 5:
			m.Visited = append(m.Visited, uint32(f.uint))
		}
		return nil
	})
}

// AppendOrigin appends the stored form of o to b.
func AppendOrigin(b []byte, o *Origin) []byte {
	b = appendBytes(b, 1, o.Person[:])
	b = appendString(b, 2, o.Flow)
	b = appendUint(b, 3, uint64(o.Version))
	b = appendString(b, 4, o.Element)
	b = appendUint(b, 5, uint64(o.Number))
	return appendUint(b, 6, uint64(o.Seq))
}

// DecodeOrigin reads what AppendOrigin wrote.
func DecodeOrigin(b []byte, o *Origin) error {
	return decode(b, "origin", func(f field) error {
		switch f.num {
		case 1:
			if len(f.bytes) != len(o.Person) {
				return fmt.Errorf("%w: a person id of %d bytes", ErrCorrupt, len(f.bytes))
			}
			copy(o.Person[:], f.bytes)
		case 2:
			o.Flow = string(f.bytes)
		case 3:
			o.Version = uint32(f.uint)
		case 4:
			o.Element = string(f.bytes)
		case 5:
			o.Number = uint32(f.uint)
		case 6:
			o.Seq = uint32(f.uint)
		}
		return nil
	})
}

// AppendEvents appends the stored form of a stretch of history, which happened
// at one moment, to b.
func AppendEvents(b []byte, events []Event) []byte {
	for i := range events {
		e := &events[i]
		b = appendMessage(b, 1, func(b []byte) []byte {
			b = appendUint(b, 1, uint64(e.Kind))
			b = appendString(b, 2, e.Flow)
			b = appendUint(b, 3, uint64(e.Version))
			b = appendString(b, 4, e.Element)
			b = appendUint(b, 5, uint64(e.Number))
			b = appendUint(b, 6, uint64(e.Units))
			if e.First {
				b = appendUint(b, 7, 1)
			}
			return appendString(b, 8, e.Detail)
		})
	}
	return b
}

// DecodeEvents reads what AppendEvents wrote and appends it to events.
func DecodeEvents(b []byte, events []Event) ([]Event, error) {
	err := decode(b, "events", func(f field) error {
		if f.num != 1 {
			return nil
		}
		events = append(events, Event{})
		e := &events[len(events)-1]
		return decode(f.bytes, "event", func(f field) error {
			switch f.num {
			case 1:
				e.Kind = EventKind(f.uint)
			case 2:
				e.Flow = string(f.bytes)
			case 3:
				e.Version = uint32(f.uint)
			case 4:
				e.Element = string(f.bytes)
			case 5:
				e.Number = uint32(f.uint)
			case 6:
				e.Units = uint32(f.uint)
			case 7:
				e.First = f.uint != 0
			case 8:
				e.Detail = string(f.bytes)
			}
			return nil
		})
	})
	return events, err
}

func appendAttrs(b []byte, num protowire.Number, attrs Attrs) []byte {
	for i := range attrs {
		a := &attrs[i]
		b = appendMessage(b, num, func(b []byte) []byte {
			b = appendString(b, 1, a.Name)
			b = appendUint(b, 2, uint64(a.Value.Type))
			b = appendString(b, 3, a.Value.Str)
			return appendUint(b, 4, protowire.EncodeZigZag(a.Value.Num))
		})
	}
	return b
}

func decodeAttr(b []byte, attrs *Attrs) error {
	var a Attr
	err := decode(b, "attribute", func(f field) error {
		switch f.num {
		case 1:
			a.Name = string(f.bytes)
		case 2:
			a.Value.Type = Type(f.uint)
		case 3:
			a.Value.Str = string(f.bytes)
		case 4:
			a.Value.Num = protowire.DecodeZigZag(f.uint)
		}
		return nil
	})
	if err != nil {
		return err
	}
	attrs.Set(a.Name, a.Value)
	return nil
}

func appendUint(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, num, protowire.VarintType)
	return protowire.AppendVarint(b, v)
}

func appendTime(b []byte, num protowire.Number, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return appendUint(b, num, protowire.EncodeZigZag(t.UnixMilli()))
}

func appendString(b []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	b = protowire.AppendTag(b, num, protowire.BytesType)
	return protowire.AppendString(b, s)
}

func appendBytes(b []byte, num protowire.Number, v []byte) []byte {
	b = protowire.AppendTag(b, num, protowire.BytesType)
	return protowire.AppendBytes(b, v)
}

// appendMessage appends what body appends as a length-delimited field. The
// length is written after the fact: one octet is reserved, and the body moves
// when it turns out longer than 127 octets.
func appendMessage(b []byte, num protowire.Number, body func([]byte) []byte) []byte {
	b = protowire.AppendTag(b, num, protowire.BytesType)
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

// field is one decoded field: bytes for length-delimited ones, uint for numbers.
type field struct {
	num   protowire.Number
	uint  uint64
	bytes []byte
}

func (f field) time() time.Time {
	return time.UnixMilli(protowire.DecodeZigZag(f.uint)).UTC()
}

// decode calls each for the fields of a record, in order.
func decode(b []byte, what string, each func(field) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("%w: %s: %w", ErrCorrupt, what, protowire.ParseError(n))
		}
		b = b[n:]
		f := field{num: num}
		switch typ {
		case protowire.VarintType:
			f.uint, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			f.uint = uint64(v)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return fmt.Errorf("%w: %s: field %d: %w", ErrCorrupt, what, num, protowire.ParseError(n))
		}
		b = b[n:]
		if err := each(f); err != nil {
			return err
		}
	}
	return nil
}
