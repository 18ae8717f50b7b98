package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/net/ipv4"

	"trunkline/gateway/rtp/g711"
)

// mediaSocket carries the sound of many phones. Packets are read and written many at
// a time, and the kernel notes when they came: that is the moment at which the daemon
// sent them, however late we read.
type mediaSocket struct {
	conn  *net.UDPConn
	batch *ipv4.PacketConn
}

const (
	soundBuffer    = 16 << 20
	batchMost      = 256
	soNoteTime     = syscall.SO_TIMESTAMPNS
	packetLen      = 12 + 160
	packetTime     = 20 * time.Millisecond
	paceSlots      = 10
	eventType      = 101
	keyPackets     = 5 // 100 ms
	keyEndPackets  = 3 // RFC 4733 §2.5.1.4
	keyEvery       = 4 * time.Second
	controlMessage = 64
)

func openMedia() (*mediaSocket, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, soNoteTime, 1)
		const force = 33 // SO_RCVBUFFORCE: above the system's limit, for root
		if syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, force, soundBuffer) != nil {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, soundBuffer)
		}
	})
	if err := errors.Join(err, set); err != nil {
		return nil, err
	}
	return &mediaSocket{c, ipv4.NewPacketConn(c)}, nil
}

func (m *mediaSocket) port() int { return m.conn.LocalAddr().(*net.UDPAddr).Port }

func (m *mediaSocket) description() string {
	return fmt.Sprintf("v=0\r\no=phone 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP 0 %d\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:%d telephone-event/8000\r\na=fmtp:%d 0-15\r\na=ptime:20\r\n",
		m.port(), eventType, eventType, eventType)
}

// heardSound is what a phone knows of the stream that comes; its socket's reader alone
// touches it, but for waits.
type heardSound struct {
	begun    bool
	sequence uint16
	count    int64 // packets since base, lost ones included
	base     int64 // least arrival less its place in the pace, ns
	waits    atomic.Int64
	loud     bool // what it waits for
}

// hear reads a socket until it is closed.
func (p *phones) hear(m *mediaSocket) {
	messages := make([]ipv4.Message, batchMost)
	for i := range messages {
		messages[i] = ipv4.Message{Buffers: [][]byte{make([]byte, 1500)}, OOB: make([]byte, controlMessage)}
	}
	for {
		n, err := m.batch.ReadBatch(messages, 0)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		for i := range n {
			x := &messages[i]
			from, _ := x.Addr.(*net.UDPAddr)
			if from == nil || x.N < 12 {
				continue
			}
			if ph := p.ports[from.Port].Load(); ph != nil {
				ph.packet(x.Buffers[0][:x.N], noted(x.OOB[:x.NN]))
			}
		}
	}
}

// noted is the time that the kernel noted, in ns.
func noted(oob []byte) int64 {
	const head = 16 // length, level and type, cmsg(3)
	if len(oob) < head+16 {
		return time.Now().UnixNano()
	}
	t := (*syscall.Timespec)(unsafe.Pointer(&oob[head]))
	return t.Nano()
}

// packet takes one of the daemon.
func (ph *telephone) packet(b []byte, at int64) {
	h, p := &ph.heard, ph.all
	sequence := binary.BigEndian.Uint16(b[2:])
	if !h.begun {
		h.begun, h.sequence, h.count, h.base = true, sequence, 0, at
	}
	step := int64(int16(sequence - h.sequence))
	h.sequence = sequence
	h.count += step
	if place := at - h.count*int64(packetTime); place < h.base {
		h.base = place
	}
	if p.measured.Load() {
		p.packets.Add(1)
		p.lateness.add(time.Duration(at - h.count*int64(packetTime) - h.base))
		if step > 1 {
			p.gaps.Add(step - 1)
		}
	}
	if since := h.waits.Load(); since != 0 && len(b) == packetLen && loud(b[12:]) == h.loud {
		h.waits.Store(0)
		if p.measured.Load() {
			p.acted.Add(1)
			p.acting.add(time.Duration(at - since))
		}
	}
}

// loud tells the one prompt from the other.
func loud(payload []byte) bool {
	const between = 5000
	var pcm [160]int16
	n := g711.MuLaw.Decode(pcm[:], payload)
	for _, v := range pcm[:n] {
		if v > between {
			return true
		}
	}
	return false
}

// outSound is what a phone sends.
type outSound struct {
	packet    [packetLen]byte
	slot      int
	key       int // packets of a key that were sent; 0: none is pressed
	began     uint32
	next      time.Time // key
	addr      *net.UDPAddr
	sequence  uint16
	timestamp uint32
}

// pacer sends the packets of all phones, every 20 ms each, from one thread.
type pacer struct {
	mu    sync.Mutex
	slots [paceSlots][]*telephone
	late  histogram
}

func newPacer() *pacer { return &pacer{} }

func (p *pacer) add(ph *telephone) {
	p.mu.Lock()
	defer p.mu.Unlock()
	slot := 0
	for i := range p.slots {
		if len(p.slots[i]) < len(p.slots[slot]) {
			slot = i
		}
	}
	o := &ph.out
	o.slot, o.addr, o.sequence, o.timestamp = slot+1, net.UDPAddrFromAddrPort(ph.remote), uint16(rand.Uint32()), rand.Uint32()
	o.next = time.Now().Add(time.Second + rand.N(keyEvery))
	o.packet[0] = 0x80
	binary.BigEndian.PutUint32(o.packet[8:], rand.Uint32())
	for i := range 160 {
		o.packet[12+i] = byte(0xf0 + i%8) // a faint hum
	}
	p.slots[slot] = append(p.slots[slot], ph)
}

func (p *pacer) remove(ph *telephone) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ph.out.slot == 0 {
		return
	}
	list := p.slots[ph.out.slot-1]
	for i, other := range list {
		if other == ph {
			list[i] = list[len(list)-1]
			p.slots[ph.out.slot-1] = list[:len(list)-1]
			break
		}
	}
	ph.out.slot = 0
}

// run sends until ctx ends.
func (p *pacer) run(ctx context.Context) {
	runtime.LockOSThread()
	due := time.Now()
	batches := map[*mediaSocket][]ipv4.Message{}
	for slot := 0; ctx.Err() == nil; slot = (slot + 1) % paceSlots {
		time.Sleep(time.Until(due))
		now := time.Now()
		p.late.add(now.Sub(due))
		due = due.Add(packetTime / paceSlots)
		p.mu.Lock()
		for m := range batches {
			batches[m] = batches[m][:0]
		}
		for _, ph := range p.slots[slot] {
			batches[ph.media] = append(batches[ph.media], ipv4.Message{Buffers: [][]byte{ph.out.frame(ph, now)}, Addr: ph.out.addr})
		}
		for m, list := range batches {
			for len(list) > 0 {
				n, err := m.batch.WriteBatch(list[:min(len(list), batchMost)], 0)
				if err != nil {
					break
				}
				list = list[n:]
			}
		}
		p.mu.Unlock()
	}
}

// frame is the next packet: sound, or a key that is pressed (RFC 4733).
func (o *outSound) frame(ph *telephone, now time.Time) []byte {
	o.sequence++
	o.timestamp += 160
	binary.BigEndian.PutUint16(o.packet[2:], o.sequence)
	if o.key == 0 && ph.keys && now.After(o.next) {
		o.next, o.began = now.Add(keyEvery), o.timestamp
		if ph.heard.waits.Load() == 0 {
			ph.heard.loud = !ph.heard.loud
			ph.heard.waits.Store(now.UnixNano())
			o.key = 1
			if ph.all.measured.Load() {
				ph.all.pressed.Add(1)
			}
		}
	}
	if o.key == 0 {
		o.packet[1] = 0
		binary.BigEndian.PutUint32(o.packet[4:], o.timestamp)
		return o.packet[:]
	}
	return o.event()
}

func (o *outSound) event() []byte {
	b := append(make([]byte, 0, 16), o.packet[:12]...)
	b[1] = eventType
	if o.key == 1 {
		b[1] |= 0x80 // the marker, at the first one
	}
	binary.BigEndian.PutUint32(b[4:], o.began)
	end := byte(0)
	if o.key > keyPackets {
		end = 0x80
	}
	b = append(b, 5, end|10)
	b = binary.BigEndian.AppendUint16(b, uint16(160*min(o.key, keyPackets)))
	if o.key++; o.key > keyPackets+keyEndPackets {
		o.key = 0
	}
	return b
}

// droppedAt counts the packets that the system has thrown away because nobody read
// them in time, by the ports of the loopback from first to last.
func droppedAt(first, last int) (n int64) {
	f, err := os.Open("/proc/net/udp")
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		c := strings.Fields(s.Text())
		if len(c) < 13 {
			continue
		}
		_, hex, _ := strings.Cut(c[1], ":")
		port, err := strconv.ParseInt(hex, 16, 32)
		if err != nil || int(port) < first || int(port) > last {
			continue
		}
		d, _ := strconv.ParseInt(c[12], 10, 64)
		n += d
	}
	return n
}
