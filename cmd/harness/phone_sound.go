package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"trunkline/gateway/rtp/g711"
)

// mediaSocket carries the sound of many phones. It is read every millisecond, many
// packets by one call, so that a packet wakes nobody; the kernel notes when they came:
// that is the moment at which the daemon sent them, however late we read.
type mediaSocket struct {
	fd   int
	port int
	out  []outPacket
	send []socketMessage
}

// outPacket is one that is to be sent.
type outPacket struct {
	data []byte
	to   unix.RawSockaddrInet4
	iov  unix.Iovec
}

// socketMessage is struct mmsghdr, recvmmsg(2).
type socketMessage struct {
	unix.Msghdr
	len uint32
}

const (
	soundBuffer    = 16 << 20
	batchMost      = 256
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
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, soundBuffer) != nil { // for root: above the system's limit
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, soundBuffer)
	}
	err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1), unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	name, err2 := unix.Getsockname(fd)
	at, _ := name.(*unix.SockaddrInet4)
	if err := errors.Join(err, err2); err != nil || at == nil {
		return nil, fmt.Errorf("a socket for sound: %w", err)
	}
	return &mediaSocket{fd: fd, port: at.Port}, nil
}

func (m *mediaSocket) close() { _ = unix.Close(m.fd) }

// inRoom is room for the packets of one read.
type inRoom struct {
	heads    [batchMost]socketMessage
	vectors  [batchMost]unix.Iovec
	names    [batchMost]unix.RawSockaddrInet4
	controls [batchMost][controlMessage]byte
	data     [batchMost][512]byte
}

func newInRoom() *inRoom {
	r := new(inRoom)
	for i := range r.heads {
		r.vectors[i].Base = &r.data[i][0]
		r.vectors[i].SetLen(len(r.data[i]))
		h := &r.heads[i]
		h.Name, h.Control, h.Iov = (*byte)(unsafe.Pointer(&r.names[i])), &r.controls[i][0], &r.vectors[i]
		h.SetIovlen(1)
	}
	return r
}

func (m *mediaSocket) receive(r *inRoom) int {
	for i := range r.heads {
		r.heads[i].Namelen = unix.SizeofSockaddrInet4
		r.heads[i].SetControllen(controlMessage)
	}
	n, _, e := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(m.fd), uintptr(unsafe.Pointer(&r.heads[0])), batchMost, unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0
	}
	return int(n)
}

// queue puts a packet among those that flush sends.
func (m *mediaSocket) queue(data []byte, to unix.RawSockaddrInet4) {
	m.out = append(m.out, outPacket{data: data, to: to})
}

func (m *mediaSocket) flush() {
	m.send = m.send[:0]
	for i := range m.out {
		o := &m.out[i]
		o.iov.Base = &o.data[0]
		o.iov.SetLen(len(o.data))
		var h socketMessage
		h.Name, h.Namelen, h.Iov = (*byte)(unsafe.Pointer(&o.to)), unix.SizeofSockaddrInet4, &o.iov
		h.SetIovlen(1)
		m.send = append(m.send, h)
	}
	for list := m.send; len(list) > 0; {
		n, _, e := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(m.fd), uintptr(unsafe.Pointer(&list[0])), uintptr(len(list)), unix.MSG_DONTWAIT, 0, 0)
		if e != 0 || n == 0 {
			break
		}
		list = list[n:]
	}
	m.out = m.out[:0]
}

func (m *mediaSocket) description() string {
	return fmt.Sprintf("v=0\r\no=phone 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP 0 %d\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:%d telephone-event/8000\r\na=fmtp:%d 0-15\r\na=ptime:20\r\n",
		m.port, eventType, eventType, eventType)
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

// hear reads a socket until ctx ends.
func (p *phones) hear(ctx context.Context, m *mediaSocket) {
	r := newInRoom()
	for ctx.Err() == nil {
		n := m.receive(r)
		for i := range n {
			port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&r.names[i].Port))[:])
			if ph := p.ports[port].Load(); ph != nil && r.heads[i].len >= 12 {
				ph.packet(r.data[i][:min(int(r.heads[i].len), len(r.data[i]))], noted(r.controls[i][:r.heads[i].Controllen]))
			}
		}
		if n < batchMost {
			time.Sleep(time.Millisecond)
		}
	}
	m.close()
}

// noted is the time that the kernel noted, in ns.
func noted(oob []byte) int64 {
	const head = 16 // length, level and type, cmsg(3)
	if len(oob) < head+16 {
		return time.Now().UnixNano()
	}
	t := (*unix.Timespec)(unsafe.Pointer(&oob[head]))
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
	addr      unix.RawSockaddrInet4
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
	o.slot, o.sequence, o.timestamp = slot+1, uint16(rand.Uint32()), rand.Uint32()
	o.next = time.Now().Add(time.Second + rand.N(keyEvery))
	o.addr = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: ph.remote.Addr().As4()}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&o.addr.Port))[:], ph.remote.Port())
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
	runtime.LockOSThread() // like the daemon's: a phone has its own processor
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -15)
	due := time.Now()
	used := map[*mediaSocket]bool{}
	for slot := 0; ctx.Err() == nil; slot = (slot + 1) % paceSlots {
		time.Sleep(time.Until(due))
		now := time.Now()
		p.late.add(now.Sub(due))
		due = due.Add(packetTime / paceSlots)
		p.mu.Lock()
		for _, ph := range p.slots[slot] {
			ph.media.queue(ph.out.frame(ph, now), ph.out.addr)
			used[ph.media] = true
		}
		for m := range used {
			m.flush()
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
