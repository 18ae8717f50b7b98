package main

import (
	"strings"
	"testing"

	"trunkline/gateway/smpp/pdu"
)

// A message to a number that is not ours is refused and counted; one to ours is
// taken.
func TestForeignNumber(t *testing.T) {
	t.Parallel()
	s := newSite(t, example(t))
	g := s.start()
	l := bindTo(t, g.smpp, "demo", "demo")
	foreign := keywordFrom(boris, "START")
	foreign.Dest = international("38599999999")
	if f := l.request(pdu.IDSubmitSM, foreign); f.Status != pdu.ESME_RINVDSTADR {
		t.Errorf("to somebody else's number: %s", f.Status)
	}
	if f := l.request(pdu.IDSubmitSM, keywordFrom(anna, "START")); f.Status != pdu.ESME_ROK {
		t.Errorf("to our number: %s", f.Status)
	}
	if got := s.flow("shoe-offer").element("ask"); got.Total != 1 {
		t.Errorf("ask: %+v", got)
	}
	if _, metrics := g.get("/metrics"); !strings.Contains(metrics, `pdu="submit_sm_resp",status="ESME_RINVDSTADR"} 1`) {
		t.Error("the refusal is not counted")
	}
	l.conn.Close()
	g.stop()
}
