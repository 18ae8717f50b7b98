package dtmf

import (
	"encoding/binary"
	"fmt"
)

// Event is the payload of a telephone-event packet (RFC 4733 §2.3).
type Event struct {
	Code     byte // 0-15 are keys
	End      bool
	Volume   byte   // -dBm0, 0-63
	Duration uint16 // so far, in timestamp units
}

// PayloadLen is the length of an event on the wire.
const PayloadLen = 4

// ParseEvent reads a payload. What follows the first event is ignored.
func ParseEvent(b []byte) (Event, error) {
	if len(b) < PayloadLen {
		return Event{}, fmt.Errorf("dtmf: telephone-event of %d octets, needs %d", len(b), PayloadLen)
	}
	return Event{Code: b[0], End: b[1]&0x80 != 0, Volume: b[1] & 0x3F, Duration: binary.BigEndian.Uint16(b[2:])}, nil
}

// Append appends the payload to b.
func (e Event) Append(b []byte) []byte {
	flags := e.Volume & 0x3F
	if e.End {
		flags |= 0x80
	}
	return binary.BigEndian.AppendUint16(append(b, e.Code, flags), e.Duration)
}

// Receiver turns event packets into key presses, each exactly once: from
// whichever packet of a press arrives first, however many are lost, repeated
// or late. The zero value is ready.
type Receiver struct {
	heard     bool
	ended     bool
	code      byte
	timestamp uint32 // of the press, or of its latest segment
	duration  uint32
}

// Receive takes a packet's event and says which key was pressed, if this is
// the first sign of it.
func (r *Receiver) Receive(e Event, timestamp uint32, marker bool) (Digit, bool) {
	if int(e.Code) >= len(keys) || r.heard && r.known(e, timestamp, marker) {
		return 0, false
	}
	*r = Receiver{heard: true, ended: e.End, code: e.Code, timestamp: timestamp, duration: uint32(e.Duration)}
	return Digit(keys[e.Code]), true
}

// known reports whether the packet belongs to the last press or to one before
// it, and remembers what is new about the last.
func (r *Receiver) known(e Event, timestamp uint32, marker bool) bool {
	after := int32(timestamp - r.timestamp)
	switch {
	case after < 0: // late
		return true
	case after == 0:
		r.duration = max(r.duration, uint32(e.Duration))
		r.ended = r.ended || e.End
		return true
	case e.Code == r.code && !marker && !r.ended && uint32(after) <= r.duration:
		// The next segment of a press longer than a duration can say (§2.5.1.3),
		// or a peer that moves the timestamp on while the key is down: it begins
		// within what is known of the press. Another press begins after a pause.
		r.timestamp, r.duration, r.ended = timestamp, uint32(e.Duration), e.End
		return true
	}
	return false
}
