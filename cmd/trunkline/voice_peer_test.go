package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// voiceSite is a configuration with calls, one flow, and a trunk to a phone on this
// machine, of which more says more.
func voiceSite(t *testing.T, flow, phone string, more ...string) *site {
	t.Helper()
	return newSite(t, map[string]string{
		"trunkline.yaml": `admin: {listen: ""}
smpp: {listen: []}
storage: {reserve_mib: 16}
sip: {listen: [{address: "127.0.0.1:0"}]}
voice: {media: {first_port: 30000, last_port: 39999}}
people: {attributes: [{name: code, type: text}, {name: message, type: text}]}
numbers: [{number: "38591000003", channel: voice}]
`,
		"trunks/phone.yaml": "trunk: phone\nconnect: [\"" + phone + "\"]\nfrom: [\"127.0.0.1/32\"]\nroutes: [{prefix: \"385\"}]\nping: {interval: 0s}\n" + strings.Join(more, "\n"),
		"flows/flow.yaml":   flow,
	})
}

// sipp presses keys as RFC 4733 events of its own; the flow gets them, each once.
func TestSippDigits(t *testing.T) {
	program := need(t, "sipp (package sip-tester)", "sipp")
	s := voiceSite(t, `flow: hotline
entries: [{id: in, type: inbound_call, number: "38591000003", next: ask}]
elements:
  ask: {type: collect, min_digits: 4, max_digits: 4, first_digit_timeout: 60s, digit_timeout: 30s, on: {collected: mark}}
  mark: {type: update_person, set: {code: "${collect.digits}"}, on: {done: bye}}
  bye: {type: hang_up}
`, "127.0.0.1:9")
	d := runInside(t, source{s.config})
	scenario, err := filepath.Abs("../../testdata/peers/sipp/digits.xml")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, d.voice.edge.Addresses()[0].String(), "-sf", scenario, "-s", "38591000003", "-i", "127.0.0.1", "-mi", "127.0.0.1", "-m", "1", "-timeout", "60s", "-nostdin")
	cmd.Dir = t.TempDir()
	p := startProcess(t, cmd)
	p.wait(t)
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("sipp ended with %d", code)
	}
	if person := s.person("385911"); person.Attributes["code"] != "4217" {
		t.Errorf("%+v", person.Attributes)
	}
}

// baresip makes a folder with its configuration, with a phone at address that
// plays a file once it talks.
func baresip(t *testing.T, user, address, file, more string) *exec.Cmd {
	t.Helper()
	program := need(t, "baresip", "baresip")
	const modules = "/usr/lib/baresip/modules"
	if _, err := os.Stat(modules); err != nil {
		t.Skip("SKIPPED: the modules of baresip are not in " + modules)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"config": fmt.Sprintf("module_path %s\nsip_listen %s\naudio_player aubridge,sink\naudio_source aufile,%s\naudio_alert aubridge,alert\nausrc_srate 8000\nauplay_srate 8000\n"+
			"module g711.so\nmodule aufile.so\nmodule aubridge.so\nmodule srtp.so\nmodule account.so\nmodule menu.so\n", modules, address, file),
		"accounts": fmt.Sprintf("<sip:%s@%s;transport=udp>;regint=0;%s\n", user, address, more),
		"contacts": "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return exec.Command(program, "-f", dir)
}

// freeUDP is an address of a port that is free now, over TCP too: baresip takes both.
func freeUDP(t *testing.T) string {
	t.Helper()
	for range 100 {
		l := listenLoopback(t)
		address := l.Addr().String()
		c, err := net.ListenPacket("udp", address)
		l.Close()
		if err == nil {
			c.Close()
			return address
		}
	}
	t.Fatal("no port is free over both UDP and TCP")
	return ""
}

// A caller is forwarded to baresip, and hears the tone that it plays; in the open, and
// under keys on which both insist.
func TestBaresipIsForwardedTo(t *testing.T) {
	for _, c := range []struct{ name, trunk, account string }{{"plain", "", ""}, {"srtp", "srtp: required", ";mediaenc=srtp-mand"}} {
		t.Run(c.name, func(t *testing.T) {
			address := freeUDP(t)
			s := voiceSite(t, `flow: hotline
entries: [{id: in, type: inbound_call, number: "38591000003", next: go}]
elements:
  go: {type: forward_call, to: "385922", hang_up: true, on: {answered: bye, failed: bye}}
  bye: {type: hang_up}
`, address, c.trunk)
			if c.trunk != "" { // the softphone knows no keys: it has a trunk of its own
				s.write("trunks/softphone.yaml", "trunk: softphone\nfrom: [\"127.0.0.1/32\"]\n")
				s.write("trunks/phone.yaml", "trunk: phone\nconnect: [\""+address+"\"]\nroutes: [{prefix: \"385\"}]\nping: {interval: 0s}\n"+c.trunk+"\n")
			}
			s.writeTone("callee.wav", 8000, 900, 30)
			phone := startProcess(t, baresip(t, "385922", address, s.path("callee.wav"), "answermode=auto"+c.account))
			eventually(t, "baresip is ready", func() bool { return strings.Contains(phone.out.String()+phone.errs.String(), "is ready") })
			d := runInside(t, source{s.config})
			heard := filepath.Join(t.TempDir(), "heard.wav")
			p := &softphone{server: d.voice.edge.Addresses()[0].String(), from: "385911", to: "38591000003", longest: 6 * time.Second, record: heard, out: new(strings.Builder)}
			if err := p.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if tone := secondsOf(t, heard, 900); tone < 2 && d.onTime() {
				t.Errorf("%.1f s of the tone were heard", tone)
			}
		})
	}
}

// baresip calls, and its tone is what is recorded; in the open, and under keys that
// it may have.
func TestBaresipCalls(t *testing.T) {
	for _, c := range []struct{ name, trunk, account string }{{"plain", "", ""}, {"srtp", "srtp: required", "mediaenc=srtp"}} {
		t.Run(c.name, func(t *testing.T) {
			s := voiceSite(t, `flow: hotline
entries: [{id: in, type: inbound_call, number: "38591000003", next: keep}]
elements:
  keep: {type: record, beep: false, max_length: 4s, silence: 0s, on: {recorded: bye}}
  bye: {type: hang_up}
`, "127.0.0.1:9", c.trunk)
			s.writeTone("caller.wav", 8000, 600, 30)
			d := runInside(t, source{s.config})
			address := freeUDP(t)
			cmd := baresip(t, "385911", address, s.path("caller.wav"), c.account)
			cmd.Args = append(cmd.Args, "-e", "/dial sip:38591000003@"+d.voice.edge.Addresses()[0].String())
			startProcess(t, cmd)
			eventually(t, "the call is on record", func() bool { return strings.Contains(s.must("calls", "list"), "hotline") })
			files, _ := filepath.Glob(s.path("data/recordings/*.wav"))
			if len(files) != 1 {
				t.Fatalf("%v were recorded", files)
			}
			if tone := secondsOf(t, files[0], 600); tone < 2 && d.onTime() {
				t.Errorf("%.1f s of the tone were recorded", tone)
			}
		})
	}
}
