package main

import (
	"bytes"
	"context"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"trunkline/gateway/rtp/prompt"
	"trunkline/gateway/rtp/sdp"
	"trunkline/gateway/rtp/wav"
	"trunkline/gateway/sip"
)

// answering is a phone that is called: it takes every call and hangs up after a while.
type answering struct{ after time.Duration }

func (a answering) Invited(l *sip.Leg) func(sip.Event) {
	l.Answer(sdp.Local{Media: netip.MustParseAddrPort("127.0.0.1:9")})
	return func(e sip.Event) {
		if _, yes := e.(sip.Answered); yes {
			time.AfterFunc(a.after, func() { l.Hangup(0) })
		}
	}
}

// phoneAt starts an edge that handles calls, and gives its address.
func phoneAt(t *testing.T, h sip.Handler) string {
	t.Helper()
	p := softphone{server: "127.0.0.1:1", longest: time.Minute}
	edge, err := p.edge(netip.MustParseAddr("127.0.0.1"), h)
	if err != nil {
		t.Fatal(err)
	}
	serveEdgeOfTest(t, edge)
	return edge.Addresses()[0].String()
}

// serveEdgeOfTest runs an edge until the test ends.
func serveEdgeOfTest(t *testing.T, edge *sip.Edge) {
	t.Helper()
	if err := edge.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = edge.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

const hotline = `flow: hotline
entries: [{id: in, type: inbound_call, number: "38591000003", next: hello}]
elements:
  hello: {type: play, sounds: [{file: hello.wav}], on: {done: ask}}
  ask: {type: collect, prompt: {file: ask.wav}, min_digits: 2, max_digits: 2, first_digit_timeout: 60s, on: {collected: mark}}
  mark: {type: update_person, set: {code: "${collect.digits}"}, on: {done: connect}}
  connect: {type: forward_call, to: "385922", on: {answered: bye}}
  bye: {type: hang_up}
`

// writeTone writes a sound file of one frequency.
func (s *site) writeTone(name string, rate int, hz float64, seconds int) {
	s.Helper()
	path := s.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		s.Fatal(err)
	}
	defer f.Close()
	w, err := wav.NewWriter(f, wav.PCM16, rate, 1)
	if err != nil {
		s.Fatal(err)
	}
	samples := make([]int16, rate*seconds)
	for i := range samples {
		samples[i] = int16(9000 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate)))
	}
	if w.Write(samples, nil) != nil || w.Close() != nil {
		s.Fatal("the tone could not be written")
	}
}

// secondsOf says for how long most of the energy of a recording is at a frequency.
func secondsOf(t *testing.T, name string, hz float64) (seconds float64) {
	t.Helper()
	library, err := prompt.New(prompt.Options{Folder: filepath.Dir(name)})
	if err != nil {
		t.Fatal(err)
	}
	samples, err := library.File(t.Context(), filepath.Base(name))
	if err != nil {
		t.Fatal(err)
	}
	const n = 800
	for at := 0; at+n <= len(samples); at += n {
		var re, im, all float64
		for i, s := range samples[at : at+n] {
			x := 2 * math.Pi * hz * float64(i) / 8000
			re += float64(s) * math.Cos(x)
			im += float64(s) * math.Sin(x)
			all += float64(s) * float64(s)
		}
		if all > n*500*500 && 2*(re*re+im*im)/(all*n) > 0.8 {
			seconds += 0.1
		}
	}
	return seconds
}

// onTime says whether the machine had the time to keep the pace of the sound: on one
// that has not, what is heard is in pieces and tells nothing.
func (d *daemon) onTime() bool {
	c := d.voice.wheel.Counts()
	return c.Skipped == 0 && c.Late*10 <= c.Ticks
}

// A caller dials, hears two prompts, presses keys, and is forwarded; the flow takes
// the digits to the profile, and the talk is billed to it (C3, M6).
func TestVoice(t *testing.T) {
	out := phoneAt(t, answering{2 * time.Second})
	s := newSite(t, map[string]string{
		"trunkline.yaml": `admin: {listen: ""}
smpp: {listen: []}
storage: {reserve_mib: 16}
sip: {listen: [{address: "127.0.0.1:0"}]}
voice: {media: {first_port: 30000, last_port: 39999}}
people: {attributes: [{name: code, type: text}]}
numbers: [{number: "38591000003", channel: voice}]
`,
		"trunks/out.yaml":    "trunk: out\nconnect: [\"" + out + "\"]\nfrom: [\"127.0.0.1/32\"]\nroutes: [{prefix: \"385\"}]\n",
		"flows/hotline.yaml": hotline,
		"tariffs/voice.csv":  "channel,direction,prefix,currency,price,setup,min_s,increment_s,valid_from\nvoice,outbound,385,EUR,0.60,0.01,30,10,2020-01-01\n",
	})
	s.writeTone("prompts/hello.wav", 16000, 440, 1)
	s.writeTone("prompts/ask.wav", 44100, 880, 6)
	d := runInside(t, source{s.config})
	heard := filepath.Join(t.TempDir(), "heard.wav")
	var said bytes.Buffer
	p := &softphone{
		server: d.voice.edge.Addresses()[0].String(), from: "385911", to: "38591000003", digits: "42", after: 5 * time.Second,
		longest: patience, record: heard, out: &said,
	}
	if err := p.run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	if hello, ask := secondsOf(t, heard, 440), secondsOf(t, heard, 880); d.onTime() && (hello < 0.7 || hello > 1.2 || ask < 0.3) {
		t.Errorf("%.1f s of the first prompt, %.1f s of the second were heard\n%s", hello, ask, said.String())
	}
	eventually(t, "the forwarded call is billed", func() bool { return strings.Contains(s.must("calls", "list"), "0.31 EUR") })
	list := s.must("calls", "list")
	if !strings.Contains(list, "1 out") || !strings.Contains(list, "0 in") || !strings.Contains(list, "hotline/connect") {
		t.Error(list)
	}
	f := s.flow("hotline")
	if len(f.Cost.Amounts) != 1 || f.Cost.Amounts[0].Amount != "0.31" {
		t.Errorf("the flow cost %+v", f.Cost)
	}
	if person := s.person("385911"); person.Attributes["code"] != "42" {
		t.Errorf("%+v", person.Attributes)
	}
	if trunks := s.must("trunk", "status"); !strings.Contains(trunks, "out") {
		t.Error(trunks)
	}
	// Another number is not ours.
	p = &softphone{server: p.server, from: "385911", to: "38591000004", longest: patience, out: &said}
	if err := p.run(t.Context()); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("%v", err)
	}
}

// What a configuration says of calls is checked.
func TestVoiceConfiguration(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ voice, want string }{
		{"sip: {listen: [{address: \"0.0.0.0:5060\"}]}", "voice.media.address: say the IP address"},
		{"voice: {media: {first_port: 30000, last_port: 20000}}", "last_port: it is not above first_port"},
		{"voice: {speech: {engine: http}}", "voice.speech.url"},
		{"voice: {forwarding: {money_per_day: [\"100\"]}}", "an amount and a currency"},
	} {
		s := newSite(t, map[string]string{"trunkline.yaml": c.voice + "\n", "trunks/a.yaml": "trunk: a\nconnect: [\"192.0.2.1\"]\n"})
		s.refused([]string{c.want}, "check")
	}
}
