package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A phone on a stack that shares no code with ours calls, hears a prompt, presses
// keys that the flow takes to the profile, and is hung up on; a number that is not
// ours is refused.
func TestSimulateSIP(t *testing.T) {
	s := newSite(t, map[string]string{
		"trunkline.yaml": `admin: {listen: ""}
smpp: {listen: []}
storage: {reserve_mib: 16}
sip: {listen: [{address: "127.0.0.1:0"}]}
voice: {media: {first_port: 30000, last_port: 39999}}
people: {attributes: [{name: code, type: text}]}
numbers: [{number: "38591000003", channel: voice}]
`,
		"trunks/local.yaml": "trunk: local\nfrom: [\"127.0.0.1/32\"]\n",
		"flows/code.yaml": `flow: code
entries: [{id: in, type: inbound_call, number: "38591000003", next: ask}]
elements:
  ask: {type: collect, prompt: {file: ask.wav}, min_digits: 2, max_digits: 2, first_digit_timeout: 60s, on: {collected: mark}}
  mark: {type: update_person, set: {code: "${collect.digits}"}, on: {done: bye}}
  bye: {type: hang_up}
`,
	})
	s.writeTone("prompts/ask.wav", 8000, 880, 30)
	d := runInside(t, source{s.config})
	heard := filepath.Join(t.TempDir(), "heard.wav")
	var said bytes.Buffer
	o := callerOptions{
		address: d.voice.edge.Addresses()[0].String(), from: "385911", to: "38591000003",
		digits: ",4,2", record: heard, wait: patience, lasts: patience,
	}
	if err := o.run(t.Context(), &said); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	for _, want := range []string{"200 OK", "pressed 4", "pressed 2", "the gateway hung up"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("%q is missing in\n%s", want, said.String())
		}
	}
	if tone := secondsOf(t, heard, 880); d.onTime() && tone < 0.5 {
		t.Errorf("%.1f s of the prompt were heard\n%s", tone, said.String())
	}
	if person := s.person("385911"); person.Attributes["code"] != "42" {
		t.Errorf("%+v", person.Attributes)
	}
	o.to, o.record, o.wait = "38591000004", "", 20*time.Second
	if err := o.run(t.Context(), &said); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a number that is not ours: %v", err)
	}
	o.digits = "12x"
	if err := o.run(t.Context(), &said); err == nil || !strings.Contains(err.Error(), `"X" is no key`) {
		t.Errorf("a key that is none: %v", err)
	}
}
