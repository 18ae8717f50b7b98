package roster

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"trunkline/flowengine"
)

func testSchema(t testing.TB) *flowengine.Schema {
	t.Helper()
	s, err := flowengine.NewSchema(flowengine.Attribute{Name: "shoeSize", Type: flowengine.Whole}, flowengine.Attribute{Name: "debt", Type: flowengine.Decimal},
		flowengine.Attribute{Name: "vip", Type: flowengine.Boolean}, flowengine.Attribute{Name: "hobbies", Type: flowengine.List}, flowengine.Attribute{Name: "seen", Type: flowengine.DateTime})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// all reads a whole file: what its rows mean, and what is wrong with them.
func all(t testing.TB, text string, f Format, rename map[string]string) (changes []*flowengine.Change, wrong []string) {
	t.Helper()
	r, err := NewReader(strings.NewReader(text), f)
	if err != nil {
		return nil, []string{err.Error()}
	}
	c, err := NewColumns(testSchema(t), r.Header(), rename)
	if err != nil {
		return nil, strings.Split(err.Error(), "\n")
	}
	for {
		row, err := r.Next()
		var bad *RowError
		switch {
		case errors.Is(err, io.EOF):
			return changes, wrong
		case errors.As(err, &bad):
			wrong = append(wrong, bad.Error())
			continue
		case err != nil:
			return changes, append(wrong, err.Error())
		}
		change, bads := c.Change(row, "import")
		for i := range bads {
			wrong = append(wrong, bads[i].Error())
		}
		if change != nil {
			changes = append(changes, change)
		}
	}
}

func words(c *flowengine.Change) string {
	var b strings.Builder
	for _, a := range c.AddAddresses {
		fmt.Fprintf(&b, "%s:%s ", a.Kind, a.Value)
	}
	for _, a := range c.Set {
		fmt.Fprintf(&b, "%s=%s ", a.Name, a.Value)
	}
	for _, t := range c.AddTags {
		fmt.Fprintf(&b, "#%s ", t.Name)
	}
	for _, k := range c.Block {
		fmt.Fprintf(&b, "!%s ", k)
	}
	return strings.TrimSpace(b.String())
}

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		format     Format
		rename     map[string]string
		want       []string
	}{
		{"plain", "phone,firstName,tags\n+385 91 1,Ana,vip;new\n", CSV, nil, []string{"phone:385911 firstName=Ana #vip #new"}},
		{"names as people write them", "Phone;First Name;e-mail;Do Not Contact\n385911;Ana;a@B.hr;email\n", CSV, nil, []string{"phone:385911 email:a@b.hr firstName=Ana !email"}},
		{"mapped", "Mobile\tNotes\n385911\tx\n", CSV, map[string]string{"Mobile": "phone", "Notes": "-"}, []string{"phone:385911"}},
		{"external id", "externalId,city\ncrm-1,Split\n", CSV, nil, []string{"external:crm-1 externalId=crm-1 city=Split"}},
		{"empty cells", "\xef\xbb\xbfphone,firstName\n385911,\n", CSV, nil, []string{"phone:385911"}},
		{"of an export", "id,created,phone,shoeSize,lastName\n01,2026,385911,-3,'=A1\n", CSV, nil, []string{"phone:385911 shoeSize=-3 lastName==A1"}},
		{"types", "phone,shoeSize,debt,vip,birthDate,hobbies,seen\n385911,42,\"12,50\",true,1990-12-31,\"a, b\",2026-01-01T00:00:00Z\n", CSV, nil,
			[]string{`phone:385911 shoeSize=42 debt=12.5 vip=true birthDate=1990-12-31 hobbies=["a","b"] seen=2026-01-01T00:00:00.000Z`}},
		{"objects", `{"phone":["385911","385912"],"firstName":"Ana","shoeSize":42,"vip":false,"lastName":null,"hobbies":["a"],"tags":"vip"}` + "\n\n" + `{"email":"a@b.hr","debt":"0.1"}`, NDJSON, nil,
			[]string{`phone:385911 phone:385912 firstName=Ana shoeSize=42 vip=false lastName= hobbies=["a"] #vip`, "email:a@b.hr debt=0.1"}},
	} {
		changes, wrong := all(t, tt.text, tt.format, tt.rename)
		var got []string
		for _, c := range changes {
			got = append(got, words(c))
		}
		if !slices.Equal(got, tt.want) || wrong != nil {
			t.Errorf("%s: %q, %q", tt.name, got, wrong)
		}
	}
}

// A3: what is wrong is said with line and column, and stops no other row.
func TestReadWrong(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		format     Format
		rename     map[string]string
		rows       int
		want       []string
	}{
		{"unknown column", "phone,firstNane\n", CSV, nil, 0, []string{`column "firstNane": there is no attribute "firstNane" (did you mean "firstName"?); --map "firstNane=-" leaves it out`}},
		{"two columns of one attribute", "phone,city,City\n", CSV, nil, 0, []string{"two columns are city"}},
		{"nothing that finds a person", "firstName\n", CSV, nil, 0, []string{"no column finds the person: one of phone, email, push, chat, external is needed; --map COLUMN=phone says which it is"}},
		{"mapping of nothing", "phone\n", CSV, map[string]string{"fone": "phone"}, 0, []string{`there is no column "fone" to map (did you mean "phone"?)`}},
		{"empty", "", CSV, nil, 0, []string{"the file is empty; its first line has to name the columns"}},
		{
			"values", "phone,shoeSize,birthDate,city\n385911,big,1990-02-30," + strings.Repeat("x", 51) + "\n385912,42,,\n12,,,\n", CSV, nil, 1,
			[]string{
				`line 2: shoeSize: "big" is not a whole_number: digits without a point are expected`,
				`line 2: birthDate: "1990-02-30" is not a date: February 1990 has no day 30`,
				`line 2: city: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…" is not a text: it is longer than 50 characters`,
				`line 4: phone: "12" is not a phone number in international form, such as +385911234567`,
			},
		},
		{"cells", "phone,city\n385911\n385912,a\nb\"c,d\n\"385913\n\",x\n385914,\n", CSV, nil, 3,
			[]string{"line 2: it has 1 cells; the header has 2", `line 4: it is not CSV: bare " in non-quoted-field`}},
		{"nobody", "phone,city\n,Split\n", CSV, nil, 0, []string{"line 2: nothing finds the person: a phone number, an e-mail address or an external id is needed"}},
		{"a quote that never ends", "phone\n\"385911\n" + strings.Repeat("385911\n", 400_000), CSV, nil, 0, []string{"line 2: the row does not end within 1 MiB; is a quote missing?"}},
		{"objects", "{\"phone\":\"385911\",\"shoeSize\":\"42\"}\n[]\n{\"phone\":\"385911\"} x\n{\"phone\":1}\n{\"phone\":\"385912\",\"hat\":1}\n{\"phone\":\"1\",\"phone\":\"2\"}\n", NDJSON, nil, 0, []string{
			`line 1: shoeSize: "42" is not a whole_number`, `line 2: a JSON object is expected`, `line 3: there is more after the end of the object`,
			`line 4: phone: a string or a list of strings is expected`, `line 5: hat: there is no attribute "hat"`, `line 6: "phone" is there twice`,
		}},
	} {
		changes, wrong := all(t, tt.text, tt.format, tt.rename)
		if len(changes) != tt.rows || !slices.Equal(wrong, tt.want) {
			t.Errorf("%s: %d rows, %q", tt.name, len(changes), wrong)
		}
	}
}

// Reading goes on in the midst of a file as if it had never stopped.
func TestResume(t *testing.T) {
	for f, text := range map[Format]string{
		CSV:    "phone,city\n1,a\n\"2\",\"b\nb\"\n\n3,c\n4,d\n",
		NDJSON: "{\"phone\":\"1\"}\n\n{\"phone\":\"2\"}\n{\"phone\":\"3\"}",
	} {
		var want []Row
		for stop := range 6 {
			x, err := NewReader(strings.NewReader(text), f)
			if err != nil {
				t.Fatal(err)
			}
			var got []Row
			for range stop {
				if row, err := x.Next(); err == nil {
					got = append(got, *row)
				}
			}
			x = x.Resume(strings.NewReader(text[x.Place().Offset:]), x.Place())
			for row, err := x.Next(); err == nil; row, err = x.Next() {
				got = append(got, *row)
			}
			if stop == 0 {
				want = got
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s, after %d: %v, want %v", f, stop, got, want)
			}
		}
	}
}

// What is exported is imported as it was, and no cell is a formula.
func TestRoundTrip(t *testing.T) {
	schema := testSchema(t)
	rapid.Check(t, func(t *rapid.T) {
		p := flowengine.Person{Created: time.UnixMilli(1e12).UTC()}
		p.AddAddress(flowengine.Address{Kind: flowengine.Phone, Value: rapid.StringMatching(`[1-9][0-9]{3,9}`).Draw(t, "phone")})
		p.AddAddress(flowengine.Address{Kind: flowengine.External, Value: rapid.StringMatching(`['=+@;\[a-z"-]{1,10}`).Draw(t, "external")})
		for range rapid.IntRange(0, 3).Draw(t, "tags") {
			p.AddTag(flowengine.NewTag(rapid.StringMatching(`['=+@;\[a-z"-]{1,10}`).Draw(t, "tag")))
		}
		text := rapid.StringMatching(`[^ \t\r\n\v\f][^\r]{0,20}[^ \r\n\t\v\f]`).Draw(t, "text")
		if v, err := schema.Coerce("firstName", text); err == nil && strings.TrimSpace(text) == text {
			p.Attrs.Set("firstName", v)
		}
		p.Attrs.Set("shoeSize", flowengine.WholeValue(rapid.Int64().Draw(t, "whole")))
		p.Attrs.Set("vip", flowengine.BooleanValue(rapid.Bool().Draw(t, "bool")))
		p.Attrs.Set("hobbies", flowengine.ListValue(rapid.SliceOfN(rapid.StringMatching(`[a-z,;"=]{1,5}`), 0, 3).Draw(t, "list")))
		for _, f := range []Format{CSV, NDJSON} {
			var b bytes.Buffer
			w, err := NewWriter(&b, f, schema)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(w.Write(&p), w.Flush()); err != nil {
				t.Fatal(err)
			}
			r, err := NewReader(&b, f)
			if err != nil {
				t.Fatal(err)
			}
			c, err := NewColumns(schema, r.Header(), nil)
			if err != nil {
				t.Fatal(err)
			}
			row, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			for i, cell := range row.Cells {
				if cell != "" && strings.ContainsRune(formula, rune(cell[0])) && r.Header()[i] != "shoeSize" {
					t.Fatalf("%q is a formula", cell)
				}
			}
			change, wrong := c.Change(row, "import")
			if wrong != nil {
				t.Fatal(wrong)
			}
			var got flowengine.Person
			for _, a := range change.AddAddresses {
				got.AddAddress(a)
			}
			for _, a := range change.Set {
				got.Attrs.Set(a.Name, a.Value)
			}
			for _, tag := range change.AddTags {
				got.AddTag(tag)
			}
			if fmt.Sprint(got.Addresses, got.Attrs, got.Tags) != fmt.Sprint(p.Addresses, p.Attrs, p.Tags) {
				t.Fatalf("%s: got %+v\nwant %+v", f, got, p)
			}
		}
	})
}

// No file makes the reader panic or stand still, and what it says of lines holds.
func FuzzRead(f *testing.F) {
	f.Add("phone,firstName\n385911,Ana\n", true)
	f.Add("phone;tags\n\"385911\n\";a;b\n", true)
	f.Add("phone\tcity\n'=1\t\"x\"\"\n", true)
	f.Add("{\"phone\":[\"385911\"],\"shoeSize\":1e3}\n{", false)
	f.Fuzz(func(t *testing.T, text string, isCSV bool) {
		format := NDJSON
		if isCSV {
			format = CSV
		}
		r, err := NewReader(strings.NewReader(text), format)
		if err != nil {
			return
		}
		c, err := NewColumns(testSchema(t), r.Header(), nil)
		if err != nil {
			if c, err = NewColumns(testSchema(t), nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		lines := strings.Count(text, "\n") + 1
		for range lines + 1 {
			at := r.Place()
			row, err := r.Next()
			var bad *RowError
			switch {
			case errors.As(err, &bad):
				if bad.Line < 1 || bad.Line > lines {
					t.Fatalf("line %d of %d", bad.Line, lines)
				}
			case err != nil:
				return
			default:
				if row.Line < at.Line || row.Line > lines || r.Place().Offset > int64(len(text)) || r.Place().Offset <= at.Offset {
					t.Fatalf("row of line %d, from %+v to %+v", row.Line, at, r.Place())
				}
				if change, wrong := c.Change(row, "x"); (change == nil) == (wrong == nil) {
					t.Fatal("neither a change nor an error, or both")
				}
			}
		}
		t.Fatal("the reader does not come to an end")
	})
}
