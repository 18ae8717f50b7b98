package strict

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// sample has every kind of key that a file can have.
type sample struct {
	Name    string            `yaml:"name" required:"true" pattern:"^[a-z]+$" max:"8" doc:"Name in small letters."`
	Mode    mode              `yaml:"mode" enum:"whole,first_word" default:"whole" doc:"How to match."`
	On      bool              `yaml:"on" default:"true"`
	Count   int               `yaml:"count" min:"1" max:"10" default:"3"`
	Small   uint8             `yaml:"small"`
	Ratio   float64           `yaml:"ratio" min:"0" max:"1"`
	Wait    time.Duration     `yaml:"wait" min:"1s" max:"7d" default:"1d12h"`
	Nets    []netip.Prefix    `yaml:"nets"`
	Level   *int              `yaml:"level" min:"0" max:"6"`
	Limits  limits            `yaml:"limits"`
	Link    *link             `yaml:"link"`
	Links   []link            `yaml:"links" max:"2"`
	Sizes   map[string]int    `yaml:"sizes" max:"2"`
	Words   []string          `yaml:"words" enum:"a,b"`
	Address netip.Addr        `yaml:"address"`
	Percent percent           `yaml:"percent"`
	Any     map[string]any    `yaml:"any"`
	Nested  map[string]*link  `yaml:"nested"`
	Days    []time.Duration   `yaml:"days"`
	Runtime map[string]string `yaml:"-"`
	Common
}

type mode string

// Common is taken over by those who embed it.
type Common struct {
	Note string `yaml:"note" max:"5"`
}

type limits struct {
	In  int `yaml:"in" default:"7"`
	Out int `yaml:"out"`
}

type link struct {
	Host string `yaml:"host" required:"true" doc:"Where to."`
	Port int    `yaml:"port" default:"25"`
}

// percent reads itself.
type percent int

func (p *percent) UnmarshalNode(n *Node) error {
	number, ok := strings.CutSuffix(n.Text, "%")
	if n.Kind != String || !ok {
		n.Mistyped("a percentage", "write it as 20%")
		return nil
	}
	if _, err := fmt.Sscan(number, (*int)(p)); err != nil {
		return errors.New("no number before %")
	}
	return nil
}

func (p *percent) JSONSchema() map[string]any {
	return map[string]any{"type": "string", "pattern": "^[0-9]+%$"}
}

func TestDecode(t *testing.T) {
	const file = `# a comment
name: abc          # plain
mode: "first_word"
on: false
count: 0x0a
small: 255
ratio: .5
wait: 2d
nets: [10.0.0.0/8, 192.0.2.7, "2001:db8::/32"]
level: 0
limits: {out: 2}
links:
  - host: a
  - {host: "b", port: 1}
sizes:
  x: 1
  7: 2
words: [a, b]
address: 192.0.2.1
percent: 20%
any: {a: null, b: true, c: 1, d: 1.5, e: yes, f: [x]}
nested:
  one:
    host: >-
      folded
      text
days: [0, 1.5h, 1w]
note: short
`
	var got sample
	doc, err := Decode("a.yaml", []byte(file), &got, Options{})
	if err != nil {
		t.Fatal(err)
	}
	zero := 0
	want := sample{
		Name: "abc", Mode: "first_word", Count: 10, Small: 255, Ratio: .5, Wait: 48 * time.Hour,
		Nets:  []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/32")},
		Level: &zero, Limits: limits{7, 2}, Links: []link{{"a", 25}, {"b", 1}}, Sizes: map[string]int{"x": 1, "7": 2},
		Words: []string{"a", "b"}, Address: netip.MustParseAddr("192.0.2.1"), Percent: 20,
		Any:    map[string]any{"a": nil, "b": true, "c": int64(1), "d": 1.5, "e": "yes", "f": []any{"x"}},
		Nested: map[string]*link{"one": {"folded text", 25}},
		Days:   []time.Duration{0, 90 * time.Minute, 7 * 24 * time.Hour}, Common: Common{"short"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	canonical, err := Canonical(doc)
	if err != nil {
		t.Fatal(err)
	}
	const wantJSON = `{"address":"192.0.2.1","any":{"a":null,"b":true,"c":1,"d":1.5,"e":"yes","f":["x"]},"count":10,"days":[0,"1.5h","1w"],"level":0,` +
		`"limits":{"out":2},"links":[{"host":"a"},{"host":"b","port":1}],"mode":"first_word","name":"abc","nested":{"one":{"host":"folded text"}},` +
		`"nets":["10.0.0.0/8","192.0.2.7","2001:db8::/32"],"note":"short","on":false,"percent":"20%","ratio":0.5,"sizes":{"7":2,"x":1},"small":255,"wait":"2d","words":["a","b"]}`
	if string(canonical) != wantJSON {
		t.Errorf("canonical\n%s\nwant\n%s", canonical, wantJSON)
	}
	var again sample
	if _, err := Decode("a.json", canonical, &again, Options{}); err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("from canonical: %+v, %v", again, err)
	}
}

// Defaults hold for keys that are left out, in structs that are left out too.
func TestDefaults(t *testing.T) {
	var got sample
	if _, err := Decode("a.yaml", []byte("name: a"), &got, Options{}); err != nil {
		t.Fatal(err)
	}
	want := sample{Name: "a", Mode: "whole", On: true, Count: 3, Wait: 36 * time.Hour, Limits: limits{In: 7}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Every class of error, with the exact text.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name, file string
		want       []string
	}{
		{"unknown key", "name: a\ncuont: 1", []string{`2:1: unknown key "cuont" (did you mean "count"?)`}},
		{"unknown key, nested", "name: a\nlimits: {zzz: 1}", []string{`2:10: limits: unknown key "zzz" (the keys are in, out)`}},
		{"missing key", "count: 1", []string{`1:1: "name" is missing (Name in small letters)`}},
		{"missing key in a list", "name: a\nlinks:\n  - port: 1", []string{`3:5: links[0]: "host" is missing (Where to)`}},
		{"mistyped required key", "nmea: a", []string{`1:1: unknown key "nmea" (did you mean "name"?)`}},
		{"empty required text", `name: ""`, []string{`1:7: name: it is empty (Name in small letters)`}},
		{"duplicate key", "name: a\ncount: 1\ncount: 2", []string{`3:1: the key "count" is there twice (the first is in line 2)`}},
		{"key that is no text", "name: a\ntrue: 1", []string{`2:1: the key true is not text (put it in quotes: "true")`}},
		{"no value", "name: a\ncount:", []string{`2:1: count: there is no value where a whole number is expected (leave the key out or give it a value)`}},
		{"list for text", "name: [a]", []string{`1:1: name: a list is found where text is expected`}},
		{"text for list", "name: a\nwords: a", []string{`2:8: words: "a" is not a list (write [ ] around it, or - before each item)`}},
		{"text for map", "name: a\nlimits: a", []string{`2:9: limits: "a" is not a map of keys`}},
		{"number for text", "name: 0385", []string{`1:7: name: 0385 is not text (put it in quotes: "0385")`}},
		{"truth for text", "name: true", []string{`1:7: name: true is not text (put it in quotes: "true")`}},
		{"pattern", "name: Abc", []string{`1:7: name: "Abc" does not fit (Name in small letters)`}},
		{"characters", "name: abcdefghi", []string{`1:7: name: 9 characters are too many (at most 8 characters)`}},
		{"characters of an embedded struct's key", "name: a\nnote: čšžđćč", []string{`2:7: note: 6 characters are too many (at most 5 characters)`}},
		{"enum", "name: a\nmode: hole", []string{`2:7: mode: "hole" is none of whole, first_word (did you mean "whole"?)`}},
		{"enum of items", "name: a\nwords: [a, c]", []string{`2:12: words[1]: "c" is none of a, b`}},
		{"yes", "name: a\non: yes", []string{`2:5: on: "yes" is not true or false (write true)`}},
		{"off", "name: a\non: off", []string{`2:5: on: "off" is not true or false (write false)`}},
		{"quoted truth", "name: a\non: 'true'", []string{`2:5: on: "true" is not true or false (leave the quotes out)`}},
		{"not a number", "name: a\ncount: many", []string{`2:8: count: "many" is not a whole number`}},
		{"quoted number", "name: a\ncount: '3'", []string{`2:8: count: "3" is not a whole number (leave the quotes out)`}},
		{"not whole", "name: a\ncount: 1.5", []string{`2:8: count: 1.5 is not a whole number`}},
		{"leading zero", "name: a\ncount: 010", []string{`2:8: count: 010 is not a whole number (write 10)`}},
		{"underscore", "name: a\ncount: 1_0", []string{`2:8: count: "1_0" is not a whole number`}},
		{"too small", "name: a\ncount: 0", []string{`2:8: count: 0 is too little (between 1 and 10)`}},
		{"too large", "name: a\nratio: 1.01", []string{`2:8: ratio: 1.01 is too much (between 0 and 1)`}},
		{"pointer", "name: a\nlevel: 7", []string{`2:8: level: 7 is too much (between 0 and 6)`}},
		{"out of range", "name: a\nsmall: 256", []string{`2:8: small: 256 is out of range (between 0 and 255)`}},
		{"negative", "name: a\nsmall: -1", []string{`2:8: small: -1 is out of range (between 0 and 255)`}},
		{"beyond 64 bits", "name: a\ncount: 99999999999999999999", []string{`2:8: count: 99999999999999999999 is out of range (between -9223372036854775808 and 9223372036854775807)`}},
		{"infinity", "name: a\nratio: .inf", []string{`2:8: ratio: ".inf" is not a number`}},
		{"huge", "name: a\nratio: 1e999", []string{`2:8: ratio: 1e999 is too large`}},
		{"duration", "name: a\nwait: soon", []string{`2:7: wait: "soon" is not a duration (write it as 90s, 15m, 24h, 7d or 1d12h)`}},
		{"duration without unit", "name: a\nwait: 30", []string{`2:7: wait: 30 is not a duration (add the unit: 30s, 30m, 30h or 30d)`}},
		{"negative duration", "name: a\nwait: -5s", []string{`2:7: wait: "-5s" is not a duration (write it as 90s, 15m, 24h, 7d or 1d12h)`}},
		{"long duration", "name: a\nwait: 2w", []string{`2:7: wait: "2w" is too much (between 1s and 7d)`}},
		{"network", "name: a\nnets: [10.0.0.0/33]", []string{`2:8: nets[0]: "10.0.0.0/33" is not a network (write it as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32)`}},
		{"network with host bits", "name: a\nnets: [10.0.0.1/8]", []string{`2:8: nets[0]: "10.0.0.1/8" has bits set beyond its length (write 10.0.0.0/8)`}},
		{"text that reads itself", "name: a\naddress: here", []string{`2:10: address: ParseAddr("here"): unable to parse IP`}},
		{"type that reads itself", "name: a\npercent: 20", []string{`2:10: percent: 20 is not a percentage (write it as 20%)`}},
		{"type that returns an error", "name: a\npercent: x%", []string{`2:10: percent: no number before %`}},
		{"items", "name: a\nlinks: [{host: a}, {host: b}, {host: c}]", []string{`2:1: links: 3 items are too many (at most 2 items)`}},
		{"keys", "name: a\nsizes: {a: 1, b: 2, c: 3}", []string{`2:1: sizes: 3 keys are too many (at most 2 keys)`}},
		{"all at once, in order", "wait: 1\nname: 5\nlimits:\n  in: x\n  ot: 1\nlink:\n  port: 0.1", []string{
			`1:7: wait: 1 is not a duration (add the unit: 1s, 1m, 1h or 1d)`, `2:7: name: 5 is not text (put it in quotes: "5")`,
			`4:7: in: "x" is not a whole number`, `5:3: limits: unknown key "ot" (did you mean "out"?)`,
			`6:1: link: "host" is missing (Where to)`, `7:9: port: 0.1 is not a whole number`,
		}},

		{"anchor", "name: &x a", []string{`1:7: anchors (&) are not allowed (a text that begins with & is put in quotes)`}},
		{"alias", "name: a\nnote: *x", []string{`2:7: aliases (*) are not allowed (a text that begins with * is put in quotes)`}},
		{"merge key", "name: a\n<<: {count: 1}", []string{`2:1: merge keys (<<) are not allowed (write the keys out)`}},
		{"tag", "name: !!str 5", []string{`1:7: tags (!) are not allowed (a text that begins with ! is put in quotes)`, `1:13: name: 5 is not text (put it in quotes: "5")`}},
		{"directive", "%YAML 1.2\n---\nname: a", []string{`1:1: directives (%) are not allowed`}},
		{"two documents", "name: a\n---\nname: b", []string{`2:1: a second document begins here; a file holds one (put it in a file of its own)`}},
		{"complex key", "name: a\n? [x]\n: y", []string{`3:1: this is not YAML: found an invalid key for this map`}},
		{"empty", "# nothing\n", []string{`1:1: the file is empty`}},
		{"no map", "- a", []string{`1:1: a list is found where a map of keys is expected`}},
		{"tab", "limits:\n\tin: 1", []string{"2:1: this is not YAML: found character '\t' that cannot start any token (indent with spaces, not with tabs)"}},
		{"colon in text", "name: a: b", []string{`1:7: this is not YAML: mapping value is not allowed in this context (put a text with a colon in quotes; the keys of a map begin in the same column)`}},
		{"open bracket", "words: [a\nname: b", []string{`2:1: this is not YAML: ',' or ']' must be specified (close the bracket, or put the text in quotes)`}},
		{"open quotes", "name: \"a\ncount: 1", []string{`1:7: this is not YAML: could not find end character of double-quoted text (close the quotes)`}},
		{"not UTF-8", "name: a\nnote: \xff", []string{`2:7: the file is not text in UTF-8`}},
		{"control character", "name: a\nnote: \x00", []string{`2:7: the character U+0000 is not allowed (write "\u0000" in double quotes)`}},
		{"too deep, brackets", strings.Repeat("[", 100), []string{`1:65: lists and maps are nested deeper than 64 levels`}},
		{"too deep, hyphens", strings.Repeat("- ", 100), []string{`1:129: lists and maps are nested deeper than 64 levels`}},
		{"too deep, JSON", strings.Repeat("[", 100) + strings.Repeat("]", 100), []string{`1:65: lists and maps are nested deeper than 64 levels`}},
		{"too large", strings.Repeat("a", 1<<20+1), []string{`1:1: the file has 1048577 bytes; the most is 1048576 (split it)`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var into sample
			_, err := Decode("f", []byte(c.file), &into, Options{})
			got := ""
			if err != nil {
				got = err.Error()
			}
			if want := "f:" + strings.Join(c.want, "\nf:"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// There is a bound on findings, and what lies beyond it is counted.
func TestErrorsBounded(t *testing.T) {
	var into sample
	_, err := Decode("f", []byte("name: a\nwords: ["+strings.Repeat("x, ", 500)+"]"), &into, Options{})
	var all Errors
	if !errors.As(err, &all) || len(all) != maxFindings+1 || all[maxFindings].Message != "and 300 more; correct these first" {
		t.Errorf("%d findings, the last: %v", len(all), all[len(all)-1])
	}
}

func TestErrorParts(t *testing.T) {
	var into sample
	_, err := Decode("f", []byte("name: a\nlinks: [{host: a}, {hots: b}]\n"), &into, Options{})
	var all Errors
	if !errors.As(err, &all) || len(all) != 1 {
		t.Fatal(err)
	}
	want := Error{
		File: "f", Line: 2, Column: 21, Path: "links[1].hots", Text: "hots", Message: `links[1]: unknown key "hots"`,
		Hint: `did you mean "host"?`, Source: "links: [{host: a}, {hots: b}]",
	}
	if all[0] != want {
		t.Errorf("got  %#v\nwant %#v", all[0], want)
	}
	const report = `f:2:21: links[1]: unknown key "hots" (did you mean "host"?)
    2 | links: [{host: a}, {hots: b}]
      |                     ^^^^
`
	if got := all.Report(); got != report {
		t.Errorf("got\n%s\nwant\n%s", got, report)
	}
	long := Error{Line: 1, Column: 201, Text: "xyz", Source: strings.Repeat("a", 200) + "xyz" + strings.Repeat("b", 200)}
	const excerpt = "    1 | aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaxyzbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n" +
		"      |                                                             ^^^"
	if got := long.Excerpt(); got != excerpt {
		t.Errorf("got\n%s\nwant\n%s", got, excerpt)
	}
}

// Those who know more report by path; what follows from an error that decoding
// found is dropped.
func TestErrorAt(t *testing.T) {
	const file = "name: a\nlinks:\n  - host: x\n    port: many\n  - prot: 1\nlimits: {in: 1}\n"
	var into sample
	doc := Parse("f", []byte(file), Options{})
	doc.Decode(&into)
	for _, path := range []string{"links[0].host", "links[0].port", "links[0]", "links[1].host", "links[7].host", "limits.out", "nothing.at[3].all", "limits", "count"} {
		doc.ErrorAt(ParsePath(path), "%s is bad", path)
	}
	doc.WarnAt([]any{"name"}, "odd")
	doc.WarnAt([]any{"links", 0, "port"}, "odd")
	want := []string{
		`f:1:1: count is bad`, `f:1:1: nothing.at[3].all is bad`,
		`f:2:1: links[7].host is bad`, `f:3:11: links[0].host is bad`, `f:4:11: port: "many" is not a whole number`,
		`f:5:5: links[1]: "host" is missing (Where to)`, `f:5:5: links[1]: unknown key "prot" (did you mean "port"?)`,
		`f:6:1: limits is bad`, `f:6:1: limits.out is bad`,
	}
	if got := doc.Err().Error(); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	if got := doc.Warnings().Error(); got != "f:1:7: odd" {
		t.Errorf("warnings: %s", got)
	}
	if line, column := doc.Position([]any{"links", 1, "prot"}); line != 5 || column != 11 {
		t.Errorf("position %d:%d", line, column)
	}
}

func TestPath(t *testing.T) {
	for text, path := range map[string][]any{
		"":                 nil,
		"a":                {"a"},
		"routes[2].prefix": {"routes", 2, "prefix"},
		"a.b[0][1]":        {"a", "b", 0, 1},
		"[3].x":            {3, "x"},
	} {
		if got := ParsePath(text); !reflect.DeepEqual(got, path) || PathText(path) != text {
			t.Errorf("%q: %v, %q", text, got, PathText(path))
		}
	}
}

func TestDidYouMean(t *testing.T) {
	known := []string{"reenter", "time_delay", "entry_limits", "on"}
	for word, want := range map[string]string{
		"reentr": ` (did you mean "reenter"?)`, "time-delay": ` (did you mean "time_delay"?)`, "timeDelay": ` (did you mean "time_delay"?)`,
		"entry_limit": ` (did you mean "entry_limits"?)`, "no": ` (did you mean "on"?)`, "colour": "", "": "", "Reenter": ` (did you mean "reenter"?)`,
	} {
		if got := DidYouMean(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"0": 0, "90s": 90 * time.Second, "24h": 24 * time.Hour, "7d": 168 * time.Hour, "1d12h": 36 * time.Hour,
		"1w1d": 192 * time.Hour, "1.5d": 36 * time.Hour, "10ms": 10 * time.Millisecond, "5µs": 5 * time.Microsecond,
	} {
		if got, err := ParseDuration(s); got != want || err != nil {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "1", "d", "-1d", "1d ", "1x", "1.2.3d", ".d", "1e3s", "99999999999w", "200000000h200000000h", "9999999h9999999d", "1dd", "1d-1h"} {
		if got, err := ParseDuration(s); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
}
