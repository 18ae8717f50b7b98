package strict

import (
	"bytes"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func compile(t *testing.T, schema map[string]any) *jsonschema.Schema {
	t.Helper()
	text, err := SchemaText(schema)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("schema.json", value); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// valid holds a YAML file against a schema.
func valid(t *testing.T, s *jsonschema.Schema, file string) error {
	t.Helper()
	canonical, err := Canonical(Parse("f", []byte(file), Options{}))
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(canonical))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(value)
}

// What the decoder takes the schema takes, and what it refuses for its form the
// schema refuses.
func TestSchema(t *testing.T) {
	s := compile(t, Schema(sample{}, SchemaOptions{ID: "https://example.org/sample.json", Title: "Sample", Description: "A sample."}))
	for _, c := range []struct {
		file string
		ok   bool
	}{
		{"name: a", true},
		{"name: abc\nmode: first_word\non: false\ncount: 10\nratio: 0.5\nwait: 1d12h\nnets: [10.0.0.0/8]\nlevel: 0", true},
		{"name: a\nlimits: {in: 1}\nlink: {host: x}\nlinks: [{host: y, port: 1}]\nsizes: {a: 1}\nwords: [a]\npercent: 20%\nnested: {x: {host: z}}\ndays: [0, 1.5h]\nany: {x: [1, null]}", true},
		{"count: 1", false}, {"name: a\ncuont: 1", false}, {"name: 5", false}, {"name: ''", false}, {"name: Abc", false}, {"name: abcdefghi", false},
		{"name: a\nmode: hole", false}, {"name: a\non: yes", false}, {"name: a\ncount: 0", false}, {"name: a\ncount: 11", false}, {"name: a\ncount: '3'", false},
		{"name: a\ncount: 1.5", false}, {"name: a\nwait: soon", false}, {"name: a\nwait: 30", false}, {"name: a\nwords: a", false}, {"name: a\nwords: [c]", false},
		{"name: a\nlimits: {ni: 1}", false}, {"name: a\nlinks: [{port: 1}]", false}, {"name: a\nlinks: [{host: a}, {host: b}, {host: c}]", false},
		{"name: a\nsizes: {a: 1, b: 2, c: 3}", false}, {"name: a\npercent: 20", false}, {"name: a\nlevel: 7", false}, {"name: a\nnote: abcdef", false}, {"- a", false},
	} {
		var into sample
		_, decoded := Decode("f", []byte(c.file), &into, Options{})
		if err := valid(t, s, c.file); (err == nil) != c.ok || (decoded == nil) != c.ok {
			t.Errorf("%q: schema %v, decoder %v", c.file, err, decoded)
		}
	}
}

// With references, what is not text may be one.
func TestSchemaReferences(t *testing.T) {
	s := compile(t, Schema(sample{}, SchemaOptions{References: true}))
	const file = "name: ${env:N}\nmode: ${env:M}\non: ${env:O}\ncount: ${env:C}\nwait: ${file:w}\nnets: ['${env:NET}']\nlevel: ${env:L}"
	if err := valid(t, s, file); err != nil {
		t.Error(err)
	}
	for _, file := range []string{"name: A", "name: a\nmode: x", "name: a\ncount: 11", "name: a\ncount: $C"} {
		if valid(t, s, file) == nil {
			t.Errorf("%q is taken", file)
		}
	}
}

func TestSchemaText(t *testing.T) {
	text, err := SchemaText(Subschema(struct {
		A string `yaml:"a" doc:"What <a> is." default:"x" enum:"x,y"`
		B int    `yaml:"b" min:"1" default:"2" required:"true"`
	}{}))
	const want = `{
  "additionalProperties": false,
  "properties": {
    "a": {
      "default": "x",
      "description": "What <a> is.",
      "enum": [
        "x",
        "y"
      ],
      "type": "string"
    },
    "b": {
      "default": 2,
      "minimum": 1,
      "type": "integer"
    }
  },
  "required": [
    "b"
  ],
  "type": "object"
}
`
	if string(text) != want || err != nil {
		t.Errorf("%s %v", text, err)
	}
}

// Reading is bounded whatever the file: none of these may take long.
func TestLargeFiles(t *testing.T) {
	const n = 1 << 18
	for name, file := range map[string]string{
		"block map": strings.Repeat("aaaaaa: b\n", n/10), "flow map": "{" + strings.Repeat("\"a\": \"b\", ", n/10) + "}", "list": strings.Repeat("- a\n", n/4),
		"one text": strings.Repeat("a", n), "lines": strings.Repeat("a\n", n/2), "anchors": strings.Repeat("&a ", n/3), "tags": strings.Repeat("! ", n/2),
		"colons": strings.Repeat(": ", n/2), "quotes": strings.Repeat(`"`, n), "documents": strings.Repeat("---\n", n/4), "comments": strings.Repeat("# a\n", n/4),
		"spaces": strings.Repeat(" ", n), "keys": strings.Repeat("? ", n/2), "brackets": strings.Repeat("[", n), "numbers": "[" + strings.Repeat("1,", n/2) + "1]",
		"steps": func() string {
			var b strings.Builder
			for i := range 700 {
				b.WriteString(strings.Repeat(" ", i) + "a:\n")
			}
			return b.String()
		}(),
	} {
		var into sample
		_, err := Decode("f", []byte(file), &into, Options{})
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
