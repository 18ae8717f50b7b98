package rtp

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// ErrNoPorts is returned when all pairs are in use or rest.
var ErrNoPorts = errors.New("rtp: no free pair of ports; enlarge the range or lower the number of calls")

// maxTries bounds how many pairs that others occupy are tried for one call.
const maxTries = 32

// Ports hands out pairs of UDP ports, RTP on the even one and RTCP on the next.
// A pair that was used rests for a while, so that what still arrives for the
// last call is not heard in the next one. The pair that rested longest is next.
type Ports struct {
	addr       netip.Addr
	quarantine time.Duration

	mu      sync.Mutex
	waiting []resting // in the order of their return
	inUse   int

	batches sync.Pool // of *batch: room for what is read, which nobody needs between two ticks
}

type resting struct {
	port  uint16
	until time.Time
}

// NewPorts makes a pool of the pairs from first to last, both included.
func NewPorts(addr netip.Addr, first, last uint16, quarantine time.Duration) (*Ports, error) {
	p := &Ports{addr: addr, quarantine: quarantine, batches: sync.Pool{New: func() any { return newBatch() }}}
	for port := int(first) + int(first)%2; port+1 <= int(last); port += 2 {
		p.waiting = append(p.waiting, resting{port: uint16(port)})
	}
	if len(p.waiting) == 0 || first == 0 {
		return nil, fmt.Errorf("rtp: ports %d to %d hold no pair of an even and the next port", first, last)
	}
	return p, nil
}

// pair is two open sockets.
type pair struct {
	media, control *datagrams
	port           uint16
}

// open takes a pair; give returns it.
func (p *Ports) open() (pair, error) {
	for range maxTries {
		port, ok := p.take(time.Now())
		if !ok {
			return pair{}, ErrNoPorts
		}
		opened, err := listen(p.addr, port)
		if err == nil {
			return opened, nil
		}
		p.give(port) // somebody else's; try it again later
	}
	return pair{}, fmt.Errorf("%w (%d pairs in a row are occupied by other programs)", ErrNoPorts, maxTries)
}

func listen(addr netip.Addr, port uint16) (pair, error) {
	media, err := listenDatagrams(netip.AddrPortFrom(addr, port))
	if err != nil {
		return pair{}, err
	}
	control, err := listenDatagrams(netip.AddrPortFrom(addr, port+1))
	if err != nil {
		media.close()
		return pair{}, err
	}
	return pair{media, control, port}, nil
}

func (p *Ports) take(now time.Time) (uint16, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 || now.Before(p.waiting[0].until) {
		return 0, false
	}
	port := p.waiting[0].port
	p.waiting = p.waiting[1:]
	p.inUse++
	return port, true
}

func (p *Ports) give(port uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting, resting{port, time.Now().Add(p.quarantine)})
	p.inUse--
}

// InUse is the number of pairs that sessions hold.
func (p *Ports) InUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inUse
}
