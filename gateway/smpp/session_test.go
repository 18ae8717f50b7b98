package smpp

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/gateway"
	"trunkline/gateway/smpp/pdu"
)

// piped runs an edge in a bubble of synctest with one session over a pipe, in
// which time passes only when all are asleep.
func piped(t *testing.T, core *testCore, carrier Carrier, test func(w *world, p *peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e, err := New(testConfig(), []Carrier{carrier}, Options{Core: core, Log: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := net.Pipe()
		e.tasks.Go(func() { e.serve(new(listener), ours) })
		p := newPeer(t, theirs)
		if f := p.bind(pdu.IDBindTransceiver, carrier.SystemID, "secret"); f.Status != pdu.ESME_ROK {
			t.Fatal(f.Status)
		}
		synctest.Wait()
		test(&world{T: t, edge: e, core: core}, p)
		theirs.Close()
		e.drain()
	})
}

// A peer that says nothing is enquired, and dropped when it says nothing then.
func TestSilentPeer(t *testing.T) {
	a := bindsIn("a")
	a.Timers.EnquireLink, a.Timers.Response = 30*time.Second, 10*time.Second
	piped(t, newTestCore(), a, func(w *world, p *peer) {
		began := time.Now()
		f := <-p.frames
		if passed := time.Since(began); f.ID != pdu.IDEnquireLink || passed < 30*time.Second || passed > 33*time.Second {
			t.Fatalf("%s came after %s", f.ID, passed)
		}
		p.write(f.Response(pdu.ESME_ROK), nil)
		f = <-p.frames // it answered, and is asked again
		if passed := time.Since(began); f.ID != pdu.IDEnquireLink || passed < 60*time.Second || passed > 66*time.Second {
			t.Fatalf("%s came after %s", f.ID, passed)
		}
		asked := time.Now()
		if _, open := <-p.frames; open {
			t.Fatal("something came")
		}
		if passed := time.Since(asked); passed < 10*time.Second || passed > 13*time.Second {
			t.Errorf("dropped after %s", passed)
		}
		if n := counter(t, w.edge.metrics.silent.WithLabelValues("a")); n != 1 {
			t.Errorf("%v silent peers", n)
		}
	})
}

// Any life is an answer to an enquire_link.
func TestLivelyPeer(t *testing.T) {
	a := bindsIn("a")
	a.Timers.EnquireLink, a.Timers.Response = 30*time.Second, 10*time.Second
	piped(t, newTestCore(), a, func(w *world, p *peer) {
		for range 20 {
			time.Sleep(9 * time.Second)
			p.send(pdu.IDSubmitSM, sms("1", "2", "x"))
		}
		synctest.Wait()
		if w.bound("a") != 1 {
			t.Error("the session ended")
		}
	})
}

// Without messages a session is unbound after the inactivity time, enquire_link
// or not.
func TestInactivity(t *testing.T) {
	a := bindsIn("a")
	a.Timers.Inactivity = 5 * time.Minute
	piped(t, newTestCore(), a, func(w *world, p *peer) {
		began := time.Now()
		f := p.expect2(pdu.IDUnbind)
		if passed := time.Since(began); passed < 5*time.Minute || passed > 6*time.Minute {
			t.Errorf("unbound after %s", passed)
		}
		p.write(f.Response(pdu.ESME_ROK), nil)
		if _, open := <-p.frames; open {
			t.Error("something came after unbind_resp")
		}
	})
}

// expect2 is expect without a limit of time, for bubbles in which it passes fast.
func (p *peer) expect2(id pdu.ID) frame {
	p.t.Helper()
	for f := range p.frames {
		if f.ID == pdu.IDEnquireLink && id != pdu.IDEnquireLink {
			p.write(f.Response(pdu.ESME_ROK), nil)
			continue
		}
		if f.ID != id {
			p.t.Fatalf("%s came, not %s", f.ID, id)
		}
		return f
	}
	p.t.Fatalf("the connection ended, %s was to come", id)
	panic("unreachable")
}

// timed returns a result and how long it took.
func timed(ch <-chan gateway.Result) (gateway.Result, time.Duration) {
	began := time.Now()
	r := <-ch
	return r, time.Since(began)
}

// A peer that answers no message leaves it in doubt after the response time,
// and its place in the window stays taken: a late answer frees it.
func TestResponseTimer(t *testing.T) {
	a := routed(bindsIn("a"))
	a.Window = 2
	a.Timers.EnquireLink, a.Timers.Response, a.Timers.Late = 0, 10*time.Second, time.Minute
	piped(t, newTestCore(), a, func(w *world, p *peer) {
		first := w.sending(hello())
		one := p.expect2(pdu.IDDeliverSM)
		r, passed := timed(first)
		if r.Fate != gateway.FateInDoubt || r.Code != "no_response" || passed < 10*time.Second || passed > 12*time.Second {
			t.Fatalf("%+v after %s", r, passed)
		}
		second, third := w.sending(hello()), w.sending(hello())
		p.expect2(pdu.IDDeliverSM)
		synctest.Wait()
		if s := w.edge.Status()[0]; s.Queue != 1 || s.Sessions[0].WindowUsed != 2 {
			t.Errorf("the window let more through: %+v", s)
		}
		p.write(one.Response(pdu.ESME_ROK), nil) // late
		p.write(p.expect2(pdu.IDDeliverSM).Response(pdu.ESME_ROK), nil)
		if r := <-third; r.Fate != gateway.FateAccepted {
			t.Errorf("%+v", r)
		}
		if n := counter(t, w.edge.metrics.late.WithLabelValues("a")); n != 1 {
			t.Errorf("%v late answers", n)
		}
		// The peer answers others: the second has until late_response.
		r, passed = timed(second)
		if r.Fate != gateway.FateInDoubt || passed < 10*time.Second {
			t.Errorf("%+v after %s", r, passed)
		}
	})
}

// A peer that still answers others, or throttles, may be late: nothing is given
// up and nothing sent twice before late_response.
func TestLateAnswers(t *testing.T) {
	for _, status := range []pdu.Status{pdu.ESME_ROK, pdu.ESME_RTHROTTLED} {
		t.Run(status.String(), func(t *testing.T) {
			a := routed(bindsIn("a"))
			a.Window = 10
			a.Timers.EnquireLink, a.Timers.Response, a.Timers.Late = 0, 10*time.Second, time.Minute
			piped(t, newTestCore(), a, func(w *world, p *peer) {
				slow := w.sending(hello())
				held := p.expect2(pdu.IDDeliverSM)
				for range 6 { // 54 s
					time.Sleep(9 * time.Second)
					r := w.sending(hello())
					p.write(p.expect2(pdu.IDDeliverSM).Response(status), nil)
					<-r
				}
				select {
				case r := <-slow:
					t.Fatalf("given up: %+v", r)
				default:
				}
				p.write(held.Response(pdu.ESME_ROK), nil)
				if r := <-slow; r.Fate != gateway.FateAccepted {
					t.Errorf("%+v", r)
				}
			})
		})
	}
}

// And there is an end to that, too.
func TestTooLate(t *testing.T) {
	a := routed(bindsIn("a"))
	a.Window = 10
	a.Timers.EnquireLink, a.Timers.Response, a.Timers.Late = 0, 10*time.Second, time.Minute
	piped(t, newTestCore(), a, func(w *world, p *peer) {
		began := time.Now()
		slow := w.sending(hello())
		p.expect2(pdu.IDDeliverSM)
		stop := make(chan struct{})
		go func() {
			for {
				select {
				case f, ok := <-p.frames:
					if !ok {
						return
					}
					p.write(f.Response(pdu.ESME_ROK), nil)
				case <-stop:
					return
				}
			}
		}()
		tick := time.NewTicker(5 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				w.sending(hello())
				continue
			case r := <-slow:
				if passed := time.Since(began); r.Fate != gateway.FateInDoubt || passed < time.Minute || passed > 63*time.Second {
					t.Errorf("%+v after %s", r, passed)
				}
			}
			break
		}
		close(stop)
	})
}

// A window full of unanswered messages ends the session: it is of no use.
func TestUnansweredWindow(t *testing.T) {
	a := routed(bindsIn("a"))
	a.Window = 2
	a.Timers.EnquireLink, a.Timers.Response, a.Timers.Late = 0, 10*time.Second, time.Minute
	piped(t, newTestCore(), a, func(w *world, p *peer) {
		one, two, three := w.sending(hello()), w.sending(hello()), w.sending(hello())
		p.expect2(pdu.IDDeliverSM)
		p.expect2(pdu.IDDeliverSM)
		for _, ch := range []<-chan gateway.Result{one, two} {
			if r := <-ch; r.Fate != gateway.FateInDoubt {
				t.Errorf("%+v", r)
			}
		}
		if _, open := <-p.frames; open {
			t.Error("the session goes on")
		}
		if r := <-three; r.Fate != gateway.FateRetry || r.Code != "no_bind" {
			t.Errorf("what was never written: %+v", r)
		}
	})
}

// What waits for a window when its validity ends is told so.
func TestExpiryInQueue(t *testing.T) {
	a := routed(bindsIn("a"))
	a.Window = 1
	a.Timers.Response, a.Timers.Late = time.Hour, time.Hour
	a.Timers.EnquireLink = 0
	piped(t, newTestCore(), a, func(w *world, p *peer) {
		w.sending(hello())
		m := hello()
		m.Expires = time.Now().Add(time.Minute)
		waits := w.sending(m)
		p.expect2(pdu.IDDeliverSM)
		c := w.edge.current.Load().carriers["a"]
		c.sweep(w.edge.now())
		time.Sleep(time.Minute)
		c.sweep(w.edge.now())
		if r := <-waits; r.Fate != gateway.FateExpired {
			t.Errorf("%+v", r)
		}
	})
}

// A PDU that begins must end: a trickle of octets is no life.
func TestTrickle(t *testing.T) {
	a := bindsIn("a")
	a.Timers.EnquireLink, a.Timers.Response = 0, 10*time.Second
	piped(t, newTestCore(), a, func(w *world, p *peer) {
		began := time.Now()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for _, b := range whole(pdu.IDSubmitSM, 9, make([]byte, 40)...) {
				if _, err := p.conn.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		if _, open := <-p.frames; open {
			t.Error("something came")
		}
		if passed := time.Since(began); passed > 11*time.Second {
			t.Errorf("ended after %s", passed)
		}
		<-ended
	})
}

// A peer that does not read ends its own session, and the memory it takes is
// bounded meanwhile.
func TestPeerThatDoesNotRead(t *testing.T) {
	a := bindsIn("a")
	a.Timers.EnquireLink = 0
	synctest.Test(t, func(t *testing.T) {
		e, err := New(testConfig(), []Carrier{a}, Options{Core: newTestCore(), Log: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := net.Pipe()
		e.tasks.Go(func() { e.serve(new(listener), ours) })
		bind, _ := (&pdu.Bind{SystemID: []byte("a"), Password: []byte("secret"), InterfaceVersion: 0x34}).Append(nil, pdu.Header{ID: pdu.IDBindTransceiver, Sequence: 1})
		theirs.Write(bind)
		if _, _, err := pdu.Read(theirs, nil, 1<<16); err != nil {
			t.Fatal(err)
		}
		enquire := whole(pdu.IDEnquireLink, 2)
		written := 0
		for {
			if _, err := theirs.Write(enquire); err != nil {
				break
			}
			written += len(enquire)
		}
		if written > 2*outFull {
			t.Errorf("%d octets were read from a peer that does not read", written)
		}
		theirs.Close()
		e.drain()
	})
}

// The peer unbinds: what is in flight is finished first.
func TestPeerUnbinds(t *testing.T) {
	core := newTestCore()
	held := make(chan func(error), 1)
	core.inbound = func(_ gateway.Inbound, done func(error)) { held <- done }
	piped(t, core, bindsIn("a"), func(w *world, p *peer) {
		n := p.send(pdu.IDSubmitSM, sms("1", "2", "x"))
		p.send(pdu.IDUnbind, nil)
		done := <-held
		time.Sleep(100 * time.Millisecond)
		done(nil)
		if f := p.expect2(pdu.IDSubmitSMResp); f.Sequence != n || f.Status != pdu.ESME_ROK {
			t.Errorf("%d was answered with %s", f.Sequence, f.Status)
		}
		p.expect2(pdu.IDUnbindResp)
		if _, open := <-p.frames; open {
			t.Error("something came after unbind_resp")
		}
	})
}

// Stopping: what is in flight is finished, new work is refused in each
// direction's words, then the sessions are unbound.
func TestDrain(t *testing.T) {
	core := newTestCore()
	held := make(chan func(error), 1)
	core.inbound = func(_ gateway.Inbound, done func(error)) { held <- done }
	c := newCentre(t)
	out := routed(bindsOut("out", c.address()))
	out.Window = 1
	w := run(t, testConfig(), core, bindsIn("in"), out)
	p := bound(t, w.address(), pdu.IDBindTransceiver, "in")
	m, _ := c.accept(pdu.ESME_ROK)
	w.awaitBound("out", 1)
	submitted := p.send(pdu.IDSubmitSM, sms("1", "2", "x"))
	done := recv(t, "the message", held)
	written, waiting := w.sending(hello()), w.sending(hello())
	sent := m.expect(pdu.IDSubmitSM)

	w.stop()
	if r := recv(t, "what waited", waiting); r.Fate != gateway.FateRetry || r.Code != "stopping" {
		t.Errorf("what waited: %+v", r)
	}
	if f := p.request(pdu.IDSubmitSM, sms("1", "2", "y")); f.Status != pdu.ESME_RSYSERR {
		t.Errorf("submit_sm was answered with %s", f.Status)
	}
	if f := m.request(pdu.IDDeliverSM, sms("1", "2", "y")); f.Status != pdu.ESME_RX_T_APPN {
		t.Errorf("deliver_sm was answered with %s", f.Status)
	}
	if r := recv(t, "a new message", w.sending(hello())); r.Fate != gateway.FateRetry {
		t.Errorf("a new message: %+v", r)
	}
	if conn, err := net.Dial("tcp", w.address()); err == nil {
		conn.Close()
		t.Error("a new connection was accepted")
	}
	done(nil)
	if f := p.expect(pdu.IDSubmitSMResp); f.Sequence != submitted || f.Status != pdu.ESME_ROK {
		t.Errorf("%d was answered with %s", f.Sequence, f.Status)
	}
	m.write(sent.Response(pdu.ESME_ROK), &pdu.SMResp{MessageID: []byte("1")})
	if r := recv(t, "what was written", written); r.Fate != gateway.FateAccepted {
		t.Errorf("what was written: %+v", r)
	}
	for _, peer := range []*peer{p, m} {
		peer.write(peer.expect(pdu.IDUnbind).Response(pdu.ESME_ROK), nil)
		peer.conn.(*net.TCPConn).CloseWrite()
		peer.expectEnd()
	}
	<-w.done
}

// What is not answered within the drain timeout is in doubt.
func TestDrainTimeout(t *testing.T) {
	c := newCentre(t)
	cfg := testConfig()
	cfg.DrainTimeout = 20 * time.Millisecond
	w := run(t, cfg, newTestCore(), routed(bindsOut("a", c.address())))
	p, _ := c.accept(pdu.ESME_ROK)
	w.awaitBound("a", 1)
	result := w.sending(hello())
	p.expect(pdu.IDSubmitSM)
	w.stop()
	p.write(p.expect(pdu.IDUnbind).Response(pdu.ESME_ROK), nil)
	if r := recv(t, "the result", result); r.Fate != gateway.FateInDoubt {
		t.Errorf("%+v", r)
	}
	<-w.done
}

// A caller that has waited for what is in flight shares one deadline with the
// edge: a silent peer is not waited for twice.
func TestDrainUntil(t *testing.T) {
	c := newCentre(t)
	cfg := testConfig()
	cfg.DrainTimeout = 10 * time.Minute
	w := run(t, cfg, newTestCore(), routed(bindsOut("a", c.address())))
	p, _ := c.accept(pdu.ESME_ROK)
	w.awaitBound("a", 1)
	result := w.sending(hello())
	p.expect(pdu.IDSubmitSM)
	w.edge.DrainUntil(time.Now())
	w.stop()
	p.write(p.expect(pdu.IDUnbind).Response(pdu.ESME_ROK), nil)
	if r := recv(t, "the result", result); r.Fate != gateway.FateInDoubt {
		t.Errorf("%+v", r)
	}
	<-w.done
}

// Logs hold no passwords, texts and numbers, unless they are asked for.
func TestLogs(t *testing.T) {
	for _, bodies := range []bool{false, true} {
		var log syncBuffer
		core := newTestCore()
		w := runWith(t, testConfig(), Options{Core: core, Log: log.logger(), LogBodies: bodies}, routed(bindsIn("a")))
		dial(t, w.address()).bind(pdu.IDBindTransceiver, "a", "hunter2")
		p := bound(t, w.address(), pdu.IDBindTransceiver, "a")
		p.request(pdu.IDSubmitSM, sms("38591000002", "38591000001", "confidential"))
		bad := sms("38591000002", "38591000001", "confidential")
		bad.Dest.Addr = []byte("38591000003x")
		p.request(pdu.IDSubmitSM, bad)
		m := hello()
		m.Text = "confidential"
		result := w.sending(m)
		p.answerWith(pdu.IDDeliverSM, pdu.ESME_ROK, "")
		recv(t, "the result", result)
		receipt := sms("38591000002", "38591000001", "confidential")
		receipt.ESMClass = pdu.TypeDeliveryAck
		p.request(pdu.IDSubmitSM, receipt)
		w.stop()
		p.conn.Close()
		<-w.done
		text := log.String()
		for _, secret := range []string{"hunter2", "secret"} {
			if strings.Contains(text, secret) {
				t.Errorf("the log holds a password:\n%s", text)
			}
		}
		for _, private := range []string{"confidential", "38591000001", "38591000002"} {
			if strings.Contains(text, private) != bodies {
				t.Errorf("bodies %v, and the log says of %s:\n%s", bodies, private, text)
			}
		}
		if !strings.Contains(text, "an SMPP session is bound") {
			t.Errorf("the log says nothing:\n%s", text)
		}
	}
}

// Everything at once: many messages over sessions that come and go end once
// each.
func TestEveryMessageEndsOnce(t *testing.T) {
	a := routed(bindsIn("a"))
	a.Accept.MaxBinds = 10
	w := run(t, testConfig(), newTestCore(), a)
	const n = 2000
	results := make(chan gateway.Result, 2*n)
	stop := make(chan struct{})
	peers := make(chan struct{})
	go func() {
		defer close(peers)
		for {
			select {
			case <-stop:
				return
			default:
			}
			p := bound(t, w.address(), pdu.IDBindTransceiver, "a")
			for range 37 {
				var f frame
				ok := false
				select {
				case f, ok = <-p.frames:
				case <-stop:
				}
				if !ok {
					break
				}
				if f.ID == pdu.IDDeliverSM {
					p.write(f.Response(pdu.ESME_ROK), nil)
				}
			}
			p.conn.Close()
		}
	}()
	send := func(m gateway.Outbound) {
		w.edge.Send(context.Background(), m, func(r gateway.Result) { results <- r })
	}
	ended := map[gateway.Fate]int{}
	for range n {
		send(hello())
	}
	for left := n; left > 0; left-- {
		r := recv(t, "a result", results)
		ended[r.Fate]++
		if r.Fate == gateway.FateRetry && ended[gateway.FateRetry] < 100*n {
			left++
			time.Sleep(10 * time.Microsecond)
			send(hello())
		}
	}
	if len(results) != 0 || ended[gateway.FateAccepted]+ended[gateway.FateInDoubt] != n {
		t.Errorf("%v, and %d more", ended, len(results))
	}
	close(stop)
	<-peers // before the edge stops: a bind that is under way is answered
	w.stop()
}
