package runtime

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
	"trunkline/storage"
)

func isNotFound(err error) bool { return errors.Is(err, storage.ErrNotFound) }

// Message is one row of the outbox: a message that has to be sent, and what is
// known of its attempts so far.
type Message struct {
	flowengine.Send
	Attempt uint8
	// Sent counts the parts that a peer took in earlier attempts, Keys are the
	// ids it gave them, Ref is the concatenation reference they share.
	Sent uint8
	Keys []string
	Ref  uint16
	// Claimed is set, durably, before a message that must not be sent twice is
	// given to its channel (rule X2).
	Claimed bool
	// Turn is the message's turn by the clock of its lane; 0: it has none yet (rule X13).
	Turn int64
	// Receipt is set when the row is not a text but a delivery report that is
	// owed to the carrier which submitted an inbound message.
	Receipt *Receipt
	// Deferred is set when the row is an inbound message that its sender
	// scheduled for later.
	Deferred *Arrival
	// Relay is set when the row is work for a shard of another executor.
	Relay   *relay
	Carrier string // the only carrier allowed, or empty
	// Tried are attempts so far, where the channel keeps a record of its messages.
	Tried []Attempt
	// Held: an operator holds the message back; it is due when its validity ends.
	Held bool

	entry *dueEntry
}

// Receipt is a delivery report about an inbound message.
type Receipt struct {
	ID              string
	State           string // StateDelivered or StateDeleted
	Submitted, Done time.Time
	Text            string
}

const (
	msgID = iota + 1
	msgOrigin
	msgChannel
	msgFrom
	msgTo
	msgText
	msgExpires
	msgMarketing
	msgAttempt
	msgSent
	msgKey
	msgRef
	msgClaimed
	msgReceiptID
	msgReceiptSubmitted
	msgReceiptDone
	msgReceiptText
	msgDeferred
	msgCarrier
	msgReceiptState
	msgRelay
	msgData
	msgPacing
	msgTurn
	msgMail
	msgTried
	msgHeld
)

func (m *Message) append(b []byte) []byte {
	b = appendID(b, msgID, m.ID, &m.Origin)
	b = record.AppendNested(b, msgOrigin, func(b []byte) []byte { return flowengine.AppendOrigin(b, &m.Origin) })
	b = record.AppendString(b, msgChannel, m.Channel)
	b = record.AppendString(b, msgFrom, m.From)
	b = record.AppendString(b, msgTo, m.To)
	b = record.AppendString(b, msgText, m.Text)
	b = record.AppendTime(b, msgExpires, m.Expires)
	b = record.AppendBool(b, msgMarketing, m.Marketing)
	b = record.AppendUint(b, msgAttempt, uint64(m.Attempt))
	b = record.AppendUint(b, msgSent, uint64(m.Sent))
	for _, k := range m.Keys {
		b = record.AppendBytes(b, msgKey, []byte(k))
	}
	b = record.AppendUint(b, msgRef, uint64(m.Ref))
	b = record.AppendBool(b, msgClaimed, m.Claimed)
	if r := m.Receipt; r != nil {
		b = record.AppendString(b, msgReceiptID, r.ID)
		b = record.AppendTime(b, msgReceiptSubmitted, r.Submitted)
		b = record.AppendTime(b, msgReceiptDone, r.Done)
		b = record.AppendString(b, msgReceiptText, r.Text)
		b = record.AppendString(b, msgReceiptState, r.State)
	}
	if m.Deferred != nil {
		b = record.AppendNested(b, msgDeferred, m.Deferred.append)
	}
	if m.Relay != nil {
		b = record.AppendNested(b, msgRelay, m.Relay.append)
	}
	if m.Pacing.Paced() {
		b = record.AppendNested(b, msgPacing, m.Pacing.Append)
		b = record.AppendUint(b, msgTurn, uint64(m.Turn))
	}
	if m.Mail != nil {
		b = record.AppendNested(b, msgMail, m.Mail.Append)
	}
	b = record.AppendString(b, msgCarrier, m.Carrier)
	for i := range m.Tried {
		b = record.AppendNested(b, msgTried, m.Tried[i].append)
	}
	b = record.AppendBool(b, msgHeld, m.Held)
	return flowengine.AppendData(b, msgData, m.Data)
}

func decodeMessage(b []byte) (*Message, error) {
	m := new(Message)
	receipt := func() *Receipt {
		if m.Receipt == nil {
			m.Receipt = new(Receipt)
		}
		return m.Receipt
	}
	err := record.Decode(b, "outbox row", func(f record.Field) (err error) {
		switch f.Num {
		case msgID:
			m.ID = string(f.Bytes)
		case msgOrigin:
			err = flowengine.DecodeOrigin(f.Bytes, &m.Origin)
		case msgChannel:
			m.Channel = string(f.Bytes)
		case msgFrom:
			m.From = string(f.Bytes)
		case msgTo:
			m.To = string(f.Bytes)
		case msgText:
			m.Text = string(f.Bytes)
		case msgExpires:
			m.Expires = f.Time()
		case msgMarketing:
			m.Marketing = f.Bool()
		case msgAttempt:
			m.Attempt = uint8(f.Uint)
		case msgSent:
			m.Sent = uint8(f.Uint)
		case msgKey:
			m.Keys = append(m.Keys, string(f.Bytes))
		case msgRef:
			m.Ref = uint16(f.Uint)
		case msgClaimed:
			m.Claimed = f.Bool()
		case msgReceiptID:
			receipt().ID = string(f.Bytes)
		case msgReceiptSubmitted:
			receipt().Submitted = f.Time()
		case msgReceiptDone:
			receipt().Done = f.Time()
		case msgReceiptText:
			receipt().Text = string(f.Bytes)
		case msgReceiptState:
			receipt().State = string(f.Bytes)
		case msgDeferred:
			m.Deferred = new(Arrival)
			err = m.Deferred.decode(f.Bytes)
		case msgRelay:
			m.Relay, err = decodeRelay(f.Bytes)
		case msgData:
			err = flowengine.DecodeData(f.Bytes, &m.Data)
		case msgPacing:
			err = m.Pacing.Decode(f.Bytes)
		case msgTurn:
			m.Turn = int64(f.Uint)
		case msgCarrier:
			m.Carrier = string(f.Bytes)
		case msgMail:
			m.Mail, err = flowengine.DecodeMail(f.Bytes)
		case msgTried:
			var a Attempt
			a, err = decodeAttempt(f.Bytes)
			m.Tried = append(m.Tried, a)
		case msgHeld:
			m.Held = f.Bool()
		}
		return err
	})
	m.ID = wholeID(m.ID, &m.Origin)
	return m, err
}

// appendID appends the id of a message without what its origin tells too.
func appendID(b []byte, num int, id string, o *flowengine.Origin) []byte {
	var buf [160]byte
	if prefix := o.AppendMessagePrefix(buf[:0]); strings.HasPrefix(id, string(prefix)) {
		return record.AppendString(b, num, shortMark+id[len(prefix):])
	}
	return record.AppendString(b, num, id)
}

// wholeID is the inverse of appendID.
func wholeID(id string, o *flowengine.Origin) string {
	rest, short := strings.CutPrefix(id, shortMark)
	if !short {
		return id
	}
	return string(append(o.AppendMessagePrefix(make([]byte, 0, 96)), rest...))
}

// shortMark begins a shortened id; no id begins with it.
const shortMark = "/"

// Arrival is an inbound message, or a part of one, as an edge hands it over.
type Arrival struct {
	ID      string // unique in the daemon; may be empty
	Channel string
	Carrier string
	From    flowengine.Address // normalised
	To      string             // normalised
	Text    string
	Subject string // of an e-mail
	Mail    flowengine.MailFacts
	Key     string // the peer's own id of the message; may be empty
	At      time.Time
	// Part is set when the message is one part of several.
	Part *Part
	// DeliverAt is when the sender wants it to take effect; zero: now.
	DeliverAt time.Time
	// ReportWanted: the carrier asked for a delivery report about ID, which
	// names ReportFrom and ReportTo as the message's own addresses.
	ReportWanted         bool
	ReportFrom, ReportTo string
}

// Part is one part of a message. The runtime keeps it as it came; the assembler
// that the edge provides makes a text of all parts.
type Part struct {
	Ref        uint16
	Total, Seq uint8
	Coding     byte
	Header     []byte
	Payload    []byte
}

const (
	arrID = iota + 1
	arrChannel
	arrCarrier
	arrFromKind
	arrFrom
	arrTo
	arrText
	arrAt
	arrReport
	arrReportFrom
	arrReportTo
	arrPart
	arrSubject
	arrKey
)

func (a *Arrival) append(b []byte) []byte {
	b = record.AppendString(b, arrID, a.ID)
	b = record.AppendString(b, arrChannel, a.Channel)
	b = record.AppendString(b, arrCarrier, a.Carrier)
	b = record.AppendUint(b, arrFromKind, uint64(a.From.Kind))
	b = record.AppendString(b, arrFrom, a.From.Value)
	b = record.AppendString(b, arrTo, a.To)
	b = record.AppendString(b, arrText, a.Text)
	b = record.AppendTime(b, arrAt, a.At)
	b = record.AppendBool(b, arrReport, a.ReportWanted)
	b = record.AppendString(b, arrReportFrom, a.ReportFrom)
	b = record.AppendString(b, arrReportTo, a.ReportTo)
	b = record.AppendString(b, arrSubject, a.Subject)
	b = record.AppendString(b, arrKey, a.Key)
	b = a.Mail.Append(b)
	if a.Part != nil {
		b = record.AppendNested(b, arrPart, a.Part.append)
	}
	return b
}

func (a *Arrival) decode(b []byte) error {
	return record.Decode(b, "arrival", func(f record.Field) (err error) {
		switch f.Num {
		case arrID:
			a.ID = string(f.Bytes)
		case arrChannel:
			a.Channel = string(f.Bytes)
		case arrCarrier:
			a.Carrier = string(f.Bytes)
		case arrFromKind:
			a.From.Kind = flowengine.AddressKind(f.Uint)
		case arrFrom:
			a.From.Value = string(f.Bytes)
		case arrTo:
			a.To = string(f.Bytes)
		case arrText:
			a.Text = string(f.Bytes)
		case arrAt:
			a.At = f.Time()
		case arrReport:
			a.ReportWanted = f.Bool()
		case arrReportFrom:
			a.ReportFrom = string(f.Bytes)
		case arrReportTo:
			a.ReportTo = string(f.Bytes)
		case arrSubject:
			a.Subject = string(f.Bytes)
		case arrKey:
			a.Key = string(f.Bytes)
		case arrPart:
			a.Part, err = decodePart(f.Bytes)
		default:
			a.Mail.Decode(f)
		}
		return err
	})
}

func (p *Part) append(b []byte) []byte {
	b = append(b, p.Total, p.Seq, p.Coding)
	b = binary.BigEndian.AppendUint16(b, p.Ref)
	b = protowire.AppendBytes(b, p.Header)
	return append(b, p.Payload...)
}

func decodePart(b []byte) (*Part, error) {
	if len(b) < 5 {
		return nil, fmt.Errorf("%w: a part of %d bytes", record.ErrDamaged, len(b))
	}
	p := &Part{Total: b[0], Seq: b[1], Coding: b[2], Ref: binary.BigEndian.Uint16(b[3:5])}
	header, n := protowire.ConsumeBytes(b[5:])
	if n < 0 {
		return nil, fmt.Errorf("%w: the header of a part", record.ErrDamaged)
	}
	p.Header = append([]byte(nil), header...)
	p.Payload = append([]byte(nil), b[5+n:]...)
	return p, nil
}
