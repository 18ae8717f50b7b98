package flowengine

import (
	"trunkline/flowengine/record"
)

// AppendOrigin appends the stored form of o to b.
func AppendOrigin(b []byte, o *Origin) []byte {
	b = record.AppendBytes(b, 1, o.Person[:])
	b = record.AppendString(b, 2, o.Flow)
	b = record.AppendUint(b, 3, uint64(o.Version))
	b = record.AppendString(b, 4, o.Element)
	b = record.AppendUint(b, 5, uint64(o.Number))
	return record.AppendUint(b, 6, uint64(o.Seq))
}

// DecodeOrigin reads what AppendOrigin wrote.
func DecodeOrigin(b []byte, o *Origin) error {
	return record.Decode(b, "origin", func(f record.Field) error {
		switch f.Num {
		case 1:
			var err error
			o.Person, err = decodePersonID(f.Bytes)
			return err
		case 2:
			o.Flow = string(f.Bytes)
		case 3:
			o.Version = uint32(f.Uint)
		case 4:
			o.Element = string(f.Bytes)
		case 5:
			o.Number = uint32(f.Uint)
		case 6:
			o.Seq = uint32(f.Uint)
		}
		return nil
	})
}

// eventSame is the number of what an event has in common with the one before it
// in the record, as bits: it is not written again. Records from before that have
// no such field.
const eventSame = 12

// eventMessage is the number of the field that tells the message.
const eventMessage = 13

const (
	sameFlow = 1 << iota
	sameVersion
	sameElement
	sameNumber
)

// same tells what e has in common with the event before it.
func (e *Event) same(before *Event) (bits uint64) {
	for i, same := range [...]bool{
		e.Flow != "" && e.Flow == before.Flow,
		e.Version != 0 && e.Version == before.Version,
		e.Element != "" && e.Element == before.Element,
		e.Number != 0 && e.Number == before.Number,
	} {
		if same {
			bits |= 1 << i
		}
	}
	return bits
}

// share takes over what e has in common with the event before it.
func (e *Event) share(before *Event, bits uint64) {
	if bits&sameFlow != 0 {
		e.Flow = before.Flow
	}
	if bits&sameVersion != 0 {
		e.Version = before.Version
	}
	if bits&sameElement != 0 {
		e.Element = before.Element
	}
	if bits&sameNumber != 0 {
		e.Number = before.Number
	}
}

// AppendEvents appends the stored form of a stretch of history, which happened
// at one moment, to b.
func AppendEvents(b []byte, events []Event) []byte {
	before := new(Event)
	for i := range events {
		e := &events[i]
		b = record.AppendNested(b, 1, func(b []byte) []byte { return e.appendAfter(b, before) })
		before = e
	}
	return b
}

// appendAfter appends the stored form of an event that follows another.
func (e *Event) appendAfter(b []byte, before *Event) []byte {
	same := e.same(before)
	b = record.AppendUint(b, 1, uint64(e.Kind))
	b = record.AppendUint(b, eventSame, same)
	if same&sameFlow == 0 {
		b = record.AppendString(b, 2, e.Flow)
	}
	if same&sameVersion == 0 {
		b = record.AppendUint(b, 3, uint64(e.Version))
	}
	if same&sameElement == 0 {
		b = record.AppendString(b, 4, e.Element)
	}
	if same&sameNumber == 0 {
		b = record.AppendUint(b, 5, uint64(e.Number))
	}
	b = record.AppendUint(b, 6, uint64(e.Units))
	b = record.AppendBool(b, 7, e.First)
	b = record.AppendString(b, 8, e.Detail)
	b = record.AppendString(b, eventMessage, e.Message)
	return AppendCharge(b, &e.Charge)
}

// DecodeEvents reads what AppendEvents wrote and appends it to events.
func DecodeEvents(b []byte, events []Event) ([]Event, error) {
	var before Event
	err := record.Decode(b, "events", func(f record.Field) error {
		if f.Num != 1 {
			return nil
		}
		events = append(events, Event{})
		e := &events[len(events)-1]
		defer func() { before = *e }()
		return record.Decode(f.Bytes, "event", func(f record.Field) error {
			switch f.Num {
			case 1:
				e.Kind = EventKind(f.Uint)
			case 2:
				e.Flow = string(f.Bytes)
			case 3:
				e.Version = uint32(f.Uint)
			case 4:
				e.Element = string(f.Bytes)
			case 5:
				e.Number = uint32(f.Uint)
			case 6:
				e.Units = uint32(f.Uint)
			case 7:
				e.First = f.Bool()
			case 8:
				e.Detail = string(f.Bytes)
			case eventMessage:
				e.Message = string(f.Bytes)
			case eventSame:
				e.share(&before, f.Uint)
			default:
				return DecodeCharge(f, &e.Charge)
			}
			return nil
		})
	})
	return events, err
}
