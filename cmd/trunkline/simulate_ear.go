package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"

	"trunkline/gateway/rtp/g711"
	"trunkline/gateway/rtp/wav"
)

// Of the sound of a simulated call: PCMU, and digits as events.
const (
	earFrame     = 160 // samples at 8 kHz in a packet, 20 ms (RFC 3551 §4.5.14)
	earEvents    = 101 // payload type of digits
	earDigit     = 5   // packets of a digit, 100 ms
	earDigitEnds = 3   // packets that say that it is over (RFC 4733 §2.5.1.4)
	earGap       = 8   // packets between two digits
)

// ear is the sound of a simulated call: it sends silence and digits, listens and
// records.
type ear struct {
	socket *net.UDPConn
	to     *net.UDPAddr
	events uint8 // payload type of digits; 0: the gateway knows none

	file *os.File
	wav  *wav.Writer

	all             sync.WaitGroup
	packets, lost   int
	last            uint16
	loudest, square float64
	samples         int
	failed          error // of the recording
	mute            error // why digits were not pressed
}

func newEar(local net.IP, record string) (*ear, error) {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: local})
	if err != nil {
		return nil, fmt.Errorf("opening a socket for sound: %w", err)
	}
	e := &ear{socket: socket}
	if record == "" {
		return e, nil
	}
	if e.file, err = recordFile(record); err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	if e.wav, err = wav.NewWriter(e.file, wav.PCM16, 8000, 1); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

func (e *ear) close() (err error) {
	_ = e.socket.Close()
	e.all.Wait()
	if e.wav != nil {
		err = e.wav.Close()
	}
	if e.file != nil {
		err = errors.Join(err, e.file.Close())
	}
	return err
}

// offer describes the sound that the phone wants (RFC 3264).
func (e *ear) offer() ([]byte, error) {
	at := e.socket.LocalAddr().(*net.UDPAddr)
	kind := "IP4"
	if at.IP.To4() == nil {
		kind = "IP6"
	}
	d := sdp.SessionDescription{
		Origin:                sdp.Origin{Username: "-", SessionID: rand.Uint64() >> 1, SessionVersion: 1, NetworkType: "IN", AddressType: kind, UnicastAddress: at.IP.String()},
		SessionName:           "-",
		ConnectionInformation: &sdp.ConnectionInformation{NetworkType: "IN", AddressType: kind, Address: &sdp.Address{Address: at.IP.String()}},
		TimeDescriptions:      []sdp.TimeDescription{{}},
		MediaDescriptions: []*sdp.MediaDescription{{
			MediaName: sdp.MediaName{Media: "audio", Port: sdp.RangedPort{Value: at.Port}, Protos: []string{"RTP", "AVP"}, Formats: []string{"0", strconv.Itoa(earEvents)}},
			Attributes: []sdp.Attribute{
				sdp.NewAttribute("rtpmap", "0 PCMU/8000"),
				sdp.NewAttribute("rtpmap", fmt.Sprintf("%d telephone-event/8000", earEvents)),
				sdp.NewAttribute("fmtp", fmt.Sprintf("%d 0-15", earEvents)),
				sdp.NewPropertyAttribute("sendrecv"),
			},
		}},
	}
	return d.Marshal()
}

// agree takes over where the gateway wants the sound.
func (e *ear) agree(answer *sdp.SessionDescription) error {
	if len(answer.MediaDescriptions) == 0 {
		return errors.New("the answer describes no sound")
	}
	m := answer.MediaDescriptions[0]
	at := m.ConnectionInformation
	if at == nil {
		at = answer.ConnectionInformation
	}
	if m.MediaName.Port.Value == 0 || at == nil || at.Address == nil {
		return errors.New("the answer refuses the sound that was offered")
	}
	ip := net.ParseIP(at.Address.Address)
	if ip == nil {
		return fmt.Errorf("the answer's sound is at %q, which is no address", at.Address.Address)
	}
	e.to = &net.UDPAddr{IP: ip, Port: m.MediaName.Port.Value}
	for _, format := range m.MediaName.Formats {
		if format == strconv.Itoa(earEvents) {
			e.events = earEvents
		}
	}
	return nil
}

// run sends and listens until ctx ends. The channel tells which digits were pressed.
func (e *ear) run(ctx context.Context, digits string) <-chan rune {
	pressed := make(chan rune, len(digits))
	e.all.Go(func() { e.speak(ctx, digits, pressed) })
	e.all.Go(func() { e.listen(ctx) })
	return pressed
}

// wait returns when run is over.
func (e *ear) wait() { e.all.Wait() }

// speak sends a packet every 20 ms: silence, or a part of a digit.
func (e *ear) speak(ctx context.Context, digits string, pressed chan<- rune) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	silence := make([]byte, earFrame)
	for i := range silence {
		silence[i] = g711.MuLaw.Silence()
	}
	p := rtp.Packet{Header: rtp.Header{Version: 2, SSRC: rand.Uint32(), SequenceNumber: uint16(rand.Uint32()), Timestamp: rand.Uint32()}}
	keys := []rune(digits)
	pause, at, start := earGap, 0, uint32(0) // packets until the next digit; of this digit; its time
	for {
		p.Marker, p.PayloadType, p.Payload = false, 0, silence
		stamp := p.Timestamp
		switch {
		case len(keys) == 0:
		case pause > 0:
			pause--
		case keys[0] == ',':
			keys, pause = keys[1:], 50
		case e.events == 0:
			e.mute = errors.New("the gateway takes no digits as events; they were not pressed")
			keys = nil
		default:
			if at == 0 {
				start = stamp
				pressed <- keys[0]
			}
			p.Marker, p.PayloadType, p.Payload = at == 0, e.events, digitEvent(keys[0], at)
			p.Timestamp = start
			if at++; at == earDigit+earDigitEnds {
				keys, at, pause = keys[1:], 0, earGap
			}
		}
		if b, err := p.Marshal(); err == nil {
			_, _ = e.socket.WriteToUDP(b, e.to)
		}
		p.SequenceNumber++
		p.Timestamp = stamp + earFrame
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// digitEvent is the payload of the n-th packet of a digit (RFC 4733 §2.3).
func digitEvent(key rune, n int) []byte {
	event := byte(0)
	for i, k := range "0123456789*#ABCD" { // §3.2
		if k == key {
			event = byte(i)
		}
	}
	const volume = 10 // −dBm0
	b := []byte{event, volume, 0, 0}
	if n >= earDigit {
		b[1] |= 0x80 // the end
	}
	binary.BigEndian.PutUint16(b[2:], uint16(earFrame*min(n+1, earDigit)))
	return b
}

// listen measures and records what comes.
func (e *ear) listen(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = e.socket.SetReadDeadline(time.Now()) })
	defer stop()
	buffer, samples := make([]byte, 1500), make([]int16, 1500)
	for {
		n, _, err := e.socket.ReadFromUDP(buffer)
		if err != nil {
			return
		}
		var p rtp.Packet
		if p.Unmarshal(buffer[:n]) != nil || p.PayloadType != 0 {
			continue
		}
		if gap := p.SequenceNumber - e.last - 1; e.packets > 0 && gap < 1000 {
			e.lost += int(gap)
		}
		e.last = p.SequenceNumber
		e.packets++
		heard := samples[:g711.MuLaw.Decode(samples, p.Payload)]
		e.measure(heard)
		if e.wav != nil {
			if err := e.wav.Write(heard, nil); err != nil {
				e.failed = fmt.Errorf("--record: %w", err)
				e.wav = nil
			}
		}
	}
}

func (e *ear) measure(samples []int16) {
	for _, s := range samples {
		v := float64(s) / math.MaxInt16
		e.square += v * v
		e.loudest = max(e.loudest, math.Abs(v))
	}
	e.samples += len(samples)
}

// summary tells what was heard.
func (e *ear) summary() string {
	s := "heard nothing"
	if e.samples > 0 {
		level := func(v float64) string {
			if v == 0 {
				return "silence"
			}
			return fmt.Sprintf("%.0f dBFS", 20*math.Log10(v))
		}
		s = fmt.Sprintf("heard %.1f s in %d packets, %d lost; mean level %s, peak %s",
			float64(e.samples)/8000, e.packets, e.lost, level(math.Sqrt(e.square/float64(e.samples))), level(e.loudest))
	}
	for _, err := range []error{e.failed, e.mute} {
		if err != nil {
			s += "; " + err.Error()
		}
	}
	return s
}
