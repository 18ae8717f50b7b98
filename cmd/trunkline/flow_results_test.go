package main

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
)

// P6: what an operator sees of an A/B test, and the choice by hand.
func TestResults(t *testing.T) {
	t.Parallel()
	files := maps.Clone(small)
	files["flows/offer.yaml"] = `flow: offer
entries: [{id: e, type: people_event, event: Came, next: ab}]
elements:
  ab: {type: split_audience, branches: [{share: 50, next: short}, {share: 50, next: long}], winner: {min_visitors: 1000}}
  short: {type: add_tag, tag: short}
  long: {type: add_tag, tag: long}
goals: [{id: bought, event: Bought}]
`
	s := newSite(t, files)
	s.start()
	come := func(from, to int) {
		for i := from; i < to; i++ {
			s.must("event", "send", "--create", "--person", fmt.Sprintf("38591%04d", i), "Came")
		}
	}
	come(0, 6)
	for range 50 { // events are taken in by the person's own executor
		if strings.Contains(s.must("flow", "results", "offer"), "too few visitors") {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	out := s.must("flow", "results", "offer")
	for _, want := range []string{"ab, goal bought: no winner yet", "branch_1  short     50 %", "branch_2  long"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	s.must("flow", "winner", "offer", "ab", "long")
	before := s.flow("offer").element("long").Total
	come(6, 12)
	if n := s.flow("offer").element("long").Total - before; n != 6 {
		t.Errorf("%d of 6 took the branch that was chosen", n)
	}
	if out := s.must("flow", "results", "offer"); !strings.Contains(out, "branch_2 takes everybody since") {
		t.Error(out)
	}
	s.refused([]string{`has no branch "wide"`}, "flow", "winner", "offer", "ab", "wide")
}

// Who is inside of a flow, as the API and the command line list them.
func TestRuns(t *testing.T) {
	t.Parallel()
	s, key := apiSite(t)
	g := s.start()
	if got := s.must("flow", "runs", "invited"); got != "nobody is inside of flow invited\n" {
		t.Error(got)
	}
	for i := range 3 {
		s.must("event", "send", "--create", "--person", fmt.Sprintf("38591%04d", i), "Bought")
	}
	if got := s.must("flow", "runs", "invited", "--limit", "2"); strings.Count(got, "\n") != 3 || !strings.Contains(got, "  bought  ") {
		t.Error(got)
	}
	seen := map[string]bool{}
	path := "/v1/flows/invited/runs?limit=2"
	for path != "" {
		code, out := g.ask(key, "GET", path, nil)
		if code != 200 {
			t.Fatal(code, out)
		}
		for _, r := range out["runs"].([]any) {
			seen[r.(map[string]any)["person"].(string)] = true
		}
		path = ""
		if next, ok := out["cursor"].(string); ok {
			path = "/v1/flows/invited/runs?limit=2&cursor=" + next
		}
	}
	if len(seen) != 3 {
		t.Errorf("the API lists %d persons, not 3", len(seen))
	}
	s.refused([]string{`there is no flow "invite"`}, "flow", "runs", "invite")
}
