package simulation

import (
	"fmt"
	"strings"
	"testing"

	"trunkline/flowengine"
)

const callFlow = `
flow: calls
entries:
  - {id: in, type: inbound_call, number: "38510", next: hello}
  - {id: api, type: flow_api, next: ring}
  - {id: bill, type: people_event, event: Due, next: remind}
elements:
  hello: {type: say, text: "Hello", barge_in: true, on: {done: choose}}
  choose: {type: menu, prompt: {say: "1 or 2"}, retries: 0, branches: [{key: "1", next: speak}, {key: "2", next: desk}, {key: "3", next: pin}], on: {timeout: bye, invalid: bye, hung_up: gone}}
  speak: {type: record, silence: 5s, on: {recorded: bye, silent: bye}}
  desk: {type: forward_call, to: ["3851", "3852"], on: {answered: bye, busy: bye, no_answer: bye, failed: bye}}
  pin: {type: collect, max_digits: 2, masked: true, on: {collected: bye}}
  ring: {type: start_call, from: "38510", ring_timeout: 20s, detect_machine: true, on: {answered: choose, machine_answered: gone, busy: gone, no_answer: gone, failed: gone}}
  remind: {type: send_voice, from: "38510", sounds: {file: due.wav}, on: {answered: gone}}
  bye: {type: hang_up}
  gone: {type: add_tag, tag: gone}
`

// Calls are played with the machine that the voice edge uses.
func TestCalls(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, script, want string }{
		{"a menu that nobody answers", `steps: [{call: "38510"}, {wait: 6s}]`, `
+0s calls 38510 > hello | → answers | → the caller hears "Hello"
+0s the call: done > choose | → the caller hears "1 or 2"
+5s the time is up on the call > bye | → hangs up`},
		{"a recording", `steps: [{call: "38510"}, {press: "1"}, {wait: 2s, speak: 3s}]`, `
+0s calls 38510 > hello | → answers | → the caller hears "Hello"
+0s the call: done > choose | → the caller hears "1 or 2"
+0s presses 1 > speak | → records for 1m0s at most
+2s speaks for 3s > bye | → hangs up`},
		{"silence", `steps: [{call: "38510"}, {press: "1"}, {wait: 6s}]`, `
+0s calls 38510 > hello | → answers | → the caller hears "Hello"
+0s the call: done > choose | → the caller hears "1 or 2"
+0s presses 1 > speak | → records for 1m0s at most
+5s says nothing > bye | → hangs up`},
		{"forwarded", `{auto: false, steps: [{call: "38510"}, {press: "2"}, {callee: busy}, {callee: human}, {wait: 90s, callee: hangs_up}]}`, `
+0s calls 38510 > hello | → answers | → the caller hears "Hello"
+0s the call: done > choose | → the caller hears "1 or 2"
+0s presses 2 > desk | → calls 3851
+0s the call is not answered: busy > nothing | → calls 3852
+0s the call is answered > nothing | → connects the two
+1m30s who was called hangs up > bye | → hangs up`},
		{"a secret, and hanging up", `steps: [{call: "38510"}, {press: "3"}, {press: "47"}, {call: "38510"}, {hang_up: true}]`, `
+0s calls 38510 > hello | → answers | → the caller hears "Hello"
+0s the call: done > choose | → the caller hears "1 or 2"
+0s presses 3 > pin
+0s presses keys that are a secret > bye | → hangs up
+0s calls 38510 > hello | → answers | → the caller hears "Hello"
+0s the call: done > choose | → the caller hears "1 or 2"
+0s hangs up > gone`},
		{"a call that the flow makes", `{auto: false, steps: [{start: api}, {callee: human}, {press: "2"}, {callee: failed}, {callee: no_answer}]}`, `
+0s is let in through api > ring
+0s is called > nothing | → calls 385911234567
+0s the call is answered > nothing | → listens who it is
+0s it is a human > choose | → the caller hears "1 or 2"
+0s presses 2 > desk | → calls 3851
+0s the call is not answered: failed > nothing | → calls 3852
+0s the call is not answered: no_answer > bye | → hangs up`},
		{"by itself", `steps: [{event: Due}, {start: api}, {press: "2"}, {wait: 2m}]`, `
+0s has the event Due > remind
+0s is called > gone | → calls 385911234567 | → the caller hears due.wav | → hangs up
+0s is let in through api > ring
+0s is called > choose | → calls 385911234567 | → listens who it is | → the caller hears "1 or 2"
+0s presses 2 > desk | → calls 3851 | → connects the two
+1m0s who was called hangs up > bye | → hangs up`},
		{"nobody answers", `{auto: false, steps: [{start: api}, {wait: 30s}]}`, `
+0s is let in through api > ring
+0s is called > nothing | → calls 385911234567
+20s the time is up on the call > gone | → hangs up`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := playCalls(t, c.script)
			if err != nil || got != strings.TrimSpace(c.want) {
				t.Errorf("got\n%s\nwant%s\n%v", got, c.want, err)
			}
		})
	}
	for script, want := range map[string]string{
		`steps: [{press: "1"}]`:                           "385911234567 is on no call",
		`steps: [{call: "38510"}, {callee: busy}]`:        "nobody is there who could do that",
		`steps: [{call: "38510"}, {speak: 3s}]`:           "nothing is being recorded",
		`steps: [{call: "38510", press: "1"}]`:            "a step says one thing, not call and press",
		`steps: [{call: "38510"}, {press: "A"}]`:          "press",
		`steps: [{call: "38510"}, {callee: answerphone}]`: "is none of",
	} {
		if _, err := playCalls(t, script); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", script, err)
		}
	}
}

// playCalls plays a script and tells each turn in a line.
func playCalls(t *testing.T, script string) (string, error) {
	t.Helper()
	at := stage(t)
	v, err := flowengine.ParseFlow("calls.yaml", []byte(callFlow), at.Schema, nil)
	if err != nil {
		t.Fatal(err)
	}
	at.Flow = v
	s, err := Parse("script.yaml", []byte(script))
	if err != nil {
		return "", err
	}
	p, err := Run(s, at)
	var lines []string
	for _, turn := range p.Turns {
		reached := "nothing"
		for _, e := range turn.Happened {
			if e.Kind == flowengine.Engaged {
				reached = e.Element
			}
		}
		lines = append(lines, strings.Join(append([]string{fmt.Sprintf("+%s %s > %s", turn.At.Sub(p.Begin), turn.Cause, reached)}, turn.Calls...), " | "))
	}
	return strings.Join(lines, "\n"), err
}
