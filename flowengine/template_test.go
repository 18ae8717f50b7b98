package flowengine

import (
	"strings"
	"testing"
	"time"
)

func testSchema(t testing.TB) *Schema {
	t.Helper()
	s, err := NewSchema(
		Attribute{"firstName", Text}, Attribute{"shoeSize", Whole}, Attribute{"balance", Decimal},
		Attribute{"vip", Boolean}, Attribute{"birthDate", Date}, Attribute{"lastVisit", DateTime}, Attribute{"timezone", Text},
	)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var testNow = time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)

func testPassage() *Passage {
	p := &Person{ID: NewPersonID(Address{Phone, "385911234567"}, 0), Created: testNow.AddDate(-1, 0, 0), Addresses: []Address{{Phone, "385911234567"}}}
	p.Attrs.Set("firstName", TextValue("Ana"))
	p.Attrs.Set("shoeSize", WholeValue(42))
	p.Attrs.Set("balance", Value{Type: Decimal, Num: 12_345_678_500_000})
	p.Attrs.Set("birthDate", DateValue(time.Date(1990, 12, 31, 0, 0, 0, 0, time.UTC)))
	p.AddTag(NewTag("Gold"))
	run := &Run{Flow: "f", Number: 1, Inbound: &Heard{Channel: "sms", From: "385911234567", To: "38591000001", Text: "size 42,5 on 24.12.2026", Keyword: "size"}}
	run.Vars.Set("code", TextValue("X1"))
	v := &Version{Flow: "f"}
	v.Settings.location, _ = time.LoadLocation("Europe/Zagreb")
	return &Passage{Version: v, Person: p, Run: run, Now: testNow, result: new(Result)}
}

func TestTemplateRender(t *testing.T) {
	schema := testSchema(t)
	for _, tc := range []struct{ source, want string }{
		{"plain } text", "plain } text"},
		{"Hi {{ person.firstName }}!", "Hi Ana!"},
		{"Hi {{ person.lastVisit | default: 'never' }}", "Hi never"},
		{"{{ person.balance }}", "12345678.5"}, // never 1.23456785e+07
		{"{{ person.shoeSize | plus: 1 }}", "43"},
		{"{{ person.balance | divided_by: 2 | round: 1 }}", "6172839.3"},
		{"{{ person.birthDate }} {{ person.birthDate | date: '%d.%m.%Y' }}", "1990-12-31 31.12.1990"},
		{"{% if person.birthDate < '2000-01-01' %}old{% else %}young{% endif %}", "old"},
		{"{% if person.shoeSize > 40 and person.balance >= 1 %}big{% endif %}", "big"},
		{"{% if person.vip %}vip{% else %}no{% endif %}", "no"},
		{"{% unless person.tags contains 'Gold' %}x{% endunless %}g", "g"},
		{"{% case person.firstName %}{% when 'Eva' %}e{% when 'Ana' %}a{% endcase %}", "a"},
		{"{% assign n = person.firstName | upcase %}{{ n }}", "ANA"},
		{"{{ now | date: '%H:%M' }}", "12:00"}, // Zagreb in summer
		{"{{ inbound.number }}/{{ inbound.date }}/{{ inbound.keyword }}/{{ inbound.to }}", "42.5/2026-12-24/size/38591000001"},
		{"{{ vars.code }}", "X1"},
		{"{{ person.firstName | append: '?' | prepend: '<' | replace: 'n', 'N' | size }}", "5"},
		{"{{ 'čokolada' | capitalize | truncate: 5, '…' }}", "Čoko…"},
		{"{{ 'abcdef' | slice: -3, 2 }}", "de"},
		{"{% raw %}{{ person.nothing }}{% endraw %}", "{{ person.nothing }}"},
		{"{% comment %}{{ person.nothing }}{% endcomment %}a", "a"},
		{"a  {{- person.shoeSize -}}  b", "a42b"},
	} {
		tpl, err := CompileTemplate(tc.source, schema, false)
		if err != nil {
			t.Errorf("%q: %v", tc.source, err)
			continue
		}
		if got, err := tpl.Render(testPassage()); err != nil || got != tc.want {
			t.Errorf("%q: got %q, %v; want %q", tc.source, got, err, tc.want)
		}
	}
}

// A missing value is an error, through every filter but default; on demand it
// is nothing.
func TestTemplateMissing(t *testing.T) {
	schema := testSchema(t)
	for _, source := range []string{"Hi {{ person.lastVisit }}", "{{ person.email | upcase | append: 'x' }}", "{{ vars.other }}"} {
		tpl, err := CompileTemplate(source, schema, false)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tpl.Render(testPassage()); err == nil {
			t.Errorf("%q: rendered %q", source, got)
		}
		if tpl, err = CompileTemplate(source, schema, true); err != nil {
			t.Fatal(err)
		}
		if got, err := tpl.Render(testPassage()); err != nil || strings.Contains(got, "nil") {
			t.Errorf("%q: lenient: %q, %v", source, got, err)
		}
	}
}

func TestTemplateErrors(t *testing.T) {
	schema := testSchema(t)
	for source, want := range map[string]string{
		"{{ person.shoeSzie }}":                    `person has no "shoeSzie" (did you mean "shoeSize"?)`,
		"{{ persn.shoeSize }}":                     `"persn" is not known here (did you mean "person"?)`,
		"{{ person }}":                             `which part of person`,
		"{{ person.firstName | upcaes }}":          `there is no filter "upcaes" (did you mean "upcase"?)`,
		"{{ person.firstName | default }}":         `takes 1 argument, not 0`,
		"{{ person.firstName":                      `is not closed`,
		"{% for t in person.tags %}x{% endfor %}":  `no tag "for"`,
		"{% include 'x' %}":                        `no tag "include"`,
		"{% if person.vip %}x":                     `if`,
		"{% if person.vipp %}x{% endif %}":         `did you mean "vip"`,
		"{{ person.firstName person.vip }}":        ``,
		"{{ inbound.txt }}":                        `did you mean "text"`,
		"{% assign x = persn.vip %}{{ x }}":        `did you mean "person"`,
		strings.Repeat("{{ now }}", maxTemplate/8): `longer than`,
	} {
		_, err := CompileTemplate(source, schema, false)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", shorten(source), err)
		}
	}
}

// What a template makes is bounded, on every path.
func TestTemplateBounds(t *testing.T) {
	schema := testSchema(t)
	double := "{% assign a = 'xxxxxxxxxxxxxxxx' %}" + strings.Repeat("{% assign a = a | append: a %}", 60)
	for _, source := range []string{
		double + "{{ a }}", double,
		"{% assign a = 'xxxxxxxxxxxxxxxx' %}" + strings.Repeat("{% assign a = a | replace: 'x', 'xxxxxxxxxxxxxxxx' %}", 30) + "{{ a }}",
		"{% assign a = '" + strings.Repeat("x", 1000) + "' %}" + strings.Repeat("{{ a }}", 20),
		"{{ 1 | divided_by: 0 }}",
		"{{ 'a' | times: 2 }}",
	} {
		tpl, err := CompileTemplate(source, schema, false)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tpl.Render(testPassage()); err == nil {
			t.Errorf("%q rendered %d bytes", shorten(source), len(got))
		}
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add("Hi {{ person.firstName | default: 'x' }}{% if now %}a{% endif %}")
	f.Add("{{ (1..9) | size }}{% case 1 %}{% when 1, 2 %}{% endcase %}")
	schema := testSchema(f)
	f.Fuzz(func(t *testing.T, source string) {
		tpl, err := CompileTemplate(source, schema, false)
		if err != nil {
			return
		}
		if out, _ := tpl.Render(testPassage()); len(out) > max(maxRendered, maxTemplate) {
			t.Fatalf("rendered %d bytes", len(out))
		}
	})
}

func TestConstantTemplateDoesNotAllocate(t *testing.T) {
	tpl, err := CompileTemplate("Shoe size?", testSchema(t), false)
	if err != nil {
		t.Fatal(err)
	}
	x := testPassage()
	if n := testing.AllocsPerRun(100, func() { _, _ = tpl.Render(x) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTemplate(b *testing.B) {
	tpl, err := CompileTemplate("Hi {{ person.firstName | default: 'friend' }}, size {{ person.shoeSize }}?", testSchema(b), false)
	if err != nil {
		b.Fatal(err)
	}
	x := testPassage()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = tpl.Render(x)
	}
}
