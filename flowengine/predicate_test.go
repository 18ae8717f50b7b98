package flowengine

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func predicateSchemaOf(t testing.TB) *Schema {
	t.Helper()
	s, err := NewSchema(
		Attribute{"name", Text}, Attribute{"shoeSize", Whole}, Attribute{"balance", Decimal}, Attribute{"vip", Boolean},
		Attribute{"expiry", Date}, Attribute{"lastVisit", DateTime}, Attribute{"colours", List},
	)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustPredicate(t testing.TB, source string) *Predicate {
	t.Helper()
	p, err := ParsePredicate("p.yaml", []byte(source), predicateSchemaOf(t))
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	return p
}

func zoneNamed(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// predicateNow is noon in Zagreb, in summer.
var predicateNow = time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)

func personWith(t testing.TB, attrs map[string]any) *Person {
	t.Helper()
	schema := predicateSchemaOf(t)
	p := &Person{ID: NewPersonID(Address{Phone, "385911234567"}, 0), Created: predicateNow.AddDate(0, 0, -3)}
	for name, given := range attrs {
		switch name {
		case attrPhone:
			p.AddAddress(Address{Phone, given.(string)})
		case attrEmail:
			p.AddAddress(Address{Email, given.(string)})
		case fieldTags:
			for _, tag := range given.([]string) {
				p.AddTag(NewTag(tag))
			}
		default:
			v, err := schema.Coerce(name, given)
			if err != nil {
				t.Fatal(err)
			}
			p.Attrs.Set(name, v)
		}
	}
	return p
}

// Every operator of every type: what matches, what does not, and what a missing
// value gives.
func TestPredicateOperators(t *testing.T) {
	person := personWith(t, map[string]any{
		"name": "Ana Marić", "shoeSize": 42, "balance": "12.50", "vip": true, "birthDate": "1990-05-04",
		"expiry": "2026-05-07", "lastVisit": "2026-05-04T08:30:00Z", "colours": []string{"Red", `"Blue"`},
		"phone": "385911234567", "email": "Ana.Maric@Example.com", "country": "HR", "tags": []string{"VIP", "Gold"},
	})
	nobody := &Person{ID: person.ID}
	zone := zoneNamed(t, "Europe/Zagreb")
	const always, never = true, false
	for _, tc := range []struct {
		yes, no string // conditions that hold and do not hold of the person; "-": none
		missing bool   // what yes gives of a person without the value
	}{
		// text
		{`attr: name, op: is, value: "ANA MARIĆ"`, `attr: name, op: is, value: Ana`, never},
		{`attr: name, op: is, value: "Ana Mari\u0063\u0301"`, `attr: name, op: is, value: "ana marić", case: sensitive`, never}, // NFC
		{`attr: name, op: is, value: "Ana Marić", case: sensitive`, `attr: name, op: is, value: "Ana Maric"`, never},
		{`attr: name, op: is_not, value: Eva`, `attr: name, op: is_not, value: "ana marić"`, always},
		{`attr: name, op: contains, value: "A M"`, `attr: name, op: contains, value: "a m", case: sensitive`, never},
		{`attr: name, op: contains, value: "RIĆ"`, `attr: name, op: contains, value: x`, never},
		{`attr: name, op: starts_with, value: ana`, `attr: name, op: starts_with, value: marić`, never},
		{`attr: name, op: ends_with, value: MARIĆ`, `attr: name, op: ends_with, value: ana`, never},
		{`attr: name, op: is_not_empty`, `attr: name, op: is_empty`, never},
		{`attr: name, op: matches, value: "^a.*ić$"`, `attr: name, op: matches, value: "^a", case: sensitive`, never},
		{`attr: country, op: in, value: [si, hr]`, `attr: country, op: in, value: [SI, AT]`, never},
		{`attr: country, op: in, value: [HR], case: sensitive`, `attr: country, op: in, value: [hr], case: sensitive`, never},
		{`attr: id, op: is_not_empty`, `attr: id, op: is, value: x`, always},
		// whole_number
		{`attr: shoeSize, op: is, value: 42`, `attr: shoeSize, op: is, value: 41`, never},
		{`attr: shoeSize, op: is_not, value: 41`, `attr: shoeSize, op: is_not, value: 42`, always},
		{`attr: shoeSize, op: lt, value: 43`, `attr: shoeSize, op: lt, value: 42`, never},
		{`attr: shoeSize, op: lte, value: 42`, `attr: shoeSize, op: lte, value: 41`, never},
		{`attr: shoeSize, op: gte, value: 42`, `attr: shoeSize, op: gte, value: 43`, never},
		{`attr: shoeSize, op: gt, value: 41`, `attr: shoeSize, op: gt, value: 42`, never},
		{`attr: shoeSize, op: between, value: [42, 43]`, `attr: shoeSize, op: between, value: [43, 50]`, never},
		{`attr: shoeSize, op: is_not_empty`, `attr: shoeSize, op: is_empty`, never},
		// decimal, exact
		{`attr: balance, op: is, value: 12.5`, `attr: balance, op: is, value: 12.500001`, never},
		{`attr: balance, op: is_not, value: 12`, `attr: balance, op: is_not, value: 12.500`, always},
		{`attr: balance, op: gt, value: 12.499999`, `attr: balance, op: gt, value: 12.5`, never},
		{`attr: balance, op: gte, value: "12,5"`, `attr: balance, op: gte, value: 13`, never},
		{`attr: balance, op: lt, value: 13`, `attr: balance, op: lt, value: 12.5`, never},
		{`attr: balance, op: lte, value: 12.5`, `attr: balance, op: lte, value: 1e1`, never},
		{`attr: balance, op: between, value: [-1, 12.5]`, `attr: balance, op: between, value: [12.6, 13]`, never},
		{`attr: balance, op: is_not_empty`, `attr: balance, op: is_empty`, never},
		// boolean
		{`attr: vip, op: is, value: true`, `attr: vip, op: is, value: false`, never},
		{`attr: vip, op: is_not, value: false`, `attr: vip, op: is_not, value: true`, always},
		// date: 7 May, seen from 4 May
		{`attr: expiry, op: is, value: 2026-05-07`, `attr: expiry, op: is, value: 2026-05-08`, never},
		{`attr: expiry, op: is_not, value: 2026-05-08`, `attr: expiry, op: is_not, value: 2026-05-07`, always},
		{`attr: expiry, op: before, value: 2026-05-08`, `attr: expiry, op: before, value: 2026-05-07`, never},
		{`attr: expiry, op: until, value: 2026-05-07`, `attr: expiry, op: until, value: 2026-05-06`, never},
		{`attr: expiry, op: since, value: 2026-05-07`, `attr: expiry, op: since, value: 2026-05-08`, never},
		{`attr: expiry, op: after, value: 2026-05-06`, `attr: expiry, op: after, value: 2026-05-07`, never},
		{`attr: expiry, op: is_not_empty`, `attr: expiry, op: is_empty`, never},
		{`attr: expiry, op: will_be_in, value: 3`, `attr: expiry, op: will_be_in, value: 2`, never},
		{`attr: expiry, op: will_be_in, value: 3d`, `attr: expiry, op: is_today`, never},
		{`attr: expiry, op: will_be_within, value: 3`, `attr: expiry, op: will_be_within, value: 2`, never},
		{`attr: expiry, op: will_be_more_than, value: 2`, `attr: expiry, op: will_be_more_than, value: 3`, never},
		{`attr: expiry, op: is, value: "05-07", anniversary: true`, `attr: expiry, op: is, value: 1990-05-08, anniversary: true`, never},
		{`attr: expiry, op: before, value: "12-31", anniversary: true`, `attr: expiry, op: before, value: "01-01", anniversary: true`, never},
		{`attr: expiry, op: is_not_empty`, `attr: expiry, op: was_today`, never},
		{`attr: expiry, op: is_not_empty`, `attr: expiry, op: was, value: 3`, never},
		{`attr: expiry, op: is_not_empty`, `attr: expiry, op: was_within, value: 100`, never},
		{`attr: expiry, op: is_not_empty`, `attr: expiry, op: was_more_than, value: 0`, never},
		// birthDate: relative operators mean the birthday (E11)
		{`attr: birthDate, op: is_today`, `attr: birthDate, op: is_today, anniversary: false`, never},
		{`attr: birthDate, op: was_today`, `attr: birthDate, op: will_be_in, value: 1`, never},
		{`attr: birthDate, op: will_be_within, value: 0`, `attr: birthDate, op: was, value: 1`, never},
		{`attr: birthDate, op: was_within, value: 0`, `attr: birthDate, op: will_be_more_than, value: 0`, never},
		{`attr: birthDate, op: was_more_than, value: 6570, anniversary: false`, `attr: birthDate, op: was_more_than, value: 1`, never},
		{`attr: birthDate, op: is, value: 1990-05-04`, `attr: birthDate, op: is, value: 2026-05-04`, never},
		// date_time: half past ten in Zagreb, an hour and a half ago
		{`attr: lastVisit, op: is, value: "2026-05-04T10:30:00+02:00"`, `attr: lastVisit, op: is, value: "2026-05-04T08:30:01Z"`, never},
		{`attr: lastVisit, op: is, value: 2026-05-04`, `attr: lastVisit, op: is, value: 2026-05-05`, never},
		{`attr: lastVisit, op: is, value: "2026-05-04 10:30"`, `attr: lastVisit, op: is, value: "2026-05-04 08:30"`, never},
		{`attr: lastVisit, op: is_not, value: 2026-05-05`, `attr: lastVisit, op: is_not, value: 2026-05-04`, always},
		{`attr: lastVisit, op: before, value: "2026-05-04T08:30:01Z"`, `attr: lastVisit, op: before, value: 2026-05-04`, never},
		{`attr: lastVisit, op: until, value: 2026-05-04`, `attr: lastVisit, op: until, value: "2026-05-04T08:29:59Z"`, never},
		{`attr: lastVisit, op: since, value: "2026-05-04T08:30:00Z"`, `attr: lastVisit, op: since, value: 2026-05-05`, never},
		{`attr: lastVisit, op: after, value: 2026-05-03`, `attr: lastVisit, op: after, value: 2026-05-04`, never},
		{`attr: lastVisit, op: is_not_empty`, `attr: lastVisit, op: is_empty`, never},
		{`attr: lastVisit, op: is_today`, `attr: lastVisit, op: will_be_in, value: 0`, never},
		{`attr: lastVisit, op: was_today`, `attr: lastVisit, op: will_be_within, value: 5`, never},
		{`attr: lastVisit, op: was, value: 0`, `attr: lastVisit, op: was, value: 1`, never},
		{`attr: lastVisit, op: was_within, value: 90m`, `attr: lastVisit, op: was_within, value: 89m`, never},
		{`attr: lastVisit, op: was_more_than, value: 89m`, `attr: lastVisit, op: was_more_than, value: 0`, never},
		{`attr: lastVisit, op: was_within, value: 0`, `attr: lastVisit, op: will_be_more_than, value: 1h`, never},
		{`attr: lastVisit, op: is, value: "05-04", anniversary: true`, `attr: lastVisit, op: after, value: "05-04", anniversary: true`, never},
		{`attr: created, op: was, value: 3`, `attr: created, op: was_within, value: 2`, never},
		// phone
		{`attr: phone, op: is, value: "+385 91 123-4567"`, `attr: phone, op: is, value: "385911234568"`, never},
		{`attr: phone, op: is_not, value: "385911234568"`, `attr: phone, op: is_not, value: 385911234567`, always},
		{`attr: phone, op: starts_with, value: "+38591"`, `attr: phone, op: starts_with, value: "+38592"`, never},
		{`attr: phone, op: country_is, value: hr`, `attr: phone, op: country_is, value: [SI, US]`, never},
		{`attr: phone, op: is_not_empty`, `attr: phone, op: is_empty`, never},
		// email
		{`attr: email, op: is, value: ana.maric@example.com`, `attr: email, op: is, value: ana@example.com`, never},
		{`attr: email, op: is_not, value: ana@example.com`, `attr: email, op: is_not, value: ANA.MARIC@example.com`, always},
		{`attr: email, op: domain_is, value: EXAMPLE.com`, `attr: email, op: domain_is, value: ample.com`, never},
		{`attr: email, op: domain_is, value: "@example.com"`, `attr: email, op: domain_is, value: sub.example.com`, never},
		{`attr: email, op: contains, value: MARIC`, `attr: email, op: contains, value: eva`, never},
		{`attr: email, op: is_not_empty`, `attr: email, op: is_empty`, never},
		// list
		{`attr: colours, op: has, value: red`, `attr: colours, op: has, value: re`, never},
		{`attr: colours, op: contains, value: '"blue"'`, `attr: colours, op: contains, value: red, case: sensitive`, never},
		{`attr: colours, op: has_any, value: [green, red]`, `attr: colours, op: has_any, value: [green]`, never},
		{`attr: colours, op: has_all, value: [red, '"blue"']`, `attr: colours, op: has_all, value: [red, green]`, never},
		{`attr: colours, op: is_not_empty`, `attr: colours, op: is_empty`, never},
		// tags
		{`tag: vip`, `tag: silver`, never},
		{`tag: vip, op: has`, `tag: vip, op: has_not`, never},
		{`tag: silver, op: has_not`, `tag: GOLD, op: has_not`, always},
		{`tags: [silver, gold], op: has_any`, `tags: [silver, bronze], op: has_any`, never},
		{`tags: [vip, gold], op: has_all`, `tags: [vip, silver], op: has_all`, never},
		// groups and expressions
		{`all: [{tag: vip}, {attr: vip, op: is, value: true}]`, `all: [{tag: vip}, {tag: silver}]`, never},
		{`any: [{tag: silver}, {tag: vip}]`, `any: [{tag: silver}, {tag: bronze}]`, never},
		{`not: {tag: silver}`, `not: {tag: vip}`, always},
		{`expr: "person.shoeSize > 40"`, `expr: "person.shoeSize > 42"`, never},
	} {
		for source, want := range map[string]bool{tc.yes: true, tc.no: false} {
			p := mustPredicate(t, "{"+source+"}")
			v := View{Person: person, Now: predicateNow, Zone: zone}
			if got := p.Eval(&v); got != want {
				t.Errorf("{%s}: %v of the person", source, got)
			}
		}
		v := View{Person: nobody, Now: predicateNow, Zone: zone}
		if got := mustPredicate(t, "{"+tc.yes+"}").Eval(&v); got != tc.missing && !strings.Contains(tc.yes, "attr: id") {
			t.Errorf("{%s}: %v of a missing value", tc.yes, got)
		}
	}
}

// is_empty is the one other operator that a missing value makes true.
func TestPredicateMissing(t *testing.T) {
	for f, list := range operators {
		for _, o := range list {
			if want := o.name == "is_empty" || o.name == "is_not"; o.missing != want {
				t.Errorf("family %d: %s says %v of a missing value", f, o.name, o.missing)
			}
		}
	}
	for _, name := range []string{"name", "shoeSize", "balance", "expiry", "lastVisit", "colours", "phone", "email"} {
		if !mustPredicate(t, fmt.Sprintf("{attr: %s, op: is_empty}", name)).Eval(&View{Person: new(Person), Now: predicateNow}) {
			t.Errorf("a missing %s is not empty", name)
		}
	}
}

// Variables and properties have no declared type: the operator and what it
// compares with say what is meant, and the value at hand has to fit.
func TestPredicateUntyped(t *testing.T) {
	var vars Attrs
	for name, v := range map[string]Value{
		"whole": WholeValue(3), "digits": TextValue(" 3 "), "half": {Type: Decimal, Num: 500_000}, "yes": BooleanValue(true),
		"word": TextValue("Yes"), "day": DateValue(predicateNow), "dayText": TextValue("2026-05-04"),
		"at": DateTimeValue(predicateNow), "list": ListValue([]string{"a", "3"}), "empty": TextValue(""), "truth": TextValue("true"),
	} {
		vars.Set(name, v)
	}
	event := &Happened{Name: "Bought", Props: vars}
	for source, want := range map[string]bool{
		`whole, op: gt, value: 2.5`: true, `whole, op: is, value: 3`: true, `whole, op: is, value: "3"`: true,
		`digits, op: gte, value: 3`: true, `digits, op: between, value: [1, 5]`: true, `half, op: lt, value: 0.6`: true,
		`word, op: gt, value: 1`: false, `word, op: is_not, value: 1`: true, `word, op: is, value: yes`: true,
		`yes, op: is, value: true`: true, `truth, op: is, value: true`: true, `whole, op: is, value: true`: false,
		`day, op: is, value: 2026-05-04`: true, `dayText, op: is_today`: true, `day, op: was_today`: true,
		`at, op: is, value: 2026-05-04`: true, `at, op: since, value: "2026-05-04T10:00:00Z"`: true, `at, op: was_within, value: 1h`: true,
		`word, op: is_today`: false, `whole, op: is_today`: false, `word, op: is_not, value: 2026-05-04`: true,
		`list, op: has, value: A`: true, `list, op: contains, value: a`: true, `list, op: is, value: 3`: true, `list, op: is_not, value: a`: false,
		`empty, op: is_empty`: true, `nothing, op: is_empty`: true, `word, op: is_not_empty`: true, `list, op: is_empty`: false,
		`nothing, op: is, value: 1`: false, `nothing, op: is_not, value: 1`: true, `whole, op: in, value: [2, 3]`: true,
		`word, op: matches, value: "^y.s$"`: true,
	} {
		for _, kind := range []string{"var", "prop"} {
			v := View{Person: new(Person), Now: predicateNow, Vars: vars, Event: event}
			if got := mustPredicate(t, "{"+kind+": "+source+"}").Eval(&v); got != want {
				t.Errorf("{%s: %s}: %v", kind, source, got)
			}
		}
	}
	if mustPredicate(t, "{prop: whole, op: is, value: 3}").Eval(&View{Person: new(Person)}) {
		t.Error("a property is there without an event")
	}
}

type past struct {
	events   map[string][]Happened
	messages map[string]MessageSeen
	contacts map[string]time.Time
}

func (p *past) Events(name string) []Happened        { return p.events[name] }
func (p *past) Message(element string) MessageSeen   { return p.messages[element] }
func (p *past) LastContact(channel string) time.Time { return p.contacts[channel] }
func bought(total int64, ago time.Duration) (e Happened) {
	e = Happened{Name: "Bought", At: predicateNow.Add(-ago)}
	e.Props.Set("total", WholeValue(total))
	return e
}

func TestPredicatePast(t *testing.T) {
	history := &past{
		events: map[string][]Happened{"Bought": {bought(10, 10*24*time.Hour), bought(0, time.Hour), bought(99, 0), bought(5, -time.Hour)}},
		messages: map[string]MessageSeen{
			"got": {Sent: true, Accepted: true, Delivered: true, Clicked: true}, "lost": {Sent: true, Failed: true}, "wait": {Sent: true, Accepted: true},
		},
		contacts: map[string]time.Time{"sms": predicateNow.Add(-36 * time.Hour)},
	}
	for source, want := range map[string]bool{
		`event: Bought`: true, `event: Sold`: false, `event: Sold, op: not_happened`: true, `event: Bought, op: not_happened`: false,
		`event: Bought, count: {op: is, value: 3}`:             true, // what is to come does not count
		`event: Bought, within: 7d, count: {op: is, value: 2}`: true, `event: Bought, within: 7d, count: {op: gt, value: 2}`: false,
		`event: Bought, within: 10d, count: {op: between, value: [3, 4]}`:                                                              true,
		`event: Bought, where: {prop: total, op: gt, value: 0}, count: {op: gte, value: 2}`:                                            true,
		`event: Bought, within: 1h, where: {prop: total, op: is, value: 10}`:                                                           false,
		`event: Bought, where: {any: [{prop: total, op: gt, value: 98}, {prop: total, op: is, value: 0}]}, count: {op: lte, value: 2}`: true,
		`event: Sold, count: {op: lt, value: 1}`:                                                                                       true, `event: Bought, op: not_happened, within: 30m, where: {not: {prop: total, op: is, value: 99}}`: true,

		`message: got, op: delivered`: true, `message: got, op: not_delivered`: false, `message: got, op: clicked`: true, `message: got, op: not_clicked`: false,
		`message: got, op: accepted`: true, `message: got, op: failed`: false, `message: lost, op: failed`: true, `message: lost, op: not_delivered`: true,
		`message: wait, op: accepted`: true, `message: wait, op: not_clicked`: true, `message: wait, op: delivered`: false,
		`message: none, op: delivered`: false, `message: none, op: not_delivered`: false, `message: none, op: not_clicked`: false, `message: none, op: failed`: false,

		`contact: sms, op: was_within, value: 7d`: true, `contact: sms, op: was_within, value: 36h`: true, `contact: sms, op: was_within, value: 35h`: false,
		`contact: sms, op: was, value: 2`: true, `contact: sms, op: was_more_than, value: 1`: true, `contact: sms, op: was_today`: false,
		`contact: sms, op: is_not_empty`: true, `contact: email, op: is_empty`: true, `contact: email, op: was_more_than, value: 1`: false,
		`contact: sms, op: after, value: 2026-05-01`: true,
	} {
		v := View{Person: new(Person), Now: predicateNow, Past: history}
		hand := &Happened{Name: "Other"}
		v.Event = hand
		if got := mustPredicate(t, "{"+source+"}").Eval(&v); got != want {
			t.Errorf("{%s}: %v", source, got)
		}
		if v.Event != hand {
			t.Fatalf("{%s}: the event at hand is lost", source)
		}
	}
	for _, source := range []string{`event: Bought`, `message: got, op: delivered`, `contact: sms, op: was_today`} {
		if mustPredicate(t, "{"+source+"}").Eval(&View{Person: new(Person)}) {
			t.Errorf("{%s} holds of nothing", source)
		}
	}
}

// A condition that was not written holds; one that was not compiled does not.
func TestPredicateUncompiled(t *testing.T) {
	if p := new(Predicate); !p.IsZero() || !p.Eval(&View{}) {
		t.Error("no condition does not hold")
	}
	if p := (&Predicate{form: &exprForm{}}); p.IsZero() || p.Eval(&View{}) {
		t.Error("an unchecked condition holds")
	}
}

func TestPredicateUses(t *testing.T) {
	for source, want := range map[string]Uses{
		`{all: [{attr: shoeSize, op: gt, value: 1}, {attr: name, op: is, value: x}, {not: {attr: name, op: is_empty}}]}`: {Attributes: []string{"name", "shoeSize"}},
		`{attr: birthDate, op: is_today}`:                              {Attributes: []string{"birthDate"}, Clock: true},
		`{attr: birthDate, op: is, value: "05-04", anniversary: true}`: {Attributes: []string{"birthDate"}},
		`{any: [{tag: VIP}, {tags: [a, B], op: has_all}]}`:             {Tags: []string{"a", "b", "vip"}},
		`{var: x, op: is, value: 1}`:                                   {Vars: []string{"x"}},
		`{prop: x, op: is, value: 1}`:                                  {Props: []string{"x"}},
		`{event: E, where: {prop: x, op: is, value: 1}}`:               {Events: []string{"E"}},
		`{event: E, within: 1d}`:                                       {Events: []string{"E"}, Clock: true},
		`{message: m, op: clicked}`:                                    {Messages: []string{"m"}},
		`{contact: sms, op: was_within, value: 1d}`:                    {Contacts: []string{"sms"}, Clock: true},
		`{expr: "person.shoeSize > 1 and 'x' in person.tags"}`:         {Attributes: []string{"shoeSize"}, AllTags: true},
		`{expr: "now.Year() > 1 and vars.x == 1 and event.y == 1"}`:    {Clock: true, Now: true, AllVars: true, EventAtHand: true},
		`{expr: "inbound.text == 'x'"}`:                                {Inbound: true},
	} {
		got := mustPredicate(t, source).Uses()
		if fmt.Sprintf("%+v", *got) != fmt.Sprintf("%+v", want) {
			t.Errorf("%s: %+v", source, *got)
		}
	}
	u := mustPredicate(t, `{all: [{attr: name, op: is_empty}, {tag: Vip}, {event: E}, {var: x, op: is_empty}]}`).Uses()
	if !u.Attribute("name") || u.Attribute("vip") || !u.Tag(NewTag("VIP")) || u.Tag(NewTag("x")) || !u.History() || !u.Run() {
		t.Errorf("%+v", u)
	}
}

func TestPredicateCountry(t *testing.T) {
	for number, want := range map[string]string{
		"385911234567": "HR", "38640123456": "SI", "12125550100": "US", "14165550100": "CA", "18765550100": "JM", "18005550100": "",
		"447700900123": "GB", "441481900123": "GG", "79161234567": "RU", "77011234567": "KZ", "390698123456": "IT", "390669812345": "VA",
		"393331234567": "IT", "358401234567": "FI", "3581812345": "AX", "5999123456": "CW", "85212345678": "HK", "61412345678": "AU", "6834123": "NU",
		"38591": "", "12345": "", "bank": "", "99912345678": "", "": "",
	} {
		if got := countryOf(number); got != want {
			t.Errorf("%s: %q, not %q", number, got, want)
		}
	}
	if isCountry("XX") || isCountry("") || isCountry("H") || isCountry("38") || !isCountry("HR") || !isCountry("AC") || !isCountry("ZW") {
		t.Error("countries")
	}
}

// Comparing numbers is exact where floats are not.
func TestCompareNumbers(t *testing.T) {
	dec := func(n int64) Value { return Value{Type: Decimal, Num: n} }
	for _, tc := range []struct {
		a, b Value
		want int
	}{
		{WholeValue(1), dec(1_000_000), 0}, {WholeValue(1), dec(1_000_001), -1}, {WholeValue(1), dec(999_999), 1},
		{WholeValue(-1), dec(-1_000_001), 1}, {WholeValue(-1), dec(-999_999), -1}, {WholeValue(0), dec(-1), 1},
		{WholeValue(1 << 62), dec(1<<63 - 1), 1}, {WholeValue(1<<53 + 1), WholeValue(1 << 53), 1},
	} {
		if got := compareNumbers(tc.a, tc.b); got != tc.want {
			t.Errorf("%v, %v: %d", tc.a, tc.b, got)
		}
		if got := compareNumbers(tc.b, tc.a); got != -tc.want {
			t.Errorf("%v, %v: %d", tc.b, tc.a, got)
		}
	}
}

var leaves = []string{
	`{attr: shoeSize, op: gte, value: 42}`, `{attr: name, op: is, value: "Ana"}`, `{attr: country, op: in, value: [HR, SI]}`,
	`{attr: name, op: contains, value: "na"}`, `{attr: city, op: is, value: "šibenik"}`, `{attr: birthDate, op: is_today}`,
	`{attr: expiry, op: before, value: 2026-05-04}`, `{attr: colours, op: has, value: red}`, `{tag: vip}`, `{attr: phone, op: country_is, value: HR}`,
	`{attr: lastVisit, op: was_within, value: 7d}`, `{attr: balance, op: lt, value: 3.5}`,
}

func leafView(t testing.TB) *View {
	person := personWith(t, map[string]any{
		"name": "Ana", "shoeSize": 42, "country": "hr", "city": "ŠIBENIK", "birthDate": "1990-05-04", "expiry": "2026-05-07", "balance": 3,
		"colours": []string{"blue", "red"}, "tags": []string{"a", "vip"}, "phone": "385911234567", "lastVisit": "2026-05-04T08:30:00Z",
	})
	return &View{Person: person, Now: predicateNow, Zone: zoneNamed(t, "Europe/Zagreb")}
}

func TestPredicateAllocations(t *testing.T) {
	for _, source := range leaves {
		p, v := mustPredicate(t, source), leafView(t)
		p.Eval(v) // fills pools
		if n := testing.AllocsPerRun(200, func() { p.Eval(v) }); n >= 1 {
			t.Errorf("%s: %v allocations", source, n)
		}
	}
}

func BenchmarkPredicate(b *testing.B) {
	for _, source := range leaves {
		b.Run(source, func(b *testing.B) {
			p, v := mustPredicate(b, source), leafView(b)
			for b.Loop() {
				p.Eval(v)
			}
		})
	}
}

// A run sees itself: its variables, its event, the zone of its flow.
func TestPassageView(t *testing.T) {
	x := testPassage()
	x.Run.Event = &Happened{Name: "E"}
	x.Run.Event.Props.Set("total", WholeValue(5))
	v := x.View(nil)
	for source, want := range map[string]bool{
		`{var: code, op: is, value: x1}`: true, `{prop: total, op: gt, value: 4}`: true, `{expr: "vars.code == 'X1' and event.total == 5"}`: true,
		`{expr: "inbound.keyword == 'size'"}`: true, `{expr: "now.Hour() == 12"}`: true, `{attr: created, op: was, value: 365}`: true,
		`{expr: "vars.code > 1"}`: false, // it cannot be computed
	} {
		if got := mustPredicate(t, source).Eval(&v); got != want {
			t.Errorf("%s: %v", source, got)
		}
	}
	alone := View{Person: x.Person, Now: x.Now, Zone: v.Zone, Vars: x.Run.Vars}
	if !mustPredicate(t, `{expr: "vars.code == 'X1' and now.Hour() == 12 and inbound.text == nil"}`).Eval(&alone) {
		t.Error("an expression outside of runs")
	}
}
