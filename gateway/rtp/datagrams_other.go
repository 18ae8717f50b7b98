//go:build !linux

package rtp

import (
	"net"
	"net/netip"
	"syscall"
	"time"
)

// datagrams is a UDP socket that is asked every 20 ms what has come.
type datagrams struct {
	conn *net.UDPConn
	raw  syscall.RawConn
}

func listenDatagrams(at netip.AddrPort) (*datagrams, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &datagrams{conn, raw}, nil
}

func (d *datagrams) close() { _ = d.conn.Close() }

// send writes a packet, or loses it when the system has no room.
func (d *datagrams) send(b []byte, to netip.AddrPort) { _, _ = d.conn.WriteToUDPAddrPort(b, to) }

const batchLen = 8

// batch is room for what is read.
type batch struct {
	data [batchLen][maxPacket]byte
	lens [batchLen]int
	from [batchLen]netip.AddrPort
	read time.Time
}

func newBatch() *batch { return new(batch) }

// receive reads what has come, at most batchLen packets.
func (d *datagrams) receive(b *batch) (n int) {
	b.read = time.Now()
	_ = d.raw.Read(func(fd uintptr) bool {
		for n < batchLen {
			size, name, err := syscall.Recvfrom(int(fd), b.data[n][:], 0)
			if err != nil {
				break
			}
			b.lens[n] = size
			switch a := name.(type) {
			case *syscall.SockaddrInet4:
				b.from[n] = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
			case *syscall.SockaddrInet6:
				b.from[n] = netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
			}
			n++
		}
		return true // nobody waits
	})
	return n
}

// packet is what was read i-th, from whom, and when.
func (b *batch) packet(i int) (data []byte, from netip.AddrPort, at time.Time) {
	return b.data[i][:b.lens[i]], b.from[i], b.read
}
