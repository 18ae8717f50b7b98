package flowengine

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestCoerceList(t *testing.T) {
	for _, tc := range []struct {
		given any
		want  []string
	}{
		{[]string{"a", " b ", ""}, []string{"a", "b"}},
		{[]any{"a", int64(1), 2.5, true}, []string{"a", "1", "2.5", "true"}},
		{`["a", "b,c", 1.50, ""]`, []string{"a", "b,c", "1.50"}},
		{"red, blue,,green ", []string{"red", "blue", "green"}},
		{"one", []string{"one"}}, {int64(3), []string{"3"}}, {2.5, []string{"2.5"}}, {true, []string{"true"}},
		{TextValue("a,b"), []string{"a", "b"}}, {ListValue([]string{"x"}), []string{"x"}},
		{time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC), []string{"2026-05-04T00:00:00Z"}},
		{"", nil}, {" , ", nil}, {[]string{}, nil}, {[]any{nil}, nil}, {"[]", nil}, {nil, nil},
	} {
		v, err := Coerce(tc.given, List)
		if err != nil || !reflect.DeepEqual(v.List(), tc.want) {
			t.Errorf("%#v: %q, %v", tc.given, v.List(), err)
		}
		if len(tc.want) == 0 && v != (Value{}) {
			t.Errorf("%#v: an empty list is not unset: %#v", tc.given, v)
		}
	}
	for given, want := range map[any]string{
		"[a":                                 `"[a" is not a list: a list such as ["a", "b"] or a, b is expected`,
		`["a"] b`:                            `"[\"a\"] b" is not a list: a list such as ["a", "b"] or a, b is expected`,
		`[["a"]]`:                            `"[[\"a\"]]" is not a list: item 1 is no text`,
		`[{}]`:                               `"[{}]" is not a list: item 1 is no text`,
		strings.Repeat("a,", MaxListItems+1): `"101 items" is not a list: a list has at most 100 items`,
		strings.Repeat("x", MaxText):         `it is longer than 4096 bytes`,
	} {
		if _, err := Coerce(given, List); err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "102 items", "101 items"), want) {
			t.Errorf("%.20v: %v", given, err)
		}
	}
	list := ListValue([]string{"a", "b"})
	if v, err := Coerce(list, Text); err != nil || v != TextValue("a, b") {
		t.Errorf("as text: %v, %v", v, err)
	}
	if _, err := Coerce(list, Whole); err == nil || err.Error() != `"a, b" is not a whole_number: it is a list` {
		t.Errorf("as number: %v", err)
	}
	if list.String() != `["a","b"]` || !reflect.DeepEqual(list.Any(), []string{"a", "b"}) || TypeNamed("list") != List {
		t.Error(list.String(), list.Any())
	}
}

// A list comes back as it was, and equal lists are equal for ==.
func TestListRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOfN(rapid.StringN(1, 10, -1), 1, 10).Draw(t, "items")
		v := ListValue(items)
		if got := v.List(); !reflect.DeepEqual(got, items) {
			t.Fatalf("%q: %q", items, got)
		}
		if v != ListValue(v.List()) {
			t.Fatal("not canonical")
		}
		coerced, err := Coerce(v.String(), List)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Coerce(coerced.String(), List)
		if err != nil || again != coerced {
			t.Fatalf("%v: %v, %v", v, again, err)
		}
	})
}

// A3: what is wrong with an attribute is said in words.
func TestSchemaCoerce(t *testing.T) {
	schema := testSchema(t)
	long := func(n int) string { return strings.Repeat("č", n) }
	for _, tc := range []struct {
		name  string
		given any
		want  string // the value, or the error
	}{
		{"firstName", long(255), long(255)}, {"firstName", long(256), `it is longer than 255 characters`},
		{"lastName", long(255), long(255)}, {"lastName", long(256), `it is longer than 255 characters`},
		{"middleName", long(51), `it is longer than 50 characters`}, {"address", long(51), `it is longer than 50 characters`},
		{"city", long(51), `it is longer than 50 characters`}, {"country", long(51), `it is longer than 50 characters`},
		{"city", long(50), long(50)}, {"gender", "female", "female"}, {"externalId", long(257), `it is longer than 256 characters`},
		{"birthDate", "1990-12-31", "1990-12-31"}, {"birthDate", "31.12.1990", `a day as YYYY-MM-DD is expected`},
		{"preferredLanguage", "HR", "hr"}, {"preferredLanguage", "pt_br", "pt-BR"}, {"preferredLanguage", "zh-Hant-TW", "zh-Hant-TW"},
		{"preferredLanguage", "english", `"english" is not a text: a language such as hr or pt-BR is expected (BCP 47)`},
		{"timezone", "Europe/Zagreb", "Europe/Zagreb"}, {"timezone", "Zagreb", `"Zagreb" is not a text: the name of a time zone such as Europe/Zagreb is expected (IANA)`},
		{"birthDate", "1990-02-30", `"1990-02-30" is not a date: February 1990 has no day 30`}, {"birthDate", "1990-13-01", `there is no month 13; a day as YYYY-MM-DD is expected`},
		{"birthDate", "2023-02-29", `February 2023 has no day 29`}, {"birthDate", "2024-02-29", "2024-02-29"},
		{"gender", "x\xff", `it is not UTF-8`}, {"shoeSize", "4 2", `"4 2" is not a whole_number: digits without a point are expected`},
		{"preferredLanguage", "", ""}, {"shoeSize", "42", "42"}, {"firstName", nil, ""},
		{"shoeSzie", 1, `there is no attribute "shoeSzie" (did you mean "shoeSize"?)`},
		{"phone", "1", `attribute "phone" belongs to every person and cannot be set`},
	} {
		v, err := schema.Coerce(tc.name, tc.given)
		got := v.String()
		if err != nil {
			if got = err.Error(); strings.HasSuffix(got, tc.want) {
				continue
			}
		}
		if got != tc.want {
			t.Errorf("%s %.20v: %s", tc.name, tc.given, got)
		}
	}
}

func TestSchemaDeclarations(t *testing.T) {
	s, err := NewSchema(Attribute{"firstName", Text}, Attribute{"birthDate", Date}, Attribute{"colours", List})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Declared(); len(got) != 1 || got[0] != (Attribute{"colours", List}) {
		t.Errorf("declared: %v", got)
	}
	if s.Writable("city") != Text || s.Writable("birthDate") != Date || s.Writable("phone") != Unset || s.Type("phone") != Text {
		t.Error("what can be written")
	}
	for want, list := range map[string][]Attribute{
		`attribute "birthDate": every person has it already, as a date; leave the declaration out or choose another name`: {{"birthDate", Text}},
		`attribute "phone": every person has it already; choose another name`:                                             {{"phone", Text}},
		`attribute "firstName" is declared twice`:                                                                         {{"firstName", Text}, {"firstName", Text}},
		`attribute "x" is declared twice`:                                                                                 {{"x", Text}, {"x", Whole}},
	} {
		if _, err := NewSchema(list...); err == nil || err.Error() != want {
			t.Errorf("%v: %v", list, err)
		}
	}
}
