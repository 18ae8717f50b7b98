package main

import (
	"net"
	"reflect"
	"strings"
	"testing"
)

// TestFirstScreen does what the first screen of README.md says, word for word:
// without a configuration, in an empty folder.
func TestFirstScreen(t *testing.T) {
	for _, address := range []string{"127.0.0.1:2775", "127.0.0.1:9090"} { // of the bundled example
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Skipf("SKIPPED: the bundled example needs %s, which is taken on this machine: %v", address, err)
		}
		l.Close()
	}
	if c, err := net.ListenPacket("udp", "127.0.0.1:5070"); err != nil {
		t.Skipf("SKIPPED: the bundled example needs UDP port 5070, which is taken on this machine: %v", err)
	} else {
		c.Close()
	}
	s := &site{T: t, dir: t.TempDir(), env: []string{"TRUNKLINE_CONFIG="}}
	g := s.start()
	for _, text := range []string{"is ready: the bundled example", "SMPP   127.0.0.1:2775", "http://127.0.0.1:9090/metrics", "simulate smpp START"} {
		if !strings.Contains(g.out.String(), text) {
			t.Errorf("the greeting does not say %q:\n%s", text, g.out)
		}
	}
	want := "> 38591000001: START\n< 38591000001: Welcome! What is your shoe size?\n"
	if got := s.must("simulate", "smpp", "START", "--wait", patience.String()); got != want {
		t.Fatalf("START: %q, not %q", got, want)
	}
	want = "> 38591000001: 42\n< 38591000001: Thank you! We noted size 42.\n"
	if got := s.must("simulate", "smpp", "42", "--wait", patience.String()); got != want {
		t.Fatalf("42: %q, not %q", got, want)
	}
	s.remembers()
	g.stop()

	g = s.start()
	s.remembers()
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ok\n"} {
		if code, body := g.get(path); code != 200 || body != want {
			t.Errorf("%s: %d %q", path, code, body)
		}
	}
	if _, body := g.get("/metrics"); !strings.Contains(body, `trunkline_build_info{version="`) {
		t.Errorf("the metrics do not tell the version:\n%.2000s", body)
	}
	g.stop()
}

// remembers checks what is known after the two texts.
func (s *site) remembers() {
	s.Helper()
	eventually(s, "the run has ended", func() bool { return len(s.person("385911234567").Runs) == 0 })
	p := s.person("385911234567")
	if size, ok := p.Attributes["shoeSize"].(float64); !ok || size != 42 {
		s.Errorf("the shoe size is %v", p.Attributes["shoeSize"])
	}
	if len(p.Addresses) != 1 || p.Addresses[0] != (addressView{Kind: "phone", Value: "385911234567"}) {
		s.Errorf("the addresses are %v", p.Addresses)
	}
	var history []string
	for _, h := range p.History {
		history = append(history, h.What)
	}
	for _, what := range []string{"entered shoe-offer through keyword", "reached shoe-offer/ask", "shoe-offer/save changed shoeSize", "left shoe-offer: completed"} {
		if !strings.Contains(strings.Join(history, "\n"), what) {
			s.Errorf("the history lacks %q:\n%s", what, strings.Join(history, "\n"))
		}
	}
	f := s.flow("shoe-offer")
	if f.State != "active" || f.Version != 1 || f.Entered != 1 || f.Inside != 0 || f.Sent != 2 {
		s.Errorf("shoe-offer: %+v", f)
	}
	if f.Recipients != 1 || f.Cost.String() != "0.09 EUR" { // M6
		s.Errorf("%d recipients, cost %s", f.Recipients, f.Cost)
	}
	for id, want := range map[string]elementView{
		"ask": {ID: "ask", Total: 1, Unique: 1, Sent: 1}, "wait": {ID: "wait", Total: 1, Unique: 1},
		"save": {ID: "save", Total: 1, Unique: 1}, "thank": {ID: "thank", Total: 1, Unique: 1, Sent: 1},
		"again": {ID: "again"}, "remind": {ID: "remind"},
	} {
		cost := "-"
		if want.Sent > 0 {
			cost = "0.045 EUR"
		}
		got := f.element(id)
		if got.Cost.String() != cost {
			s.Errorf("element %s: cost %s, not %s", id, got.Cost, cost)
		}
		got.Cost = want.Cost
		if !reflect.DeepEqual(got, want) {
			s.Errorf("element %s: %+v, not %+v", id, got, want)
		}
	}
	// The same for people to read.
	if text := s.must("flow", "show", "shoe-offer"); !strings.Contains(text, "thank    1                  1             1") {
		s.Errorf("flow show:\n%s", text)
	}
	if text := s.must("person", "show", "385911234567"); !strings.Contains(text, "shoeSize  42") {
		s.Errorf("person show:\n%s", text)
	}
}

// TestInit writes the example to a folder, where it is a configuration like any
// other; nothing that is there is overwritten.
func TestInit(t *testing.T) {
	t.Parallel()
	s := &site{T: t, dir: t.TempDir()}
	if got := s.must("init", "my-gateway"); !strings.HasPrefix(got, "wrote my-gateway; start it with: ") {
		t.Errorf("init: %q", got)
	}
	want := "my-gateway/trunkline.yaml is valid: 1 carrier, 2 numbers, 3 flows\n"
	if got := s.must("check", "--config", "my-gateway"); got != want {
		t.Errorf("check: %q, not %q", got, want)
	}
	s.refused([]string{"my-gateway is not empty; nothing was written"}, "init", "my-gateway")
}
