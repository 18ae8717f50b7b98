package main

import (
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"

	"trunkline/gateway/rtp/g711"
)

// Numbers of the calls.
const (
	voiceNumber = "38591000003" // calls that are hung up at once
	ivrNumber   = "38591000004" // callers hear prompts and press keys
	deskLine    = "38591000005" // callers are forwarded
	deskNumber  = "38593000000" // whom they are forwarded to; five more digits follow
)

// heldFlow takes a call, plays to it, and waits until the caller hangs up.
const heldFlow = `flow: load
entries:
  - {id: call, type: inbound_call, number: "` + voiceNumber + `", next: hear}
elements:
  hear: {type: play, sounds: {file: low.ulaw}, on: {done: stop, failed: stop, hung_up: stop}}
  stop: {type: exit}
settings: {reenter: true, indefinite: true}
`

// menuFlow plays a low sound until a key is pressed, then a high one, and so on.
const menuFlow = `flow: ivr
entries:
  - {id: call, type: inbound_call, number: "` + ivrNumber + `", next: low}
elements:
  low:
    type: collect
    prompt: {file: low.ulaw}
    max_digits: 1
    on: {collected: high, timeout: stop, invalid: stop, failed: stop, hung_up: stop}
  high:
    type: collect
    prompt: {file: high.ulaw}
    max_digits: 1
    on: {collected: low, timeout: stop, invalid: stop, failed: stop, hung_up: stop}
  stop: {type: exit}
settings: {reenter: true, indefinite: true}
`

// forwardFlow connects the caller with a phone of its own.
const forwardFlow = `flow: forward
entries:
  - {id: call, type: inbound_call, number: "` + deskLine + `", next: talk}
elements:
  talk: {type: forward_call, to: "` + deskNumber + `{{ call.from | slice: -5, 5 }}", ringback: none, hang_up: true, on: {answered: stop, busy: stop, no_answer: stop, failed: stop, hung_up: stop}}
  stop: {type: exit}
settings: {reenter: true, indefinite: true}
`

// voiceMore is what the configuration has besides that of all sites. Ports rest for a
// second only: three thousand calls a second would soon have used up all of them.
const voiceMore = `numbers:
  - {number: "%[1]s", channel: voice}
  - {number: "%[2]s", channel: voice}
  - {number: "%[3]s", channel: voice}
sip: {listen: [{address: "%[4]s"}], max_calls: 100000, source_rate: 1000000}
voice:
  media: {first_port: 10000, last_port: 32000, quarantine: 1s}
  prompts: {folder: prompts}
  speech: {engine: none}
  forwarding: {max_calls: 100000}
`

// newVoiceSite writes the configuration; phones is where forwarded calls go.
func newVoiceSite(o *options, phones string) (*site, string, error) {
	s, err := newSite(o, "", 0)
	if err != nil {
		return nil, "", err
	}
	sip, err := freeUDP()
	if err != nil {
		return nil, "", err
	}
	pprof := ""
	if o.profile {
		pprof = ", pprof: true"
	}
	files := map[string]string{
		"trunkline.yaml": fmt.Sprintf("data: data\nadmin: {listen: %q%s}\nlog: {level: warn}\n", s.admin, pprof) +
			fmt.Sprintf(voiceMore, voiceNumber, ivrNumber, deskLine, sip),
		"trunks/local.yaml": fmt.Sprintf("trunk: local\nconnect: [%q]\nfrom: [127.0.0.0/8]\nping: {interval: 0s}\nlimits: {calls: 100000}\nroutes: [{prefix: %q}]\n", phones, deskNumber),
		"flows/flow.yaml":   heldFlow,
		"flows/ivr.yaml":    menuFlow, "flows/forward.yaml": forwardFlow,
		"prompts/low.ulaw": tone(440, 0.02, 30), "prompts/high.ulaw": tone(440, 0.5, 30),
	}
	for _, name := range []string{"carriers/esme.yaml"} {
		if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
			return nil, "", err
		}
	}
	if err := s.write(files); err != nil {
		return nil, "", err
	}
	return s, sip, nil
}

// tone is a sine of a level between 0 and 1 as µ-law, so many seconds of it.
func tone(hz, level float64, seconds int) string {
	pcm := make([]int16, 8000*seconds)
	for i := range pcm {
		pcm[i] = int16(32000 * level * math.Sin(2*math.Pi*hz*float64(i)/8000))
	}
	b := make([]byte, len(pcm))
	g711.MuLaw.Encode(b, pcm)
	return string(b)
}

// freeUDP finds a UDP address of the loopback that nobody uses at the moment.
func freeUDP() (string, error) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer c.Close()
	return c.LocalAddr().String(), nil
}
