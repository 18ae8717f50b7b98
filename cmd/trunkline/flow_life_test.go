package main

import (
	"encoding/csv"
	"maps"
	"strings"
	"testing"
	"time"

	"trunkline/gateway/httpapi"
)

// lifeFlow lets people wait at the element that a version has.
const lifeFlow = `flow: hello
entries:
  - {id: in, type: inbound_message, number: "38591000001", keywords: hello, next: say}
elements:
  say: {type: send_sms, text: "Hello!", on: {sent: stay}}
  stay: {type: pause, for: 300d}
`

// An edit makes a version; the old one drains, can be looked at and be stopped, and
// its elements stay in the counters. S7: with a limit, or at once.
func TestVersionsOfAFlow(t *testing.T) {
	t.Parallel()
	files := maps.Clone(small)
	files["flows/hello.yaml"] = lifeFlow
	files["trunkline.yaml"] = strings.Replace(small["trunkline.yaml"], "data: data", "data: data\nstorage: {reserve_mib: 16}", 1)
	s := newSite(t, files)
	g := s.start()
	versions := func() (text string) {
		t.Helper()
		var all []httpapi.Version
		s.decode(s.must("flow", "versions", "hello", "--json"), &all)
		for _, v := range all {
			text += v.State + " " + number(v.Inside) + "; "
		}
		return text
	}
	becomes := func(want string) { t.Helper(); eventually(t, want, func() bool { return versions() == want }) }
	g.text(anna, "hello")
	becomes("current 1; ")
	s.write("flows/hello.yaml", strings.Replace(strings.ReplaceAll(lifeFlow, "stay", "linger"), "300d", "200d", 1))
	s.must("reload")
	g.text(boris, "hello")
	becomes("draining 1; current 1; ")
	if got := s.must("flow", "versions", "hello"); !strings.HasPrefix(got, "VERSION  HASH          STATE     PUBLISHED") {
		t.Errorf("flow versions:\n%s", got)
	}

	if got := s.must("flow", "stats", "hello"); !strings.Contains(got, "stay (retired)  1 ") || !strings.Contains(got, "\nsay             2 ") {
		t.Errorf("flow stats:\n%s", got)
	}
	today := time.Now().UTC().Format(time.DateOnly)
	rows, err := csv.NewReader(strings.NewReader(s.must("flow", "stats", "hello", "--csv", "--version", "1", "--since", "2020-01-01", "--until", today))).ReadAll()
	if err != nil || len(rows) != 3 || strings.Join(rows[2][:5], ",") != "hello,stay,true,1,1" {
		t.Errorf("flow stats --csv: %v %q", err, rows)
	}
	var stats httpapi.Stats
	s.decode(s.must("flow", "stats", "hello", "--json", "--day", "2020-01-01"), &stats)
	if len(stats.Versions) != 0 || len(stats.Elements) != 2 || stats.Elements[0].Total != 0 || stats.Since != "2020-01-01" || stats.Until != "2020-01-01" {
		t.Errorf("flow stats --json: %+v", stats)
	}
	s.refused([]string{`flow "hello" has no version 3; the newest is 2`}, "flow", "stats", "hello", "--version", "3")
	s.refused([]string{"say either --day, or --since and --until"}, "flow", "stats", "hello", "--day", today, "--since", today)
	s.refused([]string{`since: "today" is not a day`}, "flow", "stats", "hello", "--since", "today")

	s.refused([]string{"version 2 of flow \"hello\" is the newest"}, "flow", "stop", "hello", "--version", "2")
	s.refused([]string{`"soon" is not a stretch of time`}, "flow", "stop", "hello", "--drain", "soon")
	s.refused([]string{"at most 30 days"}, "flow", "stop", "hello", "--drain", "31d")
	if got := s.must("flow", "stop", "hello", "--version", "1", "--drain", "7d"); got != "version 1 of flow hello stops in 7d at the latest\n" {
		t.Errorf("flow stop --version: %q", got)
	}
	becomes("stopping 1; current 1; ")
	s.refused([]string{"not in version 1"}, "flow", "eject", "hello", boris, "--version", "1")
	if got := s.must("flow", "eject", "hello", anna, "--version", "1"); got != "ended 1 run and withdrew 0 messages\n" {
		t.Errorf("flow eject: %q", got)
	}
	becomes("retired 0; current 1; ")
	s.must("flow", "stop", "hello", "--drain", "7d")
	becomes("retired 0; finishing 1; ")
	s.must("flow", "stop", "hello", "--all")
	becomes("retired 0; cancelled 0; ")

	// An id stays with its type, also when nobody is inside.
	s.write("flows/hello.yaml", strings.ReplaceAll(lifeFlow, "stay: {type: pause, for: 300d}", "stay: {type: exit}"))
	s.refused([]string{`flows/hello.yaml:6:16: element "stay" was of type pause in an earlier version`, "another id"}, "reload")
	g.stop()
}

// What a flow needs and is not there is told with its place: channels, flows that
// it leads to. S6: two flows can't be launched on one voice number.
func TestCheckTellsWhatIsMissing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, flow, want string
		alone            string // what `flow check` says: it looks at the file alone
	}{
		{
			"an element's channel", "flow: mail\nentries: [{id: in, type: flow_api, next: a}]\nelements:\n  a: {type: send_push, text: hi}\n",
			"flows/new.yaml:4:13: type: send_push can't be used: the push channel comes with its providers; not available in this build", "",
		},
		{
			"as whom mail is sent", "flow: mail\nentries: [{id: in, type: flow_api, next: a}]\nelements:\n  a: {type: send_email, subject: hi, text: ho}\n",
			"flows/new.yaml:4:3: mail can't be sent: no sending identity is configured", "flows/new.yaml is valid: flow mail",
		},
		{
			"another flow", "flow: over\nentries: [{id: in, type: flow_api, next: a}]\nelements:\n  a: {type: transfer_to_flow, flow: helo}\n",
			`flows/new.yaml:4:13: element "a": there is no flow "helo" (did you mean "hello"?)`, "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := maps.Clone(small)
			files["trunkline.yaml"] += "  - {number: \"3851000\", channel: voice}\n"
			files["flows/new.yaml"] = c.flow
			s := newSite(t, files)
			s.config = "trunkline.yaml"
			if got := s.try("check"); got.code != 1 || got.errs != c.want+"\n" {
				t.Errorf("check: exit code %d\n%s not\n%s", got.code, got.errs, c.want)
			}
			if got := s.try("flow", "check", "flows/new.yaml"); c.alone != "" {
				if got.code != 0 || !strings.HasPrefix(got.out, c.alone) {
					t.Errorf("flow check: exit code %d\n%s%s", got.code, got.out, got.errs)
				}
			} else if got.code != 1 || !strings.HasPrefix(got.errs, c.want+"\n") {
				t.Errorf("flow check: exit code %d\n%s not\n%s", got.code, got.errs, c.want)
			}
		})
	}
}
