package webhook

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// resolver is a resolver whose server knows the names given. Each name has the
// answers to one question for an IPv4 address after the other, the last for
// ever: addresses with spaces between, or SERVFAIL.
func resolver(t *testing.T, names map[string][]string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{conn: conn, names: names}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.run()
	}()
	t.Cleanup(func() {
		conn.Close()
		<-ended
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

type nameServer struct {
	conn  net.PacketConn
	mu    sync.Mutex
	names map[string][]string
}

func (s *nameServer) run() {
	b := make([]byte, 4096)
	for {
		n, from, err := s.conn.ReadFrom(b)
		if err != nil {
			return
		}
		if a := s.answer(b[:n]); a != nil {
			s.conn.WriteTo(a, from)
		}
	}
}

// answer writes a response (RFC 1035 §4): the question, and addresses for it.
func (s *nameServer) answer(q []byte) []byte {
	const header, typeA = 12, 1
	i, labels := header, []string{}
	for i < len(q) && q[i] != 0 {
		labels = append(labels, string(q[i+1:i+1+int(q[i])]))
		i += 1 + int(q[i])
	}
	if i+5 > len(q) {
		return nil
	}
	end := i + 5 // past the root label, type and class
	name, v4 := strings.ToLower(strings.Join(labels, ".")), q[i+2] == typeA
	answers, known := s.next(name, v4)
	rcode := byte(0)
	switch {
	case !known:
		rcode = 3 // NXDOMAIN
	case answers == "SERVFAIL":
		rcode, answers = 2, ""
	}
	a := append([]byte{}, q[:end]...)
	copy(a[2:], []byte{0x81, 0x80 | rcode, 0, 1, 0, 0, 0, 0, 0, 0})
	if !v4 {
		return a
	}
	for _, text := range strings.Fields(answers) {
		ip := netip.MustParseAddr(text).As4()
		a = append(a, 0xC0, header, 0, typeA, 0, 1, 0, 0, 0, 0, 0, 4)
		a = append(a, ip[:]...)
		a[7]++
	}
	return a
}

func (s *nameServer) next(name string, v4 bool) (answers string, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.names[name]
	if len(list) == 0 {
		return "", false
	}
	if v4 && len(list) > 1 {
		s.names[name] = list[1:]
	}
	return list[0], true
}
