package main

import (
	"strings"
	"syscall"
	"testing"
)

// phones are senders of which each is a person of its own.
const (
	anna  = "385910000001"
	boris = "385910000002"
	cveta = "385910000003"
	dario = "385910000004"
)

// text sends texts from a phone, and returns the answers.
func (g *running) text(from string, texts ...string) (answers []string) {
	g.site.Helper()
	for line := range strings.Lines(g.simulate(append([]string{"--from", from}, texts...)...)) {
		if answer, ok := strings.CutPrefix(line, "< 38591000001: "); ok {
			answers = append(answers, strings.TrimSuffix(answer, "\n"))
		}
	}
	return answers
}

// answers expects one answer to one text.
func (g *running) answers(from, text, want string) {
	g.site.Helper()
	if got := g.text(from, text); len(got) != 1 || got[0] != want {
		g.site.Fatalf("%s was answered with %q, not %q", text, got, want)
	}
}

const (
	question = "Welcome! What is your shoe size?"
	thanks42 = "Thank you! We noted size 42."
)

// A configuration with mistakes changes nothing, however it is loaded.
func TestReloadOfMistakes(t *testing.T) {
	t.Parallel()
	s := newSite(t, example(t))
	s.config = "trunkline.yaml"
	g := s.start()
	g.answers(anna, "START", question)

	s.edit("flows/shoe-offer.yaml", question, "Changed!")
	s.edit("flows/shoe-offer.yaml", "next: ask", "next: aks")
	s.edit("carriers/demo.yaml", "password: demo ", "pasword: demo ")
	const place, mistake = "flows/shoe-offer.yaml:9:11: ", `entry point "keyword" leads to "aks", which does not exist (did you mean "ask"?)`
	s.refused([]string{place + mistake, `carriers/demo.yaml:10:1: unknown key "pasword" (did you mean "password"?)`}, "reload")
	s.unchanged(g, boris)
	g.errs.expect(t, "the configuration has mistakes and was not loaded; the running one stays")

	// The same through a signal; the log tells it.
	before := len(g.errs.String())
	g.signal(syscall.SIGHUP)
	eventually(t, "the log tells the mistake", func() bool {
		return strings.Contains(strings.ReplaceAll(g.errs.String()[before:], `\"`, `"`), mistake)
	})
	s.unchanged(g, cveta)
	g.stop()
}

// unchanged: the first version runs for those inside and for new ones.
func (s *site) unchanged(g *running, newcomer string) {
	s.Helper()
	if f := s.flow("shoe-offer"); f.Version != 1 || f.State != "active" {
		s.Errorf("shoe-offer is %s in version %d", f.State, f.Version)
	}
	g.answers(newcomer, "START", question)
	g.answers(newcomer, "42", thanks42)
	if p := s.person(anna); len(p.Runs) != 1 || p.Runs[0].Element != "wait" {
		s.Errorf("who was inside is at %+v", p.Runs)
	}
}

// A changed flow gets a new version, for those who enter; those inside finish
// on theirs, also after a restart.
func TestReloadOfAChangedFlow(t *testing.T) {
	t.Parallel()
	s := newSite(t, example(t))
	g := s.start()
	g.answers(anna, "START", question)
	g.answers(boris, "START", question)

	if got := s.must("reload"); got != "reloaded; no flow changed\n" {
		t.Errorf("reload without a change: %q", got)
	}
	s.edit("flows/shoe-offer.yaml", question, "Hi! Which size?")
	s.edit("flows/shoe-offer.yaml", "We noted size", "Version two noted")
	if got := s.must("reload"); got != "reloaded: shoe-offer v2\n" {
		t.Errorf("reload: %q", got)
	}
	g.answers(cveta, "START", "Hi! Which size?")
	g.answers(anna, "42", thanks42)
	g.answers(cveta, "43", "Thank you! Version two noted 43.")
	if f := s.flow("shoe-offer"); f.Version != 2 || f.Inside != 1 || f.Entered != 3 || f.element("thank").Sent != 2 {
		t.Errorf("shoe-offer: %+v", f)
	}
	g.stop()
	g = s.start()
	g.answers(boris, "42", thanks42)
	g.answers(dario, "START", "Hi! Which size?")

	// SIGHUP loads what is good, too; a layout of the file is no change.
	s.edit("flows/shoe-offer.yaml", "name: Shoe offer", "name:   Shoe offer   # a comment")
	s.edit("trunkline.yaml", "reserve_mib: 16", "reserve_mib: 32")
	g.signal(syscall.SIGHUP)
	g.errs.expect(t, "configuration loaded")
	if f := s.flow("shoe-offer"); f.Version != 2 {
		t.Errorf("a comment made version %d", f.Version)
	}
	if c := s.try("reload"); c.code != 0 || c.out != "reloaded; no flow changed\n" {
		t.Errorf("reload: %+v", c)
	}
	g.stop()
}

// A flow whose file is removed takes nobody in; those inside finish.
func TestReloadWithoutAFlow(t *testing.T) {
	t.Parallel()
	s := newSite(t, example(t))
	g := s.start()
	g.answers(anna, "START", question)
	s.remove("flows/shoe-offer.yaml")
	if got := s.must("reload"); got != "reloaded: shoe-offer removed\n" {
		t.Errorf("reload: %q", got)
	}
	if f := s.flow("shoe-offer"); f.State != "finishing" || !f.Removed || f.Inside != 1 {
		t.Errorf("shoe-offer: %+v", f)
	}
	g.answers(boris, "START", `Sorry, I don't know "START". Text START for your shoe offer.`)
	g.answers(anna, "42", thanks42)
	if f := s.flow("shoe-offer"); f.Inside != 0 || f.Entered != 1 || f.element("thank").Sent != 1 {
		t.Errorf("shoe-offer: %+v", f)
	}
	s.refused([]string{`flow "shoe-offer" is no longer configured: put its file back and reload`}, "flow", "start", "shoe-offer")

	s.write("flows/shoe-offer.yaml", example(t)["flows/shoe-offer.yaml"])
	if got := s.must("reload"); got != "reloaded: shoe-offer is back\n" {
		t.Errorf("reload: %q", got)
	}
	g.answers(cveta, "START", question)
	g.stop()
}

// What takes effect only at the next start is said.
func TestReloadNeedsRestart(t *testing.T) {
	t.Parallel()
	s := newSite(t, example(t))
	g := s.start()
	s.edit("trunkline.yaml", "reserve_mib: 16", "reserve_mib: 32")
	s.edit("trunkline.yaml", "data: data ", "data: other ")
	s.refused([]string{"no daemon answers at " + s.path("other/control.sock")}, "reload")
	g.signal(syscall.SIGHUP)
	g.errs.expect(t, "configuration loaded")
	s.edit("trunkline.yaml", "data: other ", "data: data ")
	want := command{"reloaded; no flow changed\n", "warning: storage changed; that takes effect at the next start\n", 0}
	for range 2 { // what runs is what counts, not what was loaded last
		if got := s.try("reload"); got != want {
			t.Errorf("reload: %+v, not %+v", got, want)
		}
	}
	g.stop()
}
