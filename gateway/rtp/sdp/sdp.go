// Package sdp describes the sound of a call to the peer and understands what
// the peer describes: offers and answers of one audio stream (RFC 3264, RFC
// 8866) with PCMU, PCMA, telephone-event and comfort noise. Other streams are
// refused in the answer, as the rules ask. It opens nothing and sends nothing.
package sdp

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	pion "github.com/pion/sdp/v3"
)

// Bounds of what a peer may send.
const (
	maxLength  = 16 << 10
	maxStreams = 16
	maxFormats = 64
)

// Errors that a caller translates: 400 or 488 with a Warning in SIP.
var (
	// ErrMalformed: the text is no session description.
	ErrMalformed = errors.New("sdp: malformed description")
	// ErrNoAudio: nothing in it is a sound that we can exchange.
	ErrNoAudio = errors.New("sdp: no audio stream over RTP/AVP or RTP/SAVP")
	// ErrNoCodec: the sound is there, but no codec that both sides have.
	ErrNoCodec = errors.New("sdp: no common codec")
)

// Direction says who sends, seen from who describes (RFC 3264 §5.1).
type Direction uint8

// The directions.
const (
	SendRecv Direction = iota
	SendOnly
	RecvOnly
	Inactive
)

var directions = [...]string{"sendrecv", "sendonly", "recvonly", "inactive"}

func (d Direction) String() string { return directions[d] }

// Sends and Receives say what the describing side does.
func (d Direction) Sends() bool { return d == SendRecv || d == SendOnly }

// Receives reports whether the describing side listens.
func (d Direction) Receives() bool { return d == SendRecv || d == RecvOnly }

// direction is the opposite of the two questions.
func direction(sends, receives bool) Direction {
	switch {
	case sends && receives:
		return SendRecv
	case sends:
		return SendOnly
	case receives:
		return RecvOnly
	}
	return Inactive
}

// Codec is a format of a stream.
type Codec struct {
	PayloadType uint8
	Name        string // upper case, as in an rtpmap; telephone-event in lower case
	Rate        int    // Hz
	Parameters  string // of a=fmtp
}

// The codecs that we speak. Payload type 101 is what everybody uses for
// events; in an answer it is the offer's.
var (
	PCMU           = Codec{0, "PCMU", 8000, ""}
	PCMA           = Codec{8, "PCMA", 8000, ""}
	ComfortNoise   = Codec{13, "CN", 8000, ""}
	TelephoneEvent = Codec{101, "telephone-event", 8000, "0-15"}
)

// static are the payload types that need no rtpmap (RFC 3551 §6), of which we
// want to know.
var static = map[uint8]Codec{0: PCMU, 8: PCMA, 13: ComfortNoise}

func (c Codec) same(other Codec) bool { return c.Name == other.Name && c.Rate == other.Rate }

// Description is one side's view of a call's sound.
type Description struct {
	Origin    Origin
	Media     netip.AddrPort // where RTP is wanted; port 0: the stream is refused
	Control   netip.AddrPort // where RTCP is wanted
	Codecs    []Codec        // in order of preference
	Direction Direction
	Ptime     int // ms of sound per packet; 0: not said

	streams []stream // all of the description's, in order
	audio   int      // which of them is described above
	savp    bool     // it is encrypted, or nothing (RTP/SAVP)
	cryptos []offered
	others  []Description // other streams of sound that could be had instead
}

// Origin identifies a description; Version grows with each change.
type Origin struct {
	ID, Version uint64
}

// stream is what an answer must repeat of each stream of the offer.
type stream struct{ media, proto, format string }

const (
	protoPlain  = "RTP/AVP"
	protoSecure = "RTP/SAVP" // RFC 3711 §12
)

func (s stream) ours() bool {
	return s.media == "audio" && (s.proto == protoPlain || s.proto == protoSecure)
}

// Parse reads a peer's description.
func Parse(text []byte) (Description, error) {
	if len(text) > maxLength {
		return Description{}, fmt.Errorf("%w: %d octets, at most %d are read", ErrMalformed, len(text), maxLength)
	}
	known, streams, err := cover(text)
	if err != nil {
		return Description{}, err
	}
	var s pion.SessionDescription
	if err := s.UnmarshalString(known); err != nil {
		return Description{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	origin := Origin{s.Origin.SessionID, s.Origin.SessionVersion}
	var found []Description
	for i, m := range s.MediaDescriptions {
		if !streams[i].ours() {
			continue
		}
		d := Description{Origin: origin, streams: streams, audio: i, savp: streams[i].proto == protoSecure}
		if err := d.read(&s, m); err != nil {
			return Description{}, err
		}
		found = append(found, d)
	}
	if len(found) == 0 {
		return Description{}, ErrNoAudio
	}
	// A refused stream (port 0) is only taken when nothing better follows.
	slices.SortStableFunc(found, func(a, b Description) int { return refusedLast(&a) - refusedLast(&b) })
	d := found[0]
	d.others = found[1:]
	return d, nil
}

func refusedLast(d *Description) int {
	if d.Media.Port() == 0 {
		return 1
	}
	return 0
}

// cover lists the streams and hides those that are not ours: pion/sdp refuses
// the whole text for a kind or protocol that it has not heard of, such as the
// fax (m=image, udptl) that many offers carry along.
func cover(text []byte) (string, []stream, error) {
	if !strings.HasPrefix(string(text), "v=0") {
		return "", nil, fmt.Errorf("%w: it does not begin with v=0", ErrMalformed)
	}
	var out strings.Builder
	var streams []stream
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		if rest, ok := strings.CutPrefix(line, "m="); ok {
			fields := strings.Fields(rest) // kind, port, protocol, formats
			if len(fields) < 4 || len(fields)-3 > maxFormats || len(streams) == maxStreams {
				return "", nil, fmt.Errorf("%w: too many streams, or one with none or too many formats: %.80q", ErrMalformed, line)
			}
			s := stream{fields[0], fields[2], fields[3]}
			streams = append(streams, s)
			if line = "m=" + strings.Join(fields, " "); !s.ours() {
				line = "m=application 0 UDP 0"
			}
		}
		out.WriteString(line + "\r\n")
	}
	return out.String(), streams, nil
}

// read takes over one audio stream.
func (d *Description) read(s *pion.SessionDescription, m *pion.MediaDescription) error {
	connection := m.ConnectionInformation
	if connection == nil {
		connection = s.ConnectionInformation
	}
	if connection == nil || connection.Address == nil {
		return fmt.Errorf("%w: no c= line", ErrMalformed)
	}
	addr, err := netip.ParseAddr(connection.Address.Address)
	if err != nil {
		return fmt.Errorf("%w: c= has %q; only IP addresses are understood", ErrMalformed, connection.Address.Address)
	}
	port := m.MediaName.Port.Value
	if port < 0 || port > 65535 {
		return fmt.Errorf("%w: port %d", ErrMalformed, port)
	}
	d.Media = netip.AddrPortFrom(addr, uint16(port))
	d.Control = control(d.Media, m)
	d.Codecs, d.cryptos = codecs(m), cryptos(m)
	d.Direction = readDirection(s, m)
	if addr.IsUnspecified() { // hold as it was before RFC 3264
		d.Direction = direction(d.Direction.Sends(), false)
	}
	if v, ok := m.Attribute("ptime"); ok {
		if ms, err := strconv.Atoi(strings.TrimSpace(v)); err == nil && ms > 0 && ms <= 200 {
			d.Ptime = ms
		}
	}
	return nil
}

// control is the next port unless a=rtcp (RFC 3605) says otherwise.
func control(media netip.AddrPort, m *pion.MediaDescription) netip.AddrPort {
	next := netip.AddrPortFrom(media.Addr(), media.Port()+1)
	v, ok := m.Attribute("rtcp")
	fields := strings.Fields(v)
	if !ok || len(fields) == 0 {
		return next
	}
	port, err := strconv.ParseUint(fields[0], 10, 16)
	if err != nil {
		return next
	}
	addr := media.Addr()
	if len(fields) == 4 {
		if other, err := netip.ParseAddr(fields[3]); err == nil {
			addr = other
		}
	}
	return netip.AddrPortFrom(addr, uint16(port))
}

func codecs(m *pion.MediaDescription) []Codec {
	var out []Codec
	for _, format := range m.MediaName.Formats {
		pt, err := strconv.ParseUint(format, 10, 7)
		if err != nil {
			continue
		}
		c, known := static[uint8(pt)]
		c.PayloadType = uint8(pt)
		for _, a := range m.Attributes {
			rest, mine := strings.CutPrefix(a.Value, format+" ")
			switch {
			case mine && a.Key == "rtpmap":
				c.Name, c.Rate, known = rtpmap(rest)
			case mine && a.Key == "fmtp":
				c.Parameters = strings.TrimSpace(rest)
			}
		}
		if known {
			out = append(out, c)
		}
	}
	return out
}

// rtpmap reads "PCMU/8000/1".
func rtpmap(v string) (name string, rate int, ok bool) {
	parts := strings.Split(strings.TrimSpace(v), "/")
	if len(parts) < 2 || len(parts) == 3 && parts[2] != "1" {
		return "", 0, false
	}
	rate, err := strconv.Atoi(parts[1])
	name = strings.ToUpper(parts[0])
	if strings.EqualFold(name, TelephoneEvent.Name) {
		name = TelephoneEvent.Name
	}
	return name, rate, err == nil
}

func readDirection(s *pion.SessionDescription, m *pion.MediaDescription) Direction {
	for _, attributes := range [][]pion.Attribute{m.Attributes, s.Attributes} {
		for _, a := range attributes {
			if i := slices.Index(directions[:], a.Key); i >= 0 {
				return Direction(i)
			}
		}
	}
	return SendRecv
}
