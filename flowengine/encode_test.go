package flowengine

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"trunkline/flowengine/record"
)

func drawTime(t *rapid.T, label string) time.Time {
	return time.UnixMilli(rapid.Int64Range(1, 4e12).Draw(t, label)).UTC()
}

func drawAttrs(t *rapid.T, label string) Attrs {
	var a Attrs
	for range rapid.IntRange(0, 5).Draw(t, label) {
		a.Set(rapid.StringN(1, 20, 60).Draw(t, "name"), Value{
			Type: Type(rapid.IntRange(1, 7).Draw(t, "type")),
			Str:  rapid.StringN(0, 200, 800).Draw(t, "str"),
			Num:  rapid.Int64().Draw(t, "num"),
		})
	}
	return a
}

// What is stored comes back as it was.
func TestPersonRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Person{Created: drawTime(t, "created"), Attrs: drawAttrs(t, "attrs")}
		for range rapid.IntRange(0, 3).Draw(t, "addresses") {
			want.Addresses = append(want.Addresses, Address{Kind: Phone, Value: rapid.StringMatching(`[0-9]{3,15}`).Draw(t, "phone")})
		}
		for range rapid.IntRange(0, 3).Draw(t, "tags") {
			want.AddTag(NewTag(rapid.StringMatching(`[A-Za-z]{1,200}`).Draw(t, "tag")))
		}
		want.Block(Email)
		for n := range rapid.IntRange(0, 3).Draw(t, "merged") {
			want.Merged = append(want.Merged, NewPersonID(Address{Phone, "385911"}, uint64(n)))
		}
		var got Person
		if err := DecodePerson(AppendPerson(nil, &want), &got, nil); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
	})
}

func TestPassagesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Passages{Waits: rapid.Uint64().Draw(t, "waits")}
		for range rapid.IntRange(0, 3).Draw(t, "places") {
			want.Places = append(want.Places, Place{"sms", rapid.Bool().Draw(t, "marketing"), drawTime(t, "place"), rapid.Uint32().Draw(t, "message")})
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "runs") {
			r := Run{
				Flow: "f", Version: uint32(i), Number: rapid.Uint32().Draw(t, "number"), Entry: "e", Entered: drawTime(t, "entered"),
				Element: "el", Seq: rapid.Uint32().Draw(t, "seq"), Since: drawTime(t, "since"), Wait: 7, Sending: "x",
				Steps: 3, Repeats: 1, Vars: drawAttrs(t, "vars"),
			}
			if rapid.Bool().Draw(t, "held") {
				r.Held = drawTime(t, "until")
			}
			if rapid.Bool().Draw(t, "heard") {
				r.Inbound = &Heard{Channel: "sms", From: "1", To: "2", Text: rapid.String().Draw(t, "text"), Keyword: "k", At: drawTime(t, "at")}
			}
			if rapid.Bool().Draw(t, "on call") {
				r.Call = &CallState{
					ID: rapid.String().Draw(t, "call"), Outbound: rapid.Bool().Draw(t, "outbound"), From: "1", To: "2", Digits: "42", Masked: rapid.Bool().Draw(t, "masked"),
					Recording: "r", Length: time.Second, Talk: time.Minute, Target: "3", Code: "c",
				}
			}
			want.Runs = append(want.Runs, r)
		}
		m := want.Membership("f")
		m.Entries, m.LastExit = 9, drawTime(t, "exit")
		m.Recent = append(m.Recent, drawTime(t, "recent"))
		m.visit(rapid.Uint32().Draw(t, "mark"))
		m.Absorbed = append(m.Absorbed, Absorbed{NewPersonID(Address{Phone, "385911"}, 1), rapid.Uint32().Draw(t, "offset")})
		want.Heard = append(want.Heard, Digest{Sum: rapid.Uint64().Draw(t, "sum"), At: drawTime(t, "heard at")})
		var got Passages
		if err := DecodePassages(AppendPassages(nil, &want), &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
	})
}

func TestSuccessionRoundTrip(t *testing.T) {
	want := &Succession{Flows: []FlowSuccession{
		{Flow: "a", Offset: 7, Visited: []uint32{0, 5, 1 << 31}, Clicked: []uint32{5}, Contacted: true, Goals: []GoalSuccession{{"g", 7, "ab/branch_1", true}, {"h", 0, "", false}}}, {Flow: "b"},
	}}
	got, err := DecodeSuccession(AppendSuccession(nil, want))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
}

// What an event has in common with the one before it is written once, and comes
// back; nothing else is taken over.
func TestEventsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []Event
		for range rapid.IntRange(1, 6).Draw(t, "events") {
			few := rapid.Uint32Range(0, 2)
			want = append(want, Event{
				Kind: EventKind(rapid.IntRange(1, 15).Draw(t, "kind")), Flow: rapid.SampledFrom([]string{"", "f", "g"}).Draw(t, "flow"), Version: few.Draw(t, "version"),
				Element: rapid.SampledFrom([]string{"", "ask", "wait"}).Draw(t, "element"), Number: few.Draw(t, "number"),
				Units: few.Draw(t, "units"), First: rapid.Bool().Draw(t, "first"), Detail: rapid.StringN(0, 200, 800).Draw(t, "detail"),
			})
		}
		got, err := DecodeEvents(AppendEvents(nil, want), nil)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v\nwant %+v", got, err, want)
		}
	})
}

// A record from before events shared anything is read as it was meant.
func TestEventsOfOldRecords(t *testing.T) {
	var b []byte
	want := []Event{{Kind: Engaged, Flow: "f", Version: 2, Element: "ask", Number: 3}, {Kind: Received, Detail: "wait"}, {Kind: Exited, Flow: "f", Version: 2}}
	for i := range want {
		b = append(b, AppendEvents(nil, want[i:i+1])...) // alone, an event shares nothing
	}
	if got, err := DecodeEvents(b, nil); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
}

// A damaged record is an error and never a panic.
func FuzzDecode(f *testing.F) {
	f.Add(AppendPerson(nil, &Person{Created: time.UnixMilli(5), Attrs: Attrs{{"a", TextValue("b")}}}))
	f.Add(AppendPassages(nil, &Passages{Runs: []Run{{Flow: "f", Inbound: &Heard{Text: "x"}}}}))
	f.Add([]byte{0x12, 0x05, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		var o Origin
		_, err := DecodeEvents(b, nil)
		_, err2 := DecodeSuccession(b)
		for _, err := range []error{err, err2, DecodePerson(b, new(Person), nil), DecodePassages(b, new(Passages)), DecodeOrigin(b, &o)} {
			if err != nil && !errors.Is(err, record.ErrDamaged) {
				t.Fatalf("%v does not wrap ErrDamaged", err)
			}
		}
	})
}

func BenchmarkEncodePassages(b *testing.B) {
	p := Passages{Runs: []Run{{Flow: "welcome", Version: 1, Number: 1, Entry: "e1", Entered: time.Now(), Element: "ask", Seq: 2, Since: time.Now(),
		Inbound: &Heard{Channel: "sms", From: "385911234567", To: "38591000001", Text: "start", Keyword: "start", At: time.Now()}}}}
	p.Membership("welcome").visit(77)
	buf := AppendPassages(nil, &p)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendPassages(buf[:0], &p)
	}
}

func BenchmarkDecodePassages(b *testing.B) {
	p := Passages{Runs: []Run{{Flow: "welcome", Version: 1, Number: 1, Entry: "e1", Entered: time.Now(), Element: "ask", Seq: 2, Since: time.Now(),
		Inbound: &Heard{Channel: "sms", From: "385911234567", To: "38591000001", Text: "start", Keyword: "start", At: time.Now()}}}}
	p.Membership("welcome").visit(77)
	buf := AppendPassages(nil, &p)
	b.ReportAllocs()
	for b.Loop() {
		var q Passages
		if err := DecodePassages(buf, &q); err != nil {
			b.Fatal(err)
		}
	}
}
