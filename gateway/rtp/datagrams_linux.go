package rtp

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// datagrams is a UDP socket that the system's poller does not watch: who owns it
// asks every 20 ms what has come. So a packet wakes nobody, several are read by one
// call, and the system notes when each of them came.
type datagrams struct {
	fd    int
	is4   bool
	to    netip.AddrPort // whose address name has
	name4 unix.RawSockaddrInet4
	name6 unix.RawSockaddrInet6
}

func listenDatagrams(at netip.AddrPort) (*datagrams, error) {
	d := &datagrams{is4: at.Addr().Unmap().Is4()}
	family := unix.AF_INET6
	var name unix.Sockaddr
	if d.is4 {
		family = unix.AF_INET
		name = &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().Unmap().As4()}
	} else {
		name = &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16(), ZoneId: zone(at.Addr())}
	}
	var err error
	if d.fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("rtp: opening a socket: %w", err)
	}
	if !d.is4 && at.Addr().IsUnspecified() {
		_ = unix.SetsockoptInt(d.fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
	}
	_ = unix.SetsockoptInt(d.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) // without it, packets count as come when they are read
	if err := unix.Bind(d.fd, name); err != nil {
		_ = unix.Close(d.fd)
		return nil, fmt.Errorf("rtp: listening at %s: %w", at, err)
	}
	return d, nil
}

// zone is the number of the interface that a link-local address is of.
func zone(a netip.Addr) uint32 {
	if a.Zone() == "" {
		return 0
	}
	i, err := net.InterfaceByName(a.Zone())
	if err != nil {
		return 0
	}
	return uint32(i.Index)
}

// close must not run while another method does.
func (d *datagrams) close() { _ = unix.Close(d.fd) }

// send writes a packet, or loses it when the system has no room.
func (d *datagrams) send(b []byte, to netip.AddrPort) {
	if len(b) == 0 {
		return
	}
	if to != d.to {
		d.address(to)
	}
	name, size := unsafe.Pointer(&d.name6), uintptr(unix.SizeofSockaddrInet6)
	if d.is4 {
		name, size = unsafe.Pointer(&d.name4), unix.SizeofSockaddrInet4
	}
	// The socket does not block: the call is short, and the scheduler need not know of it.
	_, _, _ = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(d.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, uintptr(name), size)
}

func (d *datagrams) address(to netip.AddrPort) {
	d.to = to
	if d.is4 {
		d.name4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: to.Addr().Unmap().As4()}
		binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&d.name4.Port))[:], to.Port())
		return
	}
	d.name6 = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: to.Addr().As16(), Scope_id: zone(to.Addr())}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&d.name6.Port))[:], to.Port())
}

// batchLen is how many packets are read by one call: two in 20 ms are usual where
// the peer's pace and ours drift past each other, more after a hiccup of the network.
const batchLen = 8

// batch is room for what is read.
type batch struct {
	heads    [batchLen]messageHead
	vectors  [batchLen]unix.Iovec
	names    [batchLen]unix.RawSockaddrInet6 // the larger of both
	controls [batchLen][64]byte
	data     [batchLen][maxPacket]byte
	read     time.Time
}

// messageHead is struct mmsghdr, recvmmsg(2).
type messageHead struct {
	unix.Msghdr
	len uint32
}

func newBatch() *batch {
	b := new(batch)
	for i := range b.heads {
		b.vectors[i].Base = &b.data[i][0]
		b.vectors[i].SetLen(maxPacket)
		h := &b.heads[i]
		h.Name, h.Control, h.Iov = (*byte)(unsafe.Pointer(&b.names[i])), &b.controls[i][0], &b.vectors[i]
		h.SetIovlen(1)
	}
	return b
}

// receive reads what has come, at most batchLen packets.
func (d *datagrams) receive(b *batch) (n int) {
	for i := range b.heads {
		h := &b.heads[i]
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(len(b.controls[i]))
	}
	got, _, e := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(d.fd), uintptr(unsafe.Pointer(&b.heads[0])), batchLen, unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0
	}
	if got > 0 {
		b.read = time.Now()
	}
	return int(got)
}

// packet is what was read i-th, from whom, and when it came.
func (b *batch) packet(i int) (data []byte, from netip.AddrPort, at time.Time) {
	name := &b.names[i]
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&name.Port))[:])
	if name.Family == unix.AF_INET {
		from = netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(name)).Addr), port)
	} else {
		from = netip.AddrPortFrom(netip.AddrFrom16(name.Addr).Unmap(), port)
	}
	return b.data[i][:min(b.heads[i].len, maxPacket)], from, b.noted(i)
}

// noted is when the system noted the packet: by its wall clock, which may jump, so
// only the difference to ours is taken, within bounds.
func (b *batch) noted(i int) time.Time {
	const most = time.Second
	c := (*unix.Cmsghdr)(unsafe.Pointer(&b.controls[i][0]))
	if int(b.heads[i].Controllen) < unix.SizeofCmsghdr || c.Level != unix.SOL_SOCKET || c.Type != unix.SCM_TIMESTAMPNS {
		return b.read
	}
	t := (*unix.Timespec)(unsafe.Pointer(&b.controls[i][unix.CmsgLen(0)]))
	ago := b.read.UnixNano() - t.Nano()
	if ago < 0 || ago > int64(most) {
		return b.read
	}
	return b.read.Add(-time.Duration(ago))
}
