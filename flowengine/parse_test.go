package flowengine

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"trunkline/configs/strict"
)

// testNumbers knows 38591000001 and up.
func testNumbers(_, number string) bool { return strings.HasPrefix(number, "3859100000") }

// TestParseErrors holds the files in testdata/errors, pairs of x.yaml and what
// is wrong with it in x.errors. Every line of the latter is one finding.
func TestParseErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/errors/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i+1 < len(archive.Files); i += 2 {
				in, want := archive.Files[i], &archive.Files[i+1]
				_, err := ParseFlow(in.Name, in.Data, testSchema(t), testNumbers)
				if err == nil {
					t.Errorf("%s: no error", in.Name)
					continue
				}
				got := err.Error() + "\n"
				// The files say … for the lists, which grow.
				got = strings.ReplaceAll(got, strings.Join(elementTypeNames(), ", "), "…")
				got = strings.ReplaceAll(got, strings.Join(triggerTypeNames(), ", "), "…")
				if *update {
					want.Data = []byte(got)
				} else if got != string(want.Data) {
					t.Errorf("got\n%swant\n%s", got, want.Data)
				}
			}
			if *update {
				if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// exampleFlows are the flows of the scripts.
func exampleFlows(t testing.TB) map[string][]byte {
	t.Helper()
	flows := map[string][]byte{}
	files, err := filepath.Glob("testdata/flows/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, path := range files {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			if strings.HasSuffix(f.Name, ".yaml") {
				flows[f.Name] = f.Data
			}
		}
	}
	return flows
}

// A version is known by the hash of its canonical form, from which it can be
// read again; order, comments and quotes make no other version.
func TestCanonicalFlow(t *testing.T) {
	schema := testSchema(t).WithSegments("big", "birthday", "frozen", "keen")
	for name, data := range exampleFlows(t) {
		v, err := ParseFlow(name, data, schema, nil)
		if err != nil {
			t.Fatal(err)
		}
		if v.Hash != sha256.Sum256(v.Canonical) {
			t.Errorf("%s: the hash is not that of the canonical form", name)
		}
		again, err := ParseFlow(name+".json", v.Canonical, schema, nil)
		if err != nil || again.Hash != v.Hash || !bytes.Equal(again.Canonical, v.Canonical) {
			t.Errorf("%s: %s became %v, %v", name, v.Canonical, again, err)
		}
	}
	const one = "flow: a\n# why\nentries: [{id: e1, type: inbound_message, keywords: go, next: a}]\nelements:\n  a: {type: pause, for: 1h}\n"
	const other = "elements:\n  'a':\n    for: \"1h\"\n    type: pause\nflow: \"a\"\nentries:\n- {next: a, keywords: go, id: e1, type: inbound_message}\n"
	const canonical = `{"elements":{"a":{"for":"1h","type":"pause"}},"entries":[{"id":"e1","keywords":"go","next":"a","type":"inbound_message"}],"flow":"a"}`
	for _, file := range []string{one, other, canonical} {
		v, err := ParseFlow("f", []byte(file), schema, nil)
		if err != nil || string(v.Canonical) != canonical {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestParseWarnings(t *testing.T) {
	const file = `flow: a
entries: [{id: e1, type: inbound_message, keywords: go, next: a}]
elements:
  a: {type: add_tag, tag: x, on: {done: b}}
  b: {type: remove_tag, tag: x, on: {done: a}}
  alone: {type: evaluate_inbound_message, timeout: 1h, branches: [{match: any}]}
  from: {type: send_sms, from: "4567", text: hi}
`
	v, err := ParseFlow("f", []byte(file), testSchema(t), testNumbers)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"f:4:3: elements a → b form a loop without a wait: a run that goes round ends after 50 rounds at most",
		`f:6:3: element "alone": nothing leads to it`,
		"f:6:52: nothing follows the timeout: the run ends there; name an element in `on: {timeout: …}` to go on",
		`f:7:3: element "from": nothing leads to it`,
		`f:7:32: "4567" is not one of our sms numbers: answers to it will not arrive here`,
	}
	if got := strings.Join(v.Warnings, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// `any` is every message; in a list it is a word. A version that was stored
// says the same.
func TestKeywords(t *testing.T) {
	for text, want := range map[string]Keywords{
		"any": {Any: true}, `"any"`: {Any: true}, "[any]": {Words: []string{"any"}}, "no": {Words: []string{"no"}}, `["42", yes]`: {Words: []string{"42", "yes"}},
	} {
		var got struct {
			K Keywords `yaml:"k"`
		}
		if _, err := strict.Decode("f", []byte("k: "+text), &got, strict.Options{}); err != nil || fmt.Sprint(got.K) != fmt.Sprint(want) {
			t.Errorf("%s: %v, %v", text, got.K, err)
		}
	}
}

// A flow is bounded, and says by what.
func TestParseLimits(t *testing.T) {
	entry := "{id: e%d, type: inbound_message, keywords: go, next: x0}, "
	element := "x%d: {type: exit}, "
	flow := func(entries, elements int) []byte {
		var b strings.Builder
		b.WriteString("flow: a\nentries: [")
		for i := range entries {
			fmt.Fprintf(&b, entry, i)
		}
		b.WriteString("]\nelements: {")
		for i := range elements {
			fmt.Fprintf(&b, element, i)
		}
		b.WriteString("}\n")
		return []byte(b.String())
	}
	if _, err := ParseFlow("f", flow(maxEntries, maxElements), testSchema(t), nil); err != nil {
		t.Error(err)
	}
	const want = "f:2:1: 101 entry points are too many; at most 100 are allowed\nf:3:1: 501 elements are too many; at most 500 are allowed"
	if _, err := ParseFlow("f", flow(maxEntries+1, maxElements+1), testSchema(t), nil); err == nil || err.Error() != want {
		t.Error(err)
	}
}

// The schema takes the example flows and refuses what is wrong in form.
func TestFlowSchema(t *testing.T) {
	text, err := strict.SchemaText(FlowSchema(strict.SchemaOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("flow.schema.json", value); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("flow.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	validate := func(data []byte) error {
		canonical, err := strict.Canonical(strict.Parse("f", data, strict.Options{}))
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(canonical))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(value)
	}
	for name, data := range exampleFlows(t) {
		if err := validate(data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	const frame = "flow: a\nentries: [{id: e1, type: inbound_message, keywords: go, next: a}]\nelements: {a: %s}\nsettings: %s\n"
	for _, c := range []struct{ element, settings string }{
		{"{type: teleport}", "{}"}, {"{type: exit, for: 1h}", "{}"}, {"{type: pause, for: soon}", "{}"}, {"{type: send_sms}", "{}"}, {"{for: 1h}", "{}"},
		{"{type: send_sms, text: a, on: {snet: b}}", "{}"}, {"{type: split_audience, branches: [{share: 20%}]}", "{}"}, {"{type: evaluate_inbound_message, branches: [{match: []}]}", "{}"},
		{"{type: update_person, set: {a: [b]}}", "{}"}, {"{type: exit}", "{reentr: true}"}, {"{type: exit}", "{reenter: yes}"},
		{"{type: exit}", "{entry_limits: [{max: 0, per: 1h}]}"}, {"{type: exit}", "{start_at: soon}"}, {"{type: exit}", "{on_end: leave}"},
	} {
		file := fmt.Appendf(nil, frame, c.element, c.settings)
		if validate(file) == nil {
			t.Errorf("the schema takes %+v", c)
		}
		if _, err := ParseFlow("f", file, testSchema(t), nil); err == nil {
			t.Errorf("ParseFlow takes %+v", c)
		}
	}
}

// Whatever a file holds: no panic, findings have a place, and what is read can
// be read again from its canonical form.
func FuzzParseFlow(f *testing.F) {
	for _, data := range exampleFlows(f) {
		f.Add(data)
	}
	f.Add([]byte(`{"flow":"a","entries":[{"id":"e","type":"inbound_message","keywords":["go"],"next":"a"}],"elements":{"a":{"type":"exit"}}}`))
	schema := testSchema(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := ParseFlow("f", data, schema, testNumbers)
		if err != nil {
			var all strict.Errors
			if !errors.As(err, &all) || len(all) == 0 {
				t.Fatalf("%T %v", err, err)
			}
			for _, e := range all {
				if e.Line < 1 || e.Column < 1 || e.Message == "" {
					t.Fatalf("%#v", e)
				}
			}
			return
		}
		again, err := ParseFlow("f.json", v.Canonical, schema, testNumbers)
		if err != nil || again.Hash != v.Hash {
			t.Fatalf("%s: %v", v.Canonical, err)
		}
	})
}
