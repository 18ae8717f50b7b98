package main

import (
	"maps"
	"os"
	"strings"
	"testing"
)

// small is a valid configuration, as short as can be.
var small = map[string]string{
	"trunkline.yaml": `data: data
admin: {listen: ""}
smpp: {listen: [{address: "127.0.0.1:0"}]}
people:
  attributes:
    - {name: shoeSize, type: whole_number}
numbers:
  - number: "38591000001"
`,
	"carriers/demo.yaml": `carrier: demo
accept: {}
system_id: demo
password: demo
routes: [{prefix: ""}]
`,
	"flows/hello.yaml": `flow: hello
entries:
  - {id: in, type: inbound_message, number: "38591000001", keywords: hello, next: say}
elements:
  say: {type: send_sms, text: "Hello!"}
`,
}

// TestCheckTellsMistakes: a mistake is told with its place, what is wrong and
// what would be right.
func TestCheckTellsMistakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		file     string // that is changed
		old, new string // in it; with old "" it is a file of its own
		want     string // on standard error, all of it
		env      string
		more     [][3]string // further changes: file, old, new
	}{
		{
			name: "unknown key", file: "trunkline.yaml", old: "people:", new: "peoples:",
			want: `trunkline.yaml:4:1: unknown key "peoples" (did you mean "people"?)`,
		},
		{
			name: "unknown key of a flow's element", file: "flows/hello.yaml", old: "text:", new: "txt:",
			want: `flows/hello.yaml:5:25: say: unknown key "txt" (did you mean "text"?)`,
		},
		{
			name: "a request to a private address", file: "flows/hello.yaml", old: "\nelements:\n", new: "\nelements:\n  ask: {type: call_api, url: \"http://169.254.169.254/{{ person.phone }}\"}\n",
			want: `flows/hello.yaml:5:30: 169.254.169.254 is refused: it is link-local (RFC 3927), as are metadata services of clouds; allow_private lists exceptions`,
		},
		{
			name: "a notice to a private address", file: "flows/hello.yaml", old: "\nelements:\n", new: "\nelements:\n  ask: {type: notify, text: hi, to: [\"http://localhost/x\"]}\n",
			want: `flows/hello.yaml:5:38: localhost is refused: it is this machine or its cloud's metadata service`,
		},
		{
			name: "a webhook to a private address", file: "trunkline.yaml", old: "people:", new: "webhooks: [{endpoint: crm, url: \"http://10.0.0.1/\", secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}]\npeople:",
			want: `trunkline.yaml:4:33: url: 10.0.0.1 is refused: it is private (RFC 1918); allow_private lists exceptions`,
		},
		{
			name: "property of an event", file: "flows/hello.yaml", old: "type: inbound_message, number: \"38591000001\", keywords: hello", new: "type: people_event, event: Bought, where: event.totl > 5",
			more: [][3]string{{"flows/hello.yaml", "send_sms,", "send_sms, from: \"38591000001\","}, {"trunkline.yaml", "people:", "people:\n  events: [{event: Bought, properties: [{name: total, type: decimal}]}]"}},
			want: `flows/hello.yaml:3:56: column 7: unknown field totl (did you mean "total"?)`,
		},
		{
			name: "event declared twice", file: "trunkline.yaml", old: "people:", new: "people:\n  events: [{event: Bought}, {event: Bought}, {event: link_clicked}]",
			want: "trunkline.yaml:5:37: event \"Bought\" is there already, at trunkline.yaml:5:20\ntrunkline.yaml:5:46: event \"link_clicked\" is one of ours: its properties are known already\ntrunkline: the configuration has 2 mistakes",
		},
		{
			name: "wrong type", file: "carriers/demo.yaml", old: "routes:", new: "window: lots\nroutes:",
			want: `carriers/demo.yaml:5:9: window: "lots" is not a whole number`,
		},
		{
			name: "out of bounds", file: "carriers/demo.yaml", old: "routes:", new: "window: 0\nroutes:",
			want: `carriers/demo.yaml:5:9: window: 0 is too little (between 1 and 10000)`,
		},
		{
			name: "word of another list", file: "carriers/demo.yaml", old: "routes:", new: "bind: tranceiver\nroutes:",
			want: `carriers/demo.yaml:5:7: bind: "tranceiver" is none of transceiver, transmitter, receiver, pair (did you mean "transceiver"?)`,
		},
		{
			name: "reference to an element", file: "flows/hello.yaml", old: "next: say", new: "next: sya",
			want: `flows/hello.yaml:3:83: entry point "in" leads to "sya", which does not exist (did you mean "say"?)`,
		},
		{
			name: "reference to a number", file: "flows/hello.yaml", old: "38591000001", new: "38591000002",
			want: `flows/hello.yaml:3:45: "38591000002" is not one of our sms numbers; declare it among the numbers first`,
		},
		{
			name: "reference to an attribute", file: "flows/hello.yaml", old: `"Hello!"`, new: `"Size {{ person.shoesize }}"`,
			want: `flows/hello.yaml:5:31: {{ person.shoesize }}: person has no "shoesize" (did you mean "shoeSize"?)`,
		},
		{
			name: "carrier's name taken", file: "carriers/other.yaml", new: strings.Replace(small["carriers/demo.yaml"], "system_id: demo", "system_id: other", 1),
			want: `carriers/other.yaml:1:10: carrier "demo" is there already, at carriers/demo.yaml:1:10`,
		},
		{
			name: "system_id taken", file: "carriers/other.yaml", new: strings.Replace(small["carriers/demo.yaml"], "carrier: demo", "carrier: other", 1),
			want: `carriers/other.yaml:3:12: system_id "demo" is there already, at carriers/demo.yaml:3:12`,
		},
		{
			name: "number twice", file: "trunkline.yaml", old: `  - number: "38591000001"`, new: "  - number: \"38591000001\"\n  - number: \"+385 91 000-001\"",
			want: `trunkline.yaml:9:13: sms number "38591000001" is there already, at trunkline.yaml:8:13`,
		},
		{
			name: "number twice in two files", file: "numbers.yaml", new: "numbers: [{number: \"38591000001\"}]\n",
			more: [][3]string{{"trunkline.yaml", "data: data", "data: data\ninclude: [numbers.yaml]"}},
			want: `numbers.yaml:1:20: sms number "38591000001" is there already, at trunkline.yaml:9:13`,
		},
		{
			name: "attribute's type", file: "trunkline.yaml", old: "type: whole_number", new: "type: number",
			want: `trunkline.yaml:6:30: type: "number" is none of text, whole_number, decimal, boolean, date, date_time, list`,
		},
		{
			name: "attribute twice", file: "trunkline.yaml", old: "    - {name: shoeSize, type: whole_number}", new: "    - {name: shoeSize, type: whole_number}\n    - {name: shoeSize, type: text}",
			want: `trunkline.yaml:7:14: attribute "shoeSize" is there already, at trunkline.yaml:6:14`,
		},
		{
			name: "secret not in the environment", file: "carriers/demo.yaml", old: "password: demo", new: `password: "${env:TRUNKLINE_TEST_MISSING}"`,
			want: `carriers/demo.yaml:4:11: password: ${env:TRUNKLINE_TEST_MISSING}: the environment has no variable "TRUNKLINE_TEST_MISSING"`,
		},
		{
			name: "secret's file missing", file: "carriers/demo.yaml", old: "password: demo", new: `password: "${file:demo.secret}"`,
			want: `carriers/demo.yaml:4:11: password: ${file:demo.secret}: open carriers/demo.secret: no such file or directory`,
		},
		{
			name: "secret that does not fit is not shown", file: "carriers/demo.yaml", old: "password: demo", new: `password: "${env:TRUNKLINE_TEST_SECRET}"`, env: "TRUNKLINE_TEST_SECRET=secret-of-many-characters",
			want: `carriers/demo.yaml:4:11: password: 25 characters are too many (at most 8 characters)`,
		},
		{
			name: "flow's id taken", file: "flows/other.yaml", new: strings.Replace(small["flows/hello.yaml"], "keywords: hello", "keywords: other", 1),
			want: `flows/other.yaml:1:7: flow "hello" is there already, at flows/hello.yaml:1:7`,
		},
		{
			name: "carrier binds in without a listener", file: "trunkline.yaml", old: `smpp: {listen: [{address: "127.0.0.1:0"}]}` + "\n", new: "",
			want: `trunkline.yaml:1:1: smpp.listen: carrier "demo" binds in, but there is no address to bind to`,
		},
		{
			name: "mail is taken for nobody", file: "trunkline.yaml", old: "people:", new: "smtp: {listen: [{address: \"127.0.0.1:0\", implicit_tls: true}]}\npeople:",
			want: `trunkline.yaml:4:8: smtp.listen: there is no address that mail is taken for: declare one among the numbers, {number: shop@example.com, channel: email}
trunkline.yaml:4:56: smtp.listen[0].implicit_tls: there is no certificate; say cert and key in tls
trunkline: the configuration has 2 mistakes`,
		},
		{
			name: "mail that would be answered", file: "trunkline.yaml", old: `  - number: "38591000001"`,
			new: "  - number: \"38591000001\"\n  - {number: shop@example.com, channel: email, default_reply: hello, replies: {stop: bye}}\n  - {number: example.com, channel: email}\n  - {number: Shop@Example.com, channel: email}",
			want: `trunkline.yaml:9:63: default_reply: mail is taken but not sent yet, so it can't be answered; remove this, or answer by SMS from a flow
trunkline.yaml:9:70: replies: mail is taken but not sent yet, so it can't be answered; remove this, or answer by SMS from a flow
trunkline.yaml:10:14: "example.com" is not an e-mail address such as shop@example.com or *@example.com
trunkline.yaml:11:14: email number "shop@example.com" is there already, at trunkline.yaml:9:14
trunkline: the configuration has 4 mistakes`,
		},
		{
			name: "an address that is not ours", file: "flows/hello.yaml", old: `number: "38591000001"`, new: "channel: email, number: shop@example.com",
			want: `flows/hello.yaml:3:61: "shop@example.com" is not one of our email numbers; declare it among the numbers first`,
		},
		{
			name: "neither connect nor accept", file: "carriers/demo.yaml", old: "accept: {}\n", new: "",
			want: `carriers/demo.yaml:1:1: connect: say either connect (we bind to the message centre) or accept (the carrier binds to us)`,
		},
		{
			name: "address of a listener", file: "trunkline.yaml", old: "127.0.0.1:0", new: "localhost",
			want: `trunkline.yaml:3:27: smpp.listen[0].address: "localhost" is not host:port: address localhost: missing port in address`,
		},
		{
			name: "YAML", file: "trunkline.yaml", old: "people:", new: "people: [",
			want: `trunkline.yaml:7:1: this is not YAML: ',' or ']' must be specified (close the bracket, or put the text in quotes)`,
		},
		{
			name: "included file missing", file: "trunkline.yaml", old: "data: data", new: "data: data\ninclude: [numbers.yaml]",
			want: `trunkline.yaml:2:11: include: open numbers.yaml: no such file or directory`,
		},
		{
			name: "all mistakes of all files", file: "trunkline.yaml", old: "data: data", new: "dta: data",
			more: [][3]string{
				{"trunkline.yaml", "type: whole_number", "type: number"},
				{"carriers/demo.yaml", "password: demo", "passwort: demo"},
				{"flows/hello.yaml", "next: say", "next: sya"},
				{"flows/second.yaml", "", "flow: Second\nentries: []\nelements: {}\n"},
			},
			want: `trunkline.yaml:1:1: unknown key "dta" (did you mean "data"?)
trunkline.yaml:6:30: type: "number" is none of text, whole_number, decimal, boolean, date, date_time, list
carriers/demo.yaml:1:1: password: a carrier that binds in needs one
carriers/demo.yaml:4:1: unknown key "passwort" (did you mean "password"?)
flows/hello.yaml:3:83: entry point "in" leads to "sya", which does not exist (did you mean "say"?)
flows/second.yaml:1:7: flow: "Second" does not fit (Stable id of the flow: lower-case letters, digits and hyphens)
flows/second.yaml:2:1: a flow needs at least one entry point
trunkline: the configuration has 7 mistakes`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, maps.Clone(small))
			s.config = "trunkline.yaml"
			s.env = []string{c.env}
			for _, change := range append([][3]string{{c.file, c.old, c.new}}, c.more...) {
				if change[1] == "" {
					s.write(change[0], change[2])
				} else {
					s.edit(change[0], change[1], change[2])
				}
			}
			if got := s.try("check"); got.code != 1 || got.errs != c.want+"\n" || got.out != "" {
				t.Errorf("exit code %d\n%s%s\n not\n%s", got.code, got.out, got.errs, c.want)
			}
		})
	}
}

// What would run is said, and what is probably not meant.
func TestCheckWarns(t *testing.T) {
	t.Parallel()
	s := newSite(t, small)
	s.write("flows/other.yaml", strings.Replace(small["flows/hello.yaml"], "flow: hello", "flow: other", 1))
	s.config = "trunkline.yaml"
	got := s.try("check")
	const want = `warning: flow "hello" entry "in" and flow "other" entry "in" both want keyword "hello" (whole) on sms number 38591000001 ` + // R3
		"with priority 0: the first always gets it; change the keyword or the priority of one\n"
	if got.code != 0 || got.errs != want || got.out != "trunkline.yaml is valid: 1 carrier, 1 number, 2 flows\n" {
		t.Errorf("exit code %d\n%s%s\n not\n%s", got.code, got.out, got.errs, want)
	}
}

// `run` and `restore` refuse a configuration that `check` refuses, in the same
// words, and leave nothing behind.
func TestRunRefusesMistakes(t *testing.T) {
	t.Parallel()
	s := newSite(t, small)
	s.config = "trunkline.yaml"
	s.edit("flows/hello.yaml", "next: say", "next: sya")
	s.edit("carriers/demo.yaml", "accept:", "acept:")
	want := s.try("check").errs
	if got := s.try("run"); got.code != 1 || got.errs != want {
		t.Errorf("run: exit code %d\n%s\n not\n%s", got.code, got.errs, want)
	}
	s.write("backup", "")
	s.refused(strings.Split(strings.TrimSpace(want), "\n")[:2], "restore", "backup")
	if _, err := os.Stat(s.path("data")); err == nil {
		t.Error("there is a data folder")
	}
}
