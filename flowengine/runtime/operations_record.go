package runtime

import (
	"encoding/binary"
	"fmt"
	"iter"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
)

// The stored forms of operations. The numbers are stored.

// operationRecord is what was asked for.
type operationRecord struct {
	Flow, Entry       string
	Notify, Callback  string
	Accepted, Expires time.Time
	Total             int
	Reject            bool // contacts of several persons are an error
}

func (o *operationRecord) append(b []byte) []byte {
	b = record.AppendString(b, 1, o.Flow)
	b = record.AppendString(b, 2, o.Entry)
	b = record.AppendString(b, 3, o.Notify)
	b = record.AppendString(b, 4, o.Callback)
	b = record.AppendTime(b, 5, o.Accepted)
	b = record.AppendTime(b, 6, o.Expires)
	b = record.AppendUint(b, 7, uint64(o.Total))
	return record.AppendBool(b, 8, o.Reject)
}

func decodeOperation(b []byte) (*operationRecord, error) {
	o := new(operationRecord)
	return o, record.Decode(b, "operation", func(f record.Field) error {
		switch f.Num {
		case 1:
			o.Flow = string(f.Bytes)
		case 2:
			o.Entry = string(f.Bytes)
		case 3:
			o.Notify = string(f.Bytes)
		case 4:
			o.Callback = string(f.Bytes)
		case 5:
			o.Accepted = f.Time()
		case 6:
			o.Expires = f.Time()
		case 7:
			o.Total = int(f.Uint)
		case 8:
			o.Reject = f.Bool()
		}
		return nil
	})
}

// progressRecord is how far an operation is. Participants below Next have a
// verdict, which may be pending.
type progressRecord struct{ Next, Accepted, Rejected int }

func (p *progressRecord) append(b []byte) []byte {
	b = record.AppendUint(b, 1, uint64(p.Next))
	b = record.AppendUint(b, 2, uint64(p.Accepted))
	return record.AppendUint(b, 3, uint64(p.Rejected))
}

func decodeProgressRecord(b []byte) (*progressRecord, error) {
	p := new(progressRecord)
	return p, record.Decode(b, "progress of an operation", func(f record.Field) error {
		switch f.Num {
		case 1:
			p.Next = int(f.Uint)
		case 2:
			p.Accepted = int(f.Uint)
		case 3:
			p.Rejected = int(f.Uint)
		}
		return nil
	})
}

// Status is what became of a participant.
type Status uint8

// The states of a participant.
const (
	Pending  Status = 1
	Accepted Status = 2
	Rejected Status = 3
)

// String gives the word used in metrics.
func (s Status) String() string {
	switch s {
	case Pending:
		return "pending"
	case Accepted:
		return "accepted"
	case Rejected:
		return "rejected"
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// Reasons for which a participant is rejected, besides those of
// flowengine.Result.Refused.
const (
	RejectedContact   = "invalid_contact"  // no usable address, or those of several persons
	RejectedAttribute = "attribute_missed" // an attribute that is not declared or of another type (rule A3)
	RejectedError     = "error"
)

// verdict is what became of a participant.
type verdict struct {
	Status     Status
	Reason     string
	Detail     string
	Identifier flowengine.Address
	Person     flowengine.PersonID
}

func (v *verdict) append(b []byte) []byte {
	b = record.AppendUint(b, 1, uint64(v.Status))
	b = record.AppendString(b, 2, v.Reason)
	b = record.AppendString(b, 3, v.Detail)
	b = record.AppendUint(b, 4, uint64(v.Identifier.Kind))
	b = record.AppendString(b, 5, v.Identifier.Value)
	if !v.Person.IsZero() {
		b = record.AppendBytes(b, 6, v.Person[:])
	}
	return b
}

func decodeVerdict(b []byte) (*verdict, error) {
	v := new(verdict)
	return v, record.Decode(b, "verdict", func(f record.Field) error {
		switch f.Num {
		case 1:
			v.Status = Status(f.Uint)
		case 2:
			v.Reason = string(f.Bytes)
		case 3:
			v.Detail = string(f.Bytes)
		case 4:
			v.Identifier.Kind = flowengine.AddressKind(f.Uint)
		case 5:
			v.Identifier.Value = string(f.Bytes)
		case 6:
			copy(v.Person[:], f.Bytes)
		}
		return nil
	})
}

// append writes a participant. Its addresses, attributes and tags are stored as
// a profile's are.
func (p *Participant) append(b []byte) []byte {
	b = record.AppendNested(b, 1, func(b []byte) []byte {
		return flowengine.AppendPerson(b, &flowengine.Person{Addresses: p.Addresses, Attrs: p.Attrs, Tags: p.Tags})
	})
	if len(p.Vars) > 0 {
		b = record.AppendNested(b, 2, func(b []byte) []byte { return flowengine.AppendPerson(b, &flowengine.Person{Attrs: p.Vars}) })
	}
	b = record.AppendString(b, 3, p.Rejected)
	b = record.AppendString(b, 4, p.Detail)
	for _, name := range p.Unset {
		b = record.AppendString(b, 5, name)
	}
	return b
}

func decodeParticipant(b []byte) (p Participant, err error) {
	err = record.Decode(b, "participant", func(f record.Field) error {
		switch f.Num {
		case 1:
			var profile flowengine.Person
			err := flowengine.DecodePerson(f.Bytes, &profile, nil)
			p.Addresses, p.Attrs, p.Tags = profile.Addresses, profile.Attrs, profile.Tags
			return err
		case 2:
			var vars flowengine.Person
			err := flowengine.DecodePerson(f.Bytes, &vars, nil)
			p.Vars = vars.Attrs
			return err
		case 3:
			p.Rejected = string(f.Bytes)
		case 4:
			p.Detail = string(f.Bytes)
		case 5:
			p.Unset = append(p.Unset, string(f.Bytes))
		}
		return nil
	})
	return p, err
}

// chunks cuts participants into records of at most chunkBytes, each under the
// index of its first participant. A participant that is too large for a record
// is kept as rejected.
func chunks(all []Participant) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		var body []byte
		first := 0
		for i := range all {
			p := record.AppendNested(nil, 1, all[i].append)
			if len(p) > participantBytes {
				small := Participant{Addresses: all[i].Addresses[:min(1, len(all[i].Addresses))], Rejected: RejectedAttribute, Detail: fmt.Sprintf("more than %d bytes are known of the person", participantBytes)}
				p = record.AppendNested(nil, 1, small.append)
			}
			if len(body) > 0 && len(body)+len(p) > chunkBytes {
				if !yield(first, body) {
					return
				}
				body, first = nil, i
			}
			body = append(body, p...)
		}
		if len(body) > 0 {
			yield(first, body)
		}
	}
}

func decodeParticipants(b []byte) (all []Participant, err error) {
	err = record.Decode(b, "participants", func(f record.Field) error {
		if f.Num != 1 {
			return nil
		}
		p, err := decodeParticipant(f.Bytes)
		all = append(all, p)
		return err
	})
	return all, err
}

func operationPart(kind byte, id OperationID) []byte {
	return append(appendPrefix(make([]byte, 0, 24), id.shard(), kind), id[2:]...)
}

func operationKey(id OperationID) []byte { return operationPart(kindOperation, id) }
func progressKey(id OperationID) []byte  { return append(operationPart(kindOperation, id), 'p') }
func chunkPrefix(id OperationID) []byte  { return operationPart(kindChunk, id) }

func chunkKey(id OperationID, first int) []byte {
	return binary.BigEndian.AppendUint16(chunkPrefix(id), uint16(first))
}

func verdictKey(id OperationID, index int) []byte {
	return binary.BigEndian.AppendUint16(operationPart(kindVerdict, id), uint16(index))
}

// indexOf reads the index at the end of a chunk's, a verdict's or a mark's key.
func indexOf(key []byte) int { return int(binary.BigEndian.Uint16(key[len(key)-2:])) }

func markKey(person flowengine.PersonID, id OperationID, index int) []byte {
	b := append(personKey(nil, kindMark, person), id[:]...)
	return binary.BigEndian.AppendUint16(b, uint16(index))
}

func onceKey(o *Once) []byte { return append(appendPrefix(nil, o.shard(), kindOnce), o.Key[:]...) }
