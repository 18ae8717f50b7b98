package receipt

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"trunkline/gateway"
)

func at(year, month, day, hour, minute, second int) time.Time {
	return time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
}

func TestParse(t *testing.T) {
	standard := Receipt{
		ID: "0123456789", Submitted: 1, Delivered: 1,
		Submit: at(2024, 1, 31, 23, 59, 0), Done: at(2024, 2, 1, 0, 1, 0),
		State: gateway.Delivered, Stat: "DELIVRD", Err: "000", Text: "Hello",
	}
	with := func(change func(*Receipt)) Receipt {
		r := standard
		change(&r)
		return r
	}
	for _, tc := range []struct {
		name, text string
		want       Receipt
	}{
		{"as in the specification", "id:0123456789 sub:001 dlvrd:001 submit date:2401312359 done date:2402010001 stat:DELIVRD err:000 text:Hello", standard},
		{"other order", "stat:DELIVRD done date:2402010001 err:000 dlvrd:001 sub:001 submit date:2401312359 id:0123456789 text:Hello", standard},
		{"text first", "text:Hello id:0123456789 sub:001 dlvrd:001 submit date:2401312359 done date:2402010001 stat:DELIVRD err:000", standard},
		{"upper case keys", "ID:0123456789 SUB:001 DLVRD:001 SUBMIT DATE:2401312359 DONE DATE:2402010001 STAT:DELIVRD ERR:000 TEXT:Hello", standard},
		{"no separators", "id:0123456789sub:001dlvrd:001submit date:2401312359done date:2402010001stat:DELIVRDerr:000text:Hello", standard},
		{"many separators", " id: 0123456789 ,  sub: 001;dlvrd : 001\r\nsubmit date:  2401312359, done  date:2402010001 stat : DELIVRD  err: 000  text: Hello\x00", standard},
		{"equals signs and underscores", "id=0123456789 sub=001 dlvrd=001 submit_date=2401312359 done_date=2402010001 stat=DELIVRD err=000 text=Hello", standard},
		{"seconds in dates", "id:0123456789 sub:001 dlvrd:001 submit date:240131235901 done date:240201000102 stat:DELIVRD err:000 text:Hello",
			with(func(r *Receipt) { r.Submit, r.Done = at(2024, 1, 31, 23, 59, 1), at(2024, 2, 1, 0, 1, 2) })},
		{"long years", "id:0123456789 sub:001 dlvrd:001 submit date:202401312359 done date:20240201000100 stat:DELIVRD err:000 text:Hello", standard},
		{"dates with separators", "id:0123456789 sub:001 dlvrd:001 submit date:2024-01-31 23:59:00 done date:2024-02-01T00:01:00Z stat:DELIVRD err:000 text:Hello", standard},
		{"seconds since 1970", "id:0123456789 sub:001 dlvrd:001 submit date:1706745540 done date:1706745660000 stat:DELIVRD err:000 text:Hello", standard},
		{"SMPP times", "id:0123456789 sub:001 dlvrd:001 submit date:240131235900000+ done date:240201000100000+ stat:DELIVRD err:000 text:Hello", standard},
		{"broken dates", "id:0123456789 sub:001 dlvrd:001 submit date:9999999999999999999999 done date:today stat:DELIVRD err:000 text:Hello",
			with(func(r *Receipt) { r.Submit, r.Done = time.Time{}, time.Time{} })},
		{"full word", "id:0123456789 sub:001 dlvrd:001 submit date:2401312359 done date:2402010001 stat:Delivered err:000 text:Hello",
			with(func(r *Receipt) { r.Stat = "Delivered" })},
		{"status in text does not count", "id:7 stat:UNDELIV text:stat:DELIVRD id:8", Receipt{ID: "7", State: gateway.Undeliverable, Stat: "UNDELIV", Text: "stat:DELIVRD id:8"}},
		{"first field counts", "id:7 id:8 stat:EXPIRED stat:DELIVRD", Receipt{ID: "7", State: gateway.Expired, Stat: "EXPIRED"}},
		{"status alone", "stat:DELIVRD", Receipt{State: gateway.Delivered, Stat: "DELIVRD"}},
		{"unknown status", "id:7 stat:???", Receipt{ID: "7", Stat: "???"}},
		{"not counts", "id:7 sub:one dlvrd:-1 err:99", Receipt{ID: "7", Err: "99"}},
		{"id of letters and hyphens", "id:5f8d0d55-e2c1-4b7e-9f61-000000000001 stat:REJECTD err:255", Receipt{ID: "5f8d0d55-e2c1-4b7e-9f61-000000000001", State: gateway.Rejected, Stat: "REJECTD", Err: "255"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok := Parse([]byte(tc.text))
			if !ok || got != tc.want {
				t.Errorf("Parse(%q)\n got %+v, %v\nwant %+v", tc.text, got, ok, tc.want)
			}
		})
	}
}

func TestParseRefusesOtherTexts(t *testing.T) {
	for _, text := range []string{
		"", "Hello", "id:", "id:5", "id:5 text:x", "sub:001", "my id: is 5", "stat:good", "err:5",
		strings.Repeat(" ", maxText) + "stat:DELIVRD", // beyond what is read
	} {
		if r, ok := Parse([]byte(text)); ok {
			t.Errorf("Parse(%.40q) = %+v, but it is no receipt", text, r)
		}
	}
}

func TestStateOf(t *testing.T) {
	for state, wordsOf := range map[gateway.State]string{
		gateway.Delivered:     "DELIVRD DELIVERED delivered DeliverD DELIVERED_TO_HANDSET 2",
		gateway.Expired:       "EXPIRED expired EXPRD 3",
		gateway.Deleted:       "DELETED deleted DELETE 4",
		gateway.Undeliverable: "UNDELIV UNDELIVERABLE UNDELIVERED undeliv FAILED failed 5",
		gateway.Accepted:      "ACCEPTD ACCEPTED accepted 6",
		gateway.Rejected:      "REJECTD REJECTED rejected 8",
		gateway.Enroute:       "ENROUTE EN_ROUTE Enroute BUFFERED 1",
		gateway.StateUnknown:  "UNKNOWN unknown 7",
	} {
		for word := range strings.FieldsSeq(wordsOf) {
			if got, ok := StateOf(word); !ok || got != state {
				t.Errorf("StateOf(%q) = %v, %v, want %v", word, got, ok, state)
			}
		}
	}
	for _, word := range []string{"", "0", "9", "22", "good", "…"} {
		if got, ok := StateOf(word); ok || got != gateway.StateUnknown {
			t.Errorf("StateOf(%q) = %v, %v, want unknown", word, got, ok)
		}
	}
}

func TestMessageStateAndWordAgree(t *testing.T) {
	for v := byte(1); v <= 8; v++ {
		s := MessageState(v)
		if Code(s) != v {
			t.Errorf("Code(MessageState(%d)) = %d", v, Code(s))
		}
		if got, ok := StateOf(Word(s)); !ok || got != s {
			t.Errorf("StateOf(%q) = %v, want %v", Word(s), got, s)
		}
	}
	for _, v := range []byte{0, 9, 255} {
		if s := MessageState(v); s != gateway.StateUnknown {
			t.Errorf("MessageState(%d) = %v, want unknown", v, s)
		}
	}
}

func TestAppend(t *testing.T) {
	r := Receipt{
		ID: "a1", Submitted: 1, Delivered: 1, Submit: at(2024, 1, 31, 23, 59, 30), Done: at(2024, 2, 1, 0, 1, 0),
		State: gateway.Delivered, Text: "Žluťoučký kůň úpěl ďábelské ódy",
	}
	want := "id:a1 sub:001 dlvrd:001 submit date:2401312359 done date:2402010001 stat:DELIVRD err:000 text:Žluťoučký kůň úpěl ď"
	if got := string(Append(nil, r)); got != want {
		t.Errorf("Append\n got %q\nwant %q", got, want)
	}
	want = "id: sub:000 dlvrd:000 submit date:0000000000 done date:0000000000 stat:UNKNOWN err:000 text:"
	if got := string(Append(nil, Receipt{})); got != want {
		t.Errorf("Append of nothing\n got %q\nwant %q", got, want)
	}
}

func TestParseReadsWhatAppendWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minute := func(name string) time.Time {
			return time.Unix(rapid.Int64Range(946684800/60, 4000000000/60).Draw(t, name)*60, 0).UTC()
		}
		r := Receipt{
			ID:        rapid.StringMatching(`[0-9A-F]{1,64}`).Draw(t, "id"),
			Submitted: rapid.IntRange(0, 999).Draw(t, "sub"),
			Delivered: rapid.IntRange(0, 999).Draw(t, "dlvrd"),
			Submit:    minute("submit"), Done: minute("done"),
			State: rapid.SampledFrom([]gateway.State{
				gateway.StateUnknown, gateway.Enroute, gateway.Accepted, gateway.Delivered,
				gateway.Expired, gateway.Deleted, gateway.Undeliverable, gateway.Rejected,
			}).Draw(t, "state"),
			Err:  rapid.StringMatching(`[0-9]{3}`).Draw(t, "err"),
			Text: rapid.StringMatching(`([a-z:]{1,5} ){0,3}[a-z]`).Draw(t, "text"),
		}
		got, ok := Parse(Append(nil, r))
		r.Stat = Word(r.State)
		if !ok || got != r {
			t.Fatalf("got %+v, %v\nwant %+v", got, ok, r)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("id:0123456789 sub:001 dlvrd:001 submit date:2401312359 done date:2402010001 stat:DELIVRD err:000 text:Hello"))
	f.Add([]byte("stat:DELIVRDid:1Atext:id:2"))
	f.Add([]byte("text:text:submit  _-date = 0"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, ok := Parse(text)
		if len(r.ID)+len(r.Stat)+len(r.Err)+len(r.Text) > len(text) {
			t.Errorf("Parse(%q) read more than there is: %+v", text, r)
		}
		if again, okAgain := Parse(Append(nil, r)); ok && r.ID != "" && !okAgain {
			t.Errorf("Parse(%q) = %+v is no receipt when written again: %+v", text, r, again)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	text := []byte("id:0123456789 sub:001 dlvrd:001 submit date:2401312359 done date:2402010001 stat:DELIVRD err:000 text:Hello")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := Parse(text); !ok {
			b.Fatal("no receipt")
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	r, _ := Parse([]byte("id:0123456789 sub:001 dlvrd:001 submit date:2401312359 done date:2402010001 stat:DELIVRD err:000 text:Hello"))
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		buf = Append(buf[:0], r)
	}
}
