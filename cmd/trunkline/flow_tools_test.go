package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// toolbox runs the tools for writers of flows in this process, on a folder.
type toolbox struct {
	*testing.T
	dir string
}

func newToolbox(t *testing.T, files map[string]string) *toolbox {
	t.Helper()
	b := &toolbox{t, t.TempDir()}
	for name, text := range files {
		b.write(name, text)
	}
	return b
}

func (b *toolbox) path(name string) string { return filepath.Join(b.dir, name) }

func (b *toolbox) write(name, text string) {
	b.Helper()
	if err := os.MkdirAll(filepath.Dir(b.path(name)), 0o700); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(b.path(name), []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
}

// run runs a command. Arguments that begin with @ are files of the folder; so is
// the folder called in what comes back.
func (b *toolbox) run(in string, args ...string) (out, errs string, err error) {
	b.Helper()
	full := []string{"--config", b.path("trunkline.yaml"), "flow"}
	for _, a := range args {
		if name, ok := strings.CutPrefix(a, "@"); ok {
			a = b.path(name)
		}
		full = append(full, a)
	}
	var stdout, stderr bytes.Buffer
	root := newRoot()
	root.SetArgs(full)
	root.SetIn(strings.NewReader(in))
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	err = root.Execute()
	here := strings.NewReplacer(b.dir+"/", "")
	return here.Replace(stdout.String()), here.Replace(stderr.String()), err
}

func (b *toolbox) must(in string, args ...string) string {
	b.Helper()
	out, errs, err := b.run(in, args...)
	if err != nil || errs != "" {
		b.Fatalf("%v: %v\n%s", args, err, errs)
	}
	return out
}

const askFlow = `flow: ask
name: Ask
entries:
  - {id: in, type: inbound_message, number: "38591000001", keywords: [ask], next: ask}
elements:
  ask: {type: send_sms, text: "What is your shoe size?", on: {sent: wait}}
  wait:
    type: evaluate_inbound_message
    timeout: 24h
    branches: [{match: any, next: save}]
    on: {timeout: bye}
  save: {type: update_person, set: {shoeSize: "${inbound.number}"}, on: {done: bye, invalid: ask}}
  bye: {type: send_sms, text: "Thank you, {{ person.shoeSize | default: 'bye' }}."}
`

func TestFlowCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, file string
		args       []string
		out, errs  string
		fails      bool
	}{
		{name: "valid", file: askFlow, out: "new.yaml is valid: flow ask, 1 entry point, 4 elements, no warnings\n"},
		{
			name: "every mistake, with its line", fails: true,
			file: strings.NewReplacer("sent: wait", "sent: wiat", "shoeSize | default", "shoSize | default", "38591000001", "38591000009").Replace(askFlow),
			errs: `new.yaml:4:45: "38591000009" is not one of our sms numbers; declare it among the numbers first
    4 |   - {id: in, type: inbound_message, number: "38591000009", keywords: [ask], next: ask}
      |                                             ^
new.yaml:6:69: element "ask": port "sent" leads to "wiat", which does not exist (did you mean "wait"?)
    6 | type: send_sms, text: "What is your shoe size?", on: {sent: wiat}}
      |                                                             ^^^^
new.yaml:13:31: {{ person.shoSize | default: 'bye' }}: person has no "shoSize" (did you mean "shoeSize"?)
   13 |   bye: {type: send_sms, text: "Thank you, {{ person.shoSize | default: 'bye' }}."}
      |                               ^
new.yaml has 3 mistakes
`,
		},
		{
			name: "warnings, with their lines", file: strings.Replace(askFlow, "    on: {timeout: bye}\n", "", 1),
			out: "new.yaml is valid: flow ask, 1 entry point, 4 elements, 1 warning\n",
			errs: `warning: new.yaml:9:14: nothing follows the timeout: the run ends there; name an element in ` + "`on: {timeout: …}`" + ` to go on
    9 |     timeout: 24h
      |              ^
`,
		},
		{
			name: "a rival in the configuration", file: strings.Replace(askFlow, "[ask]", "[hello]", 1),
			out:  "new.yaml is valid: flow ask, 1 entry point, 4 elements, no warnings\n",
			errs: `warning: flow "ask" entry "in" and flow "hello" entry "in" both want keyword "hello" (whole) on sms number 38591000001 with priority 0: the first always gets it; change the keyword or the priority of one` + "\n",
		},
		{
			name: "without a configuration", file: strings.Replace(askFlow, "38591000001", "1", 1), args: []string{"--no-config"}, fails: true,
			errs: noConfig + `
new.yaml:12:47: there is no attribute "shoeSize"
   12 |   save: {type: update_person, set: {shoeSize: "${inbound.number}"}, on: {done: bye, invalid: ask}}
      |                                               ^
new.yaml:13:31: {{ person.shoeSize | default: 'bye' }}: person has no "shoeSize"
   13 |   bye: {type: send_sms, text: "Thank you, {{ person.shoeSize | default: 'bye' }}."}
      |                               ^
new.yaml has 2 mistakes
`,
		},
		{
			name: "twice the same", file: askFlow, args: []string{"@new.yaml"}, fails: true,
			out:  "new.yaml is valid: flow ask, 1 entry point, 4 elements, no warnings\n",
			errs: "new.yaml: flow \"ask\" is there already, in new.yaml\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newToolbox(t, small)
			b.write("new.yaml", c.file)
			out, errs, err := b.run("", append([]string{"check", "@new.yaml"}, c.args...)...)
			if out != c.out || errs != c.errs || errors.Is(err, errReported) != c.fails {
				t.Errorf("got %v\n%s%s\nwant\n%s%s", err, out, errs, c.out, c.errs)
			}
		})
	}
}

// Mistakes of the configuration elsewhere are told, and do not stand in the way.
func TestFlowCheckBesideMistakes(t *testing.T) {
	t.Parallel()
	b := newToolbox(t, small)
	b.write("new.yaml", askFlow)
	b.write("flows/bad.yaml", "flow: bad\n")
	out, errs, err := b.run("", "check", "@new.yaml", "@missing.yaml")
	if !errors.Is(err, errReported) || !strings.HasPrefix(out, "new.yaml is valid") ||
		!strings.HasPrefix(errs, "note: trunkline.yaml has 2 mistakes elsewhere; see `trunkline check`\ntrunkline: ") ||
		!strings.HasSuffix(errs, " missing.yaml: no such file or directory\n") {
		t.Errorf("%v\n%s%s", err, out, errs)
	}
	b.write("trunkline.yaml", "a: [")
	if _, _, err := b.run("", "check", "@new.yaml"); err == nil || !strings.Contains(err.Error(), "attributes and numbers are not known") {
		t.Error(err)
	}
}

func TestFlowGraph(t *testing.T) {
	t.Parallel()
	b := newToolbox(t, small)
	b.write("new.yaml", askFlow)
	text := b.must("", "graph", "@new.yaml")
	for _, want := range []string{"flowchart TD\n", `n3 -->|"any message"| n6`, `n3 -->|"after 1d"| n4`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if dot := b.must("", "graph", "hello", "--format", "dot"); !strings.HasPrefix(dot, `digraph "hello" {`) {
		t.Error(dot)
	}
	b.must("", "graph", "hello", "-o", "@hello.svg")
	svg, err := os.ReadFile(b.path("hello.svg"))
	if err != nil || xml.Unmarshal(svg, new(struct{ XMLName xml.Name })) != nil {
		t.Errorf("%v\n%s", err, svg)
	}
	for want, args := range map[string][]string{
		`has no flow "helo"; it has hello. A file is given by its path, such as ./helo.yaml`: {"graph", "helo"},
		`"png" is not a format: mermaid, svg and dot are`:                                    {"graph", "hello", "--format", "png"},
	} {
		if _, _, err := b.run("", args...); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestFlowSimulate(t *testing.T) {
	t.Parallel()
	b := newToolbox(t, small)
	b.write("new.yaml", askFlow)
	const script = `{people: [{phone: "385911234567", tags: [new]}], steps: [{in: ask}, {wait: 90m}, {in: "42"}, {in: what}]}`
	want := `begins Mon 2026-01-05 09:00:00 UTC

+0s  Mon 2026-01-05 09:00:00 UTC  385911234567: writes "ask" to 38591000001
    wrote a message: entry
    entered ask through in
    reached ask/ask
    → sms from 38591000001 to 385911234567: "What is your shoe size?"

+0s  Mon 2026-01-05 09:00:00 UTC  385911234567: the carrier takes the message
    the carrier took 1 part(s) of ask/ask
    went on from ask/ask through "sent"
    reached ask/wait
    waits until +24h at the latest

+1h30m  Mon 2026-01-05 10:30:00 UTC  385911234567: writes "42" to 38591000001
    wrote a message: wait
    went on from ask/wait through "branch_1"
    reached ask/save
    ask/save changed shoeSize
    went on from ask/save through "done"
    reached ask/bye
    → sms from 38591000001 to 385911234567: "Thank you, 42."
    went on from ask/bye through "sent"
    left ask: completed

+1h30m  Mon 2026-01-05 10:30:00 UTC  385911234567: the carrier takes the message
    the carrier took 1 part(s) of ask/bye

+1h30m  Mon 2026-01-05 10:30:00 UTC  385911234567: writes "what" to 38591000001
    wrote a message: unrouted

ends Mon 2026-01-05 10:30:00 UTC
385911234567
    shoeSize  42
    tags      new
    is not in the flow
`
	if got := b.must(script, "simulate", "@new.yaml", "--script", "-"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var v playView
	if err := json.Unmarshal([]byte(b.must(script, "simulate", "@new.yaml", "--script", "-", "--json")), &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Turns) != 5 || v.Turns[2].Sent[0].Text != "Thank you, 42." || v.Turns[1].WaitsUntil[0] != v.Begin.AddDate(0, 0, 1) || v.People[0].Tags[0] != "new" {
		t.Errorf("%+v", v)
	}
	if schema := b.must("", "simulate", "--schema"); !json.Valid([]byte(schema)) || !strings.Contains(schema, `"steps"`) {
		t.Error(schema)
	}
	b.write("bad.yaml", "steps: [{inn: ask}]")
	if _, errs, err := b.run("", "simulate", "@new.yaml", "--script", "@bad.yaml"); !errors.Is(err, errReported) || !strings.Contains(errs, `bad.yaml:1:10: steps[0]: unknown key "inn" (did you mean "in"?)`) {
		t.Errorf("%v %s", err, errs)
	}
	if out, _, err := b.run("steps: [{in: ask}, {report: delivered}, {start: x}]", "simulate", "@new.yaml", "--script", "-"); err == nil ||
		!strings.Contains(err.Error(), `steps[2]: the flow has no entry point "x"`) || !strings.Contains(out, "a message of ask/ask was delivered") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestFlowDiff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		old, new string
		want     string // a regular expression
	}{
		{"the same, in other words", askFlow, "# A comment\n" + strings.ReplaceAll(askFlow, `"What is your shoe size?"`, "'What is your shoe size?'"), `^flow ask\nnothing changes \(hash [0-9a-f]{12}\)\n$`},
		{
			"only goals", askFlow, askFlow + "goals: [{id: buy, event: Bought}]\n",
			`^flow ask\n  \+ goal buy\nthis makes no new version: only goals change \(hash [0-9a-f]{12}\)\n$`,
		},
		{
			"all kinds of changes", askFlow,
			strings.NewReplacer("name: Ask\n", "name: Asking\n", "24h", "36h", "keywords: [ask]", "keywords: [ask, size]", "next: save}", "next: bye}", "  save: {type: update_person, set: {shoeSize: \"${inbound.number}\"}, on: {done: bye, invalid: ask}}\n", "  nap: {type: pause, for: 1h}\n").Replace(askFlow) + "settings: {reenter: false}\n",
			regexp.QuoteMeta(`flow ask
  ~ name
      name: "Ask" → "Asking"
  ~ entry point in (inbound_message)
      keywords: ["ask"] → ["ask","size"]
  + element nap (pause)
  - element save (update_person)
  ~ element wait (evaluate_inbound_message)
      branches[0].next: "save" → "bye"
      timeout: "24h" → "36h"
  ~ settings
      reenter: (not set) → false
this makes a new version: hash `),
		},
		{"another flow", askFlow, strings.Replace(askFlow, "flow: ask", "flow: other", 1), `^flow other\n  the id was ask: this is another flow, not a new version of it\n$`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newToolbox(t, small)
			b.write("old.yaml", c.old)
			b.write("new.yaml", c.new)
			if got := b.must("", "diff", "@new.yaml", "@old.yaml"); !regexp.MustCompile(c.want).MatchString(got) {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// The running version is asked of the daemon.
func TestFlowDiffAgainstDaemon(t *testing.T) {
	t.Parallel()
	s := newSite(t, small)
	s.config = "trunkline.yaml"
	if got := s.try("flow", "diff", "flows/hello.yaml", "hello"); got.code != 1 || !strings.Contains(got.errs, "no daemon answers") || !strings.Contains(got.errs, "give its path, such as ./hello.yaml") {
		t.Errorf("without a daemon: %+v", got)
	}
	g := s.start()
	s.edit("flows/hello.yaml", "Hello!", "Good day!")
	got := s.must("flow", "diff", "flows/hello.yaml", "hello")
	if want := "flow hello against version 1, which runs\n  ~ element say (send_sms)\n      text: \"Hello!\" → \"Good day!\"\nthis makes a new version: hash "; !strings.HasPrefix(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := s.try("flow", "diff", "flows/hello.yaml", "helo"); !strings.Contains(got.errs, `the daemon's configuration has no flow "helo"`) {
		t.Errorf("a flow that is not there: %+v", got)
	}
	s.must("reload")
	if got := s.must("flow", "diff", "flows/hello.yaml", "hello"); !strings.HasPrefix(got, "flow hello against version 2, which runs\nnothing changes") {
		t.Error(got)
	}
	g.stop()
}

// TestGuide: each flow of docs/flows.md is valid, and each script, played on the
// flow before it, gives what the page says.
func TestGuide(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/flows.md")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for name, text := range small {
		files[name] = text
	}
	blocks := regexp.MustCompile("(?s)```([a-z]+)\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	files["trunkline.yaml"] = ""
	b := newToolbox(t, files)
	flows, plays := 0, 0
	for i, m := range blocks {
		text := m[2]
		switch {
		case m[1] == "yaml" && strings.HasPrefix(text, "people:\n"):
			b.write("trunkline.yaml", strings.Replace(small["trunkline.yaml"], "people:\n  attributes:\n    - {name: shoeSize, type: whole_number}\n", text, 1)+"  - {number: \"38510001\", channel: voice}\n")
		case m[1] == "yaml" && strings.HasPrefix(text, "flow:"):
			flows++
			b.write("guide.yaml", text)
			if out := b.must("", "check", "@guide.yaml"); !strings.HasSuffix(out, "no warnings\n") {
				t.Errorf("%s\n%s", text, out)
			}
		case m[1] == "yaml" && strings.Contains(text, "steps:"):
			plays++
			b.write("script.yaml", text)
			got := b.must("", "simulate", "@guide.yaml", "--script", "@script.yaml")
			if want := blocks[i+1][2]; blocks[i+1][1] != "text" || got != want {
				t.Errorf("%s\ngives\n%s\nnot\n%s", text, got, want)
			}
		}
	}
	if flows < 5 || plays < 2 {
		t.Errorf("the page has %d flows and %d scripts; were they found?", flows, plays)
	}
}
