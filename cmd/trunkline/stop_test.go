package main

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"trunkline/gateway/smpp/pdu"
)

// centre is a message centre to which the daemon binds out, in the hands of a
// test.
type centre struct {
	testing.TB
	links chan *link // that were bound
	addr  string
}

// newCentre accepts every bind as a transceiver.
func newCentre(t testing.TB) *centre {
	t.Helper()
	l := listenLoopback(t)
	t.Cleanup(func() { l.Close() })
	c := &centre{TB: t, links: make(chan *link, 16), addr: l.Addr().String()}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p := newLink(t, conn)
			if f, ok := <-p.frames; ok && f.ID == pdu.IDBindTransceiver {
				p.write(f.Response(pdu.ESME_ROK), &pdu.BindResp{SystemID: []byte("centre"), TLVs: pdu.TLVs{}.AppendUint8(pdu.TagSCInterfaceVersion, 0x34)})
				c.links <- p
			}
		}
	}()
	return c
}

// boundOut is the example with a carrier that the daemon binds to instead of
// one that binds in; more is added to the carrier's file.
func boundOut(t *testing.T, address, more string) map[string]string {
	t.Helper()
	files := example(t)
	delete(files, "carriers/demo.yaml")
	files["carriers/centre.yaml"] = fmt.Sprintf("carrier: centre\nconnect: [%q]\nsystem_id: trunk\npassword: secret\nroutes: [{prefix: \"\"}]\n%s", address, more)
	return files
}

// A first SIGTERM lets what is in flight come to its end, then unbinds. New
// work is refused meanwhile.
func TestStopDrains(t *testing.T) {
	t.Parallel()
	c := newCentre(t)
	s := newSite(t, boundOut(t, c.addr, ""))
	s.edit("trunkline.yaml", "smpp:\n", "smpp:\n  drain_timeout: 60s\n")
	g := s.start()
	l := receive(t, "the bind", c.links)
	f := l.request(pdu.IDDeliverSM, keywordFrom(anna, "START"))
	if f.Status != pdu.ESME_ROK {
		t.Fatalf("START was answered with %s", f.Status)
	}
	submit := l.await(pdu.IDSubmitSM)

	g.signal(syscall.SIGTERM)
	g.errs.expect(t, "stopping; once more to stop without waiting")
	eventually(t, "it is not ready any more", func() bool { code, body := g.get("/readyz"); return code == 503 && body != "" })
	if code, _ := g.get("/healthz"); code != 200 {
		t.Error("it is not healthy while it drains")
	}
	eventually(t, "new work is refused", func() bool {
		return l.request(pdu.IDDeliverSM, keywordFrom(boris, "START")).Status == pdu.ESME_RX_T_APPN
	})
	if g.ended() {
		t.Fatal("it ended with a message in flight")
	}
	l.write(submit.Response(pdu.ESME_ROK), &pdu.SMResp{MessageID: []byte("1")})
	l.write(l.await(pdu.IDUnbind).Response(pdu.ESME_ROK), nil)
	g.wait(t)
	if code := g.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("it ended with %d", code)
	}

	// What the answer said was kept: nothing is sent again, and the run goes on.
	g = s.start()
	l = receive(t, "the bind", c.links)
	if f := l.request(pdu.IDDeliverSM, keywordFrom(anna, "42")); f.Status != pdu.ESME_ROK {
		t.Fatalf("42 was answered with %s", f.Status)
	}
	if m := l.message(pdu.IDSubmitSM, "2"); string(m.ShortMessage) != thanks42 {
		t.Errorf("the answer is %q", m.ShortMessage)
	}
	if got := s.flow("shoe-offer").element("ask"); got.Sent != 1 || got.Failed != 0 {
		t.Errorf("ask: %+v", got)
	}
	l.conn.Close()
	g.stop()
}

// A second SIGTERM ends at once.
func TestStopAtOnce(t *testing.T) {
	t.Parallel()
	c := newCentre(t)
	s := newSite(t, boundOut(t, c.addr, ""))
	s.edit("trunkline.yaml", "smpp:\n", "smpp:\n  drain_timeout: 10m\n")
	g := s.start()
	l := receive(t, "the bind", c.links)
	l.request(pdu.IDDeliverSM, keywordFrom(anna, "START"))
	l.await(pdu.IDSubmitSM) // and never answered
	g.signal(syscall.SIGTERM)
	g.errs.expect(t, "stopping; once more to stop without waiting")
	began := time.Now()
	g.signal(syscall.SIGTERM)
	g.wait(t)
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}

	// The message was in flight, so it is sent again (rule X2, transactional).
	g = s.start()
	l = receive(t, "the bind", c.links)
	if m := l.message(pdu.IDSubmitSM, "1"); string(m.ShortMessage) != question || string(m.Dest.Addr) != anna {
		t.Errorf("%q to %s came", m.ShortMessage, m.Dest.Addr)
	}
	l.conn.Close()
	g.stop()
}

// What was acknowledged survives kill -9: its reply goes out after the restart.
func TestKilled(t *testing.T) {
	t.Parallel()
	s := newSite(t, example(t))
	g := s.start()
	l := bindTo(t, g.smpp, "demo", "demo")
	for _, phone := range []string{anna, boris, cveta, dario} {
		l.send(pdu.IDSubmitSM, keywordFrom(phone, "START"))
	}
	acknowledged := 0
	for acknowledged < 4 { // the replies are not answered: nothing of them is kept
		if f, ok := l.next(); !ok {
			t.Fatal("the session ended")
		} else if f.ID == pdu.IDSubmitSMResp && f.Status == pdu.ESME_ROK {
			acknowledged++
		}
	}
	g.kill()

	g = s.start()
	l = bindTo(t, g.smpp, "demo", "demo")
	replied := map[string]int{}
	for len(replied) < 4 {
		m := l.message(pdu.IDDeliverSM, "")
		if string(m.ShortMessage) != question {
			t.Errorf("%q came", m.ShortMessage)
		}
		replied[string(m.Dest.Addr)]++
	}
	for phone, n := range replied {
		if n != 1 {
			t.Errorf("%s got %d replies", phone, n)
		}
	}
	eventually(t, "the counters agree", func() bool { return s.flow("shoe-offer").Sent == 4 })
	if f := s.flow("shoe-offer"); f.Entered != 4 || f.Inside != 4 {
		t.Errorf("shoe-offer: %+v", f)
	}
	l.conn.Close()
	g.stop()
}
