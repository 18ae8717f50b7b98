package strict

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

var seeds = []string{
	"", "name: a", "a: [1, 'x', \"y\\u00e9\", 0x1f]\nb:\n  - c: d\n    e: f\n  - - g\n", "a: |\n  text\n  more\nb: >-\n  x\n y: z",
	"a: &x 1\nb: *x\n<<: *x", "---\na: 1\n---\nb: 2\n...\n", "%YAML 1.2\n---\na: 1", "? [a]\n: b", "a:\n\tb: 3", "{\"a\":{\"b\":\"\\ud83d\\ude00\"}}",
	"a: ${env:X}", "a: \"\\x41\\u263a\\N\\_\\L\"", "a: 'it''s'\r\nb: c\r\n", "\ufeffa: b", "a: -0\nb: +.5e3\nc: 0o17\nd: 1.\n", "- a\n- b:\n- ", "a: {b: c, d}",
	"name: abc\nmode: whole\non: yes\ncount: 5\nnets: [10.0.0.0/8]\nlinks:\n- host: x\n", "a: # c\n  b", "a: b\n\n\n  c\n", "a: b\tc\nd\t:\te\t#f", `{"a": [1,2,{"b":null}], "c": tru}`,
}

// Whatever a file holds: no panic, findings have a place in the file, and what
// can be read is the same when it is read again from its canonical form.
func FuzzDecode(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, file string) {
		var into sample
		doc, err := Decode("f", []byte(file), &into, Options{Secrets: testSecrets()})
		lines := strings.Count(doc.source, "\n") + 1
		if all, _ := err.(Errors); true {
			for _, e := range all {
				if e.Line < 1 || e.Line > lines || e.Column < 1 || e.Message == "" {
					t.Errorf("%#v", e)
				}
				_ = e.Excerpt()
			}
		}
		if doc.Root() == nil && err == nil {
			t.Error("no value and no error")
		}
		plain := Parse("f", []byte(file), Options{})
		checkRoundTrip(t, plain)
		checkPlaces(t, plain)
	})
}

func checkRoundTrip(t *testing.T, doc *Document) {
	canonical, err := Canonical(doc)
	if err != nil {
		return
	}
	if !json.Valid(canonical) {
		t.Fatalf("not JSON: %s", canonical)
	}
	if len(canonical) > maxBytes {
		return
	}
	again := Parse("f", canonical, Options{})
	twice, err := Canonical(again)
	if err != nil || !bytes.Equal(canonical, twice) {
		t.Fatalf("%s became %s, %v", canonical, twice, err)
	}
	if doc.Err() == nil && !reflect.DeepEqual(doc.Root().Value(), again.Root().Value()) {
		t.Fatalf("%v became %v", doc.Root().Value(), again.Root().Value())
	}
}

// checkPlaces finds the plain scalars of one line where they are said to be.
func checkPlaces(t *testing.T, doc *Document) {
	var walk func(n *Node)
	walk = func(n *Node) {
		if !n.quoted && (n.Kind == Number || n.Kind == Bool) {
			line := []rune(doc.line(n.Line))
			if n.Column > len(line) || !strings.HasPrefix(string(line[n.Column-1:]), n.raw) {
				t.Errorf("%q is not at %d:%d of %q", n.raw, n.Line, n.Column, doc.source)
			}
		}
		for _, i := range n.Items {
			walk(i)
		}
		for _, f := range n.Fields {
			walk(f.Key)
			walk(f.Value)
		}
	}
	if doc.Root() != nil {
		walk(doc.Root())
	}
}

// Any data survives canonical JSON and the reading of it.
func TestCanonicalText(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.String().Draw(rt, "text")
		if !utf8.ValidString(text) {
			rt.Skip()
		}
		written := appendString(nil, text)
		var standard string
		if err := json.Unmarshal(written, &standard); err != nil || standard != text {
			rt.Fatalf("%s: %q, %v", written, standard, err)
		}
		var into struct {
			A string `yaml:"a"`
		}
		if _, err := Decode("f", append(append([]byte(`{"a":`), written...), '}'), &into, Options{}); err != nil || into.A != text {
			rt.Fatalf("%s: %q, %v", written, into.A, err)
		}
	})
}

func TestCanonicalNumber(t *testing.T) {
	for s, want := range map[string]string{
		"0": "0", "-0": "-0", "+5": "5", "007": "7", "0x1F": "31", "0o17": "15", ".5": "0.5", "1.": "1.0", "-.5e3": "-0.5e3", "+00.50": "0.50", "1E5": "1E5", "000": "0",
	} {
		if got := canonicalNumber(s); got != want || plainKind(s) != Number || plainKind(got) != Number {
			t.Errorf("%s: %s, want %s", s, got, want)
		}
	}
}

// The same said in another order and style is the same.
func TestCanonicalStyle(t *testing.T) {
	files := []string{
		"b: [1, x]\na: {d: ~, c: True}\n", "# hello\n\"a\":\n  c: true\n  d: null\n'b':\n- 1\n- 'x'\n", "{\"a\":{\"d\":null,\"c\":true},\n \"b\":[1,\"x\"]}",
	}
	for _, file := range files {
		got, err := Canonical(Parse("f", []byte(file), Options{}))
		if string(got) != `{"a":{"c":true,"d":null},"b":[1,"x"]}` || err != nil {
			t.Errorf("%s: %s, %v", file, got, err)
		}
	}
}

// The place of an error in JSON is as exact as in YAML.
func TestPlacesInJSON(t *testing.T) {
	var into sample
	_, err := Decode("f", []byte("{\"name\": \"č\",\n \"links\" : [{\"host\":\"č\",  \"port\":\"x\"}], \"cuont\":1, \"name\": \"b\"}"), &into, Options{})
	want := []string{
		`f:1:10: name: "č" does not fit (Name in small letters)`, `f:2:34: port: "x" is not a whole number`,
		`f:2:41: unknown key "cuont" (did you mean "count"?)`, `f:2:52: the key "name" is there twice (the first is in line 1)`,
	}
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Errorf("got\n%v\nwant\n%s", err, strings.Join(want, "\n"))
	}
}
