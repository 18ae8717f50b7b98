package sip

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trunkline/gateway/sip/message"
)

// torture says how each message of RFC 4475 is answered; 0: it is a response, or
// it needs no answer. We are no registrar, so REGISTER gets 405 unless its
// form is wrong; and a To tag that names no call gets 481.
var torture = map[string]int{
	"valid/dblreq": 405, "valid/esc01": 200, "valid/esc02": 501, "valid/escnull": 405, "valid/intmeth": 501, "valid/longreq": 200,
	"valid/lwsdisp": 200, "valid/mpart01": 405, "valid/noreason": 0, "valid/semiuri": 200, "valid/transports": 200, "valid/unreason": 0,
	"valid/wsinv": 481,

	"invalid/badaspec": 400, "invalid/badbranch": 400, "invalid/baddate": 400, "invalid/baddn": 400, "invalid/badinv01": 400, "invalid/badvers": 505,
	"invalid/bcast": 0, "invalid/bext01": 420, "invalid/bigcode": 0, "invalid/clerr": 400, "invalid/cparam01": 405, "invalid/cparam02": 405,
	"invalid/escruri": 400, "invalid/insuf": 400, "invalid/inv2543": 200, "invalid/invut": 415, "invalid/ltgtruri": 400, "invalid/lwsruri": 400,
	"invalid/lwsstart": 400, "invalid/mcl01": 400, "invalid/mismatch01": 400, "invalid/mismatch02": 400, "invalid/multi01": 400, "invalid/ncl": 400,
	"invalid/novelsc": 416, "invalid/quotbal": 400, "invalid/regaut01": 405, "invalid/regbadct": 400, "invalid/regescrt": 405, "invalid/scalar02": 400,
	"invalid/scalarlg": 0, "invalid/sdp01": 406, "invalid/test": 400, "invalid/trws": 400, "invalid/unkscm": 416, "invalid/unksm2": 400,
	"invalid/zeromf": 483,
}

// tortureFiles are those that come with the module sipgo.
func tortureFiles(t testing.TB) map[string][]byte {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/emiago/sipgo").Output()
	root := filepath.Join(strings.TrimSpace(string(dir)), "sip", "testdata", "torture")
	if err != nil || len(dir) < 2 {
		t.Skip("module github.com/emiago/sipgo is not here: go mod download github.com/emiago/sipgo")
	}
	files := map[string][]byte{}
	for _, kind := range []string{"valid", "invalid"} {
		list, _ := filepath.Glob(filepath.Join(root, kind, "*.dat"))
		for _, name := range list {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files[kind+"/"+strings.TrimSuffix(filepath.Base(name), ".dat")] = data
		}
	}
	if len(files) == 0 {
		t.Skip("module github.com/emiago/sipgo has no torture messages")
	}
	return files
}

func TestTorture(t *testing.T) { // RFC 4475
	files := tortureFiles(t)
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		w.host.do = func(l *Leg) { l.Answer(ourMedia) }
		for name, data := range files {
			want, ok := torture[name]
			if !ok {
				t.Errorf("%s: nothing says how it is answered", name)
				continue
			}
			if _, err := w.phone.conn.WriteToUDPAddrPort(data, ourAddr); err != nil {
				t.Fatal(err)
			}
			status := 0
			for {
				m, ok := w.phone.within(time.Second)
				if !ok {
					break
				}
				if id := m.Get(message.CallID); id != "" && !bytes.Contains(data, []byte(id)) {
					continue // an answer from before that is repeated
				}
				if m.Status != 100 {
					status = m.Status
				}
				if m.Status == 405 && !m.Has(message.Allow) || m.Status == 415 && !m.Has(message.Accept) || m.Status == 420 && !m.Has(message.Unsupported) {
					t.Errorf("%s: %d does not say what would be right", name, m.Status)
				}
			}
			if status != want {
				t.Errorf("%s: answered with %d, want %d", name, status, want)
			}
		}
		if panics := w.counter("trunkline_sip_panics_total"); panics != 0 {
			t.Errorf("%v panics", panics)
		}
		// Whatever came, the edge still serves.
		w.stopCalls()
		w.phone.send("OPTIONS sip:192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bKend\nMax-Forwards: 70\nFrom: <sip:a@b>;tag=1\nTo: <sip:192.0.2.1>\nCall-ID: end\nCSeq: 1 OPTIONS\n\n")
		w.phone.expect("200")
	})
}

// within waits for a message for a while.
func (p *phone) within(d time.Duration) (*message.Message, bool) {
	p.t.Helper()
	select {
	case got := <-p.conn.in:
		m, err := message.Parse(got.data)
		var f *message.Fault
		if m == nil || err != nil && !errors.As(err, &f) {
			p.t.Fatalf("the edge sent what cannot be read: %v\n%s", err, got.data)
		}
		return m, true
	case <-time.After(d):
		return nil, false
	}
}

// stopCalls ends what the messages began.
func (w *world) stopCalls() {
	for _, l := range w.edge.table.all() {
		l.Hangup(0)
	}
	time.Sleep(2 * time.Minute)
	w.phone.conn.drain()
}

func (c *wireConn) drain() {
	for {
		select {
		case <-c.in:
		default:
			return
		}
	}
}
