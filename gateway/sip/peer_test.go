package sip

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"
)

// sipp runs the independent implementation, with a time limit of its own.
func sipp(t *testing.T, args ...string) func() {
	t.Helper()
	path, err := exec.LookPath("sipp")
	if err != nil {
		t.Skip("sipp is not installed: testdata/peers/install")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, path, append(args, "-i", "127.0.0.1", "-nostdin", "-timeout", "120s", "-timeout_error")...)
	cmd.Dir = t.TempDir()
	var out []byte
	done := make(chan struct{})
	go func() {
		defer close(done)
		out, err = cmd.CombinedOutput()
	}()
	return func() {
		t.Helper()
		<-done
		if err != nil {
			t.Fatalf("sipp: %v\n%s", err, tail(out, 4000))
		}
	}
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// freePort is one that was free a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// TestSippCallsUs: sipp's own caller talks to us over UDP and TCP, and finds
// nothing to object to.
func TestSippCallsUs(t *testing.T) {
	for transport, flag := range map[Transport]string{UDP: "u1", TCP: "t1"} {
		t.Run(string(transport), func(t *testing.T) {
			const calls = 100
			h := answering{make(chan *Leg, calls)}
			e := realEdge(t, fmt.Sprintf("listen: [{address: \"127.0.0.1:0\", transport: %s}]", transport), h, fmt.Sprintf("trunk: sipp\nfrom: [127.0.0.0/8]\ntransport: %s", transport))
			sipp(t, e.Addresses()[0].String(), "-sn", "uac", "-t", flag, "-p", strconv.Itoa(freePort(t)), "-m", strconv.Itoa(calls), "-r", "100", "-d", "20", "-s", "38512345")()
			if n := len(h.legs); n != calls {
				t.Errorf("%d calls came", n)
			}
			for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(10 * time.Millisecond) {
				if legs, transactions := e.table.count(); legs+transactions == 0 {
					return
				}
			}
			t.Error("legs are left")
		})
	}
}

// TestWeCallSipp: sipp's own callee takes our calls, and our BYE.
func TestWeCallSipp(t *testing.T) {
	const calls = 30
	port := freePort(t)
	wait := sipp(t, "-sn", "uas", "-p", strconv.Itoa(port), "-m", strconv.Itoa(calls))
	e := realEdge(t, "listen: [{address: \"127.0.0.1:0\"}]", nil, fmt.Sprintf("trunk: sipp\nconnect: [\"127.0.0.1:%d\"]\nping: {interval: 0s}", port))
	var all sync.WaitGroup
	for range calls {
		all.Add(1)
		var l *Leg
		var err error
		ready := make(chan struct{})
		l, err = e.Dial(Dial{Trunk: "sipp", Called: "385911234567", Caller: "38512345", Local: ourMedia}, func(ev Event) {
			<-ready
			switch ev := ev.(type) {
			case Answered:
				l.Hangup(0)
			case Ended:
				if !ev.Answer || ev.Code != 200 {
					t.Errorf("ended with %+v", ev)
				}
				all.Done()
			}
		})
		close(ready)
		if err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
	wait()
}
