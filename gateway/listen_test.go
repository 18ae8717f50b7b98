package gateway

import (
	"net"
	"testing"
)

// What comes on top of the places is closed; who leaves makes room.
func TestLimited(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Limited(inner, 2)
	defer l.Close()
	accepted := make(chan net.Conn)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	dial()
	first := <-accepted
	dial()
	defer (<-accepted).Close()
	if _, err := dial().Read(make([]byte, 1)); err == nil {
		t.Error("one too many is served")
	}
	first.Close()
	first.Close() // gives one place back, not two
	dial()
	defer (<-accepted).Close()
	if _, err := dial().Read(make([]byte, 1)); err == nil {
		t.Error("a connection that was closed twice gave two places back")
	}
}
