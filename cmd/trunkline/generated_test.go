package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"trunkline/configs/strict"
)

// What `make generate` writes is as the code would write it.
func TestGeneratedFiles(t *testing.T) {
	t.Parallel()
	s := &site{T: t, dir: t.TempDir()}
	for _, k := range fileKinds {
		s.golden("../../configs/schemas/"+k.name+".schema.json", s.must("schema", k.name))
	}
	s.must("schema", "--markdown", "configuration.md")
	text, err := os.ReadFile(s.path("configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	s.golden("../../docs/configuration.md", string(text))
}

func (s *site) golden(name, want string) {
	s.Helper()
	got, err := os.ReadFile(name)
	if err != nil {
		s.Fatal(err)
	}
	if !bytes.Equal(got, []byte(want)) {
		s.Errorf("%s is not what the code makes of it; run `make generate`", name)
	}
}

// Every example file is valid, for `check` as for an editor that only knows the
// schemas.
func TestExamples(t *testing.T) {
	t.Parallel()
	s := &site{T: t, dir: t.TempDir()}
	mains, err := filepath.Glob("../../configs/*/trunkline.yaml")
	if err != nil || len(mains) == 0 {
		t.Fatalf("no example: %v", err)
	}
	for _, name := range mains {
		path, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		s.must("check", "--config", path)
		broadcasts, err := filepath.Glob(filepath.Join(filepath.Dir(path), "broadcasts/*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range broadcasts {
			s.must("broadcast", "check", "--config", path, b)
		}
	}
	for kind, patterns := range map[string][]string{
		"trunkline": {"trunkline.yaml"}, "carrier": {"carriers/*.yaml"}, "flow": {"flows/*.yaml"}, "broadcast": {"broadcasts/*.yaml"}, "include": {"include/*.yaml", "numbers/*.yaml", "people/*.yaml"},
	} {
		schema := compiled(t, kind)
		for _, p := range patterns {
			names, err := filepath.Glob("../../configs/*/" + p)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				validate(t, schema, name)
			}
		}
	}
}

func compiled(t *testing.T, kind string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	schema, err := c.Compile("../../configs/schemas/" + kind + ".schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// validate is what an editor does.
func validate(t *testing.T, schema *jsonschema.Schema, name string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	doc := strict.Parse(name, text, strict.Options{})
	if err := doc.Err(); err != nil {
		t.Error(err)
		return
	}
	if err := schema.Validate(doc.Root().Value()); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// The schemas find what an editor should mark, so that a file that they accept
// is a good start.
func TestSchemasRefuse(t *testing.T) {
	t.Parallel()
	for kind, texts := range map[string][]string{
		"trunkline": {"dta: data", "numbers: [{channel: sms}]", "log: {level: loud}", "smpp: {listen: 127.0.0.1:2775}"},
		"carrier":   {"carrier: x", "{carrier: x, system_id: y, bind: sideways}", "{carrier: x, system_id: y, window: 0}"},
		"include":   {"smpp: {}"},
		"flow":      {"flow: x", "{flow: x, entries: [], elements: {a: {type: dance}}}", "{flow: x, entries: [{id: a, type: inbound_message, keywords: any, next: b}], elements: {b: {type: send_sms}}}"},
	} {
		schema := compiled(t, kind)
		for _, text := range texts {
			doc := strict.Parse("test.yaml", []byte(text), strict.Options{})
			if err := doc.Err(); err != nil {
				t.Errorf("%s: %v", text, err)
			} else if schema.Validate(doc.Root().Value()) == nil {
				t.Errorf("the %s schema accepts %s", kind, text)
			}
		}
	}
}
