package tariff

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const header = "channel,direction,prefix,currency,price,setup,min_s,increment_s,valid_from\n"

const example = header + `sms,outbound,*,EUR,0.09,,,,2026-01-01
sms,outbound,385,EUR,0.03,,,,2026-01-01
sms,outbound,38591,EUR,0.02,,,,2026-01-01
sms,outbound,+38591,EUR,0.025,,,,2026-03-01T00:00:00+01:00
sms,outbound,385911,EUR,0.01,,,,2026-06-01
sms,inbound,385,EUR,0.001,0,0,1,2026-01-01
voice,outbound,385,EUR,0.10,0.05,30,6,2026-01-01
voice,outbound,1,USD,0.0001,,,60,2026-01-01
email,outbound,Example.com,USD,0.0004,,,,2026-01-01
email,outbound,*,USD,0.001,,,,2026-01-01
push,outbound,*,EUR,0,,,,2026-01-01
`

func mustParse(t testing.TB, text string) *Table {
	t.Helper()
	table, err := Parse(File{"tariff.csv", []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func day(month time.Month, d int) time.Time { return time.Date(2026, month, d, 0, 0, 0, 0, time.UTC) }

// C1: the longest prefix, then the newest that is valid; none means unknown.
func TestLookup(t *testing.T) {
	table := mustParse(t, example)
	for _, tc := range []struct {
		name, channel, direction, address string
		at                                time.Time
		prefix, price                     string // "" when there is no row
	}{
		{"longest prefix", SMS, Outbound, "385917654321", day(2, 1), "38591", "0.02"},
		{"with plus", SMS, Outbound, "+385917654321", day(2, 1), "38591", "0.02"},
		{"shorter prefix", SMS, Outbound, "385987654321", day(2, 1), "385", "0.03"},
		{"any", SMS, Outbound, "4912345", day(2, 1), "*", "0.09"},
		{"newest", SMS, Outbound, "385917654321", day(4, 1), "38591", "0.025"},
		{"a moment before", SMS, Outbound, "385917654321", time.Date(2026, 2, 28, 22, 59, 59, 999, time.UTC), "38591", "0.02"},
		{"from its moment on", SMS, Outbound, "385917654321", time.Date(2026, 2, 28, 23, 0, 0, 0, time.UTC), "38591", "0.025"},
		{"a future prefix hides nothing", SMS, Outbound, "385911000000", day(5, 31), "38591", "0.025"},
		{"until it is valid", SMS, Outbound, "385911000000", day(6, 1), "385911", "0.01"},
		{"nothing valid yet", SMS, Outbound, "385911000000", day(1, 1).Add(-1), "", ""},
		{"as long as the prefix", SMS, Outbound, "385", day(2, 1), "385", "0.03"},
		{"shorter than the prefix", SMS, Outbound, "38", day(2, 1), "*", "0.09"},
		{"no number", SMS, Outbound, "385Shop", day(2, 1), "*", "0.09"},
		{"no address", SMS, Outbound, "", day(2, 1), "*", "0.09"},
		{"too long a number", SMS, Outbound, "38591" + strings.Repeat("0", 400), day(2, 1), "38591", "0.02"},
		{"other direction", SMS, Inbound, "385917654321", day(2, 1), "385", "0.001"},
		{"no row for the prefix", SMS, Inbound, "4912345", day(2, 1), "", ""},
		{"no row for the channel", Chat, Outbound, "385917654321", day(2, 1), "", ""},
		{"unheard of", "fax", "sideways", "385917654321", day(2, 1), "", ""},
		{"domain", Email, Outbound, "Ana@EXAMPLE.com", day(2, 1), "example.com", "0.0004"},
		{"domain behind the last at", Email, Outbound, `"a@b"@example.com`, day(2, 1), "example.com", "0.0004"},
		{"other domain", Email, Outbound, "ana@mail.example.com", day(2, 1), "*", "0.001"},
		{"no domain", Email, Outbound, "example.com", day(2, 1), "*", "0.001"},
		{"endless domain", Email, Outbound, "a@" + strings.Repeat("x", 400), day(2, 1), "*", "0.001"},
		{"free of charge", Push, Outbound, "token", day(2, 1), "*", "0"},
	} {
		row, ok := table.Lookup(tc.channel, tc.direction, tc.address, tc.at)
		if ok != (tc.prefix != "") || ok && (row.Prefix != tc.prefix || row.Price.String() != tc.price) {
			t.Errorf("%s: got %+v, %v", tc.name, row, ok)
		}
	}
}

func TestLookupWithoutTable(t *testing.T) {
	if _, ok := (*Table)(nil).Lookup(SMS, Outbound, "385", day(1, 1)); ok {
		t.Error("no table has a row")
	}
}

// C2: a message costs price × parts; without a row the cost is unknown (C1).
func TestMessage(t *testing.T) {
	table := mustParse(t, example)
	for _, tc := range []struct {
		name, channel, to string
		parts             int
		total             string // "" when it is unknown
	}{
		{"one part", SMS, "385917654321", 1, "0.02 EUR"},
		{"three parts", SMS, "385917654321", 3, "0.06 EUR"},
		{"no part", SMS, "385917654321", 0, "0 EUR"},
		{"mail", Email, "ana@example.com", 1, "0.0004 USD"},
		{"free", Push, "token", 1, "0 EUR"},
		{"no row", Chat, "385917654321", 1, ""},
		{"a call is no message", Voice, "385917654321", 1, ""},
		{"fewer than none", SMS, "385917654321", -1, ""},
		{"too many", SMS, "385917654321", maxUnits + 1, ""},
	} {
		price, known := table.Message(tc.channel, Outbound, tc.to, tc.parts, day(2, 1))
		if known != (tc.total != "") || known && (price.Total.String() != tc.total || price.Units != int64(tc.parts)) {
			t.Errorf("%s: got %+v, %v", tc.name, price, known)
		}
	}
}

// C3: unanswered costs nothing, else billed seconds × price / 60 + setup.
func TestCall(t *testing.T) {
	table := mustParse(t, example)
	const croatia, america = "385917654321", "12025550100"
	for _, tc := range []struct {
		name, to string
		answered bool
		duration time.Duration
		billed   int64
		total    string // "" when it is unknown
	}{
		{"unanswered", croatia, false, 40 * time.Second, 0, "0 EUR"},
		{"at least the minimum", croatia, true, time.Second, 30, "0.1 EUR"},
		{"the minimum even without a moment", croatia, true, 0, 30, "0.1 EUR"},
		{"exactly the minimum", croatia, true, 30 * time.Second, 30, "0.1 EUR"},
		{"a moment more begins an increment", croatia, true, 30*time.Second + 1, 36, "0.11 EUR"},
		{"whole increments", croatia, true, 36 * time.Second, 36, "0.11 EUR"},
		{"an hour", croatia, true, time.Hour, 3600, "6.05 EUR"},
		{"a minute is begun", america, true, time.Second, 60, "0.0001 USD"},
		{"the clock went backwards", croatia, true, -time.Hour, 30, "0.1 EUR"},
		{"no row", "4912345", true, time.Minute, 0, ""},
		{"unanswered, no row", "4912345", false, 0, 0, ""},
		{"without end", croatia, true, 1 << 62, 0, ""},
	} {
		price, known := table.Call(Outbound, tc.to, tc.answered, tc.duration, day(2, 1))
		if known != (tc.total != "") || known && (price.Total.String() != tc.total || price.Units != tc.billed) {
			t.Errorf("%s: got %+v, %v", tc.name, price, known)
		}
	}
}

// C3, C4: a sixtieth is rounded half up to a millionth.
func TestCallRounding(t *testing.T) {
	for _, tc := range []struct {
		price   string
		seconds int
		total   string
	}{
		{"0.00003", 1, "0.000001 EUR"}, // 0.5
		{"0.000029", 1, "0 EUR"},       // 0.48
		{"0.00009", 1, "0.000002 EUR"}, // 1.5
		{"0.1", 1, "0.001667 EUR"},     // 1666.67
		{"0.1", 2, "0.003333 EUR"},     // 3333.33
		{"0.1", 3, "0.005 EUR"},
	} {
		table := mustParse(t, header+"voice,outbound,*,EUR,"+tc.price+",,,1,2026-01-01\n")
		price, known := table.Call(Outbound, "1", true, time.Duration(tc.seconds)*time.Second, day(2, 1))
		if !known || price.Total.String() != tc.total {
			t.Errorf("%s for %d s: %v, %v", tc.price, tc.seconds, price.Total, known)
		}
	}
}

// C4: a price stays as it was although the tariff changes.
func TestPriceIsASnapshot(t *testing.T) {
	price, _ := mustParse(t, example).Message(SMS, Outbound, "385917654321", 2, day(4, 1))
	want := Row{
		Channel: SMS, Direction: Outbound, Prefix: "38591", Currency: Currency([]byte("EUR")), Price: 25_000,
		Increment: time.Second, ValidFrom: time.Date(2026, 2, 28, 23, 0, 0, 0, time.UTC),
	}
	if price.Row != want {
		t.Errorf("got %+v", price.Row)
	}
}

// C2, C3: no price that a file may hold and no length overflow.
func TestPricesStayInBounds(t *testing.T) {
	table := mustParse(t, header+"sms,outbound,*,EUR,1000000,,,,2026-01-01\nvoice,outbound,*,EUR,1000000,1000000,86400,86400,2026-01-01\n")
	if p, known := table.Message(SMS, Outbound, "1", maxUnits, day(2, 1)); !known || p.Total.String() != "1048576000000 EUR" {
		t.Errorf("message: %v, %v", p.Total, known)
	}
	if p, known := table.Call(Outbound, "1", true, 12*24*time.Hour, day(2, 1)); !known || p.Total.String() != "17281000000 EUR" {
		t.Errorf("call: %v, %v", p.Total, known)
	}
}

// C1: the same as looking at all rows.
func TestLookupAgreesWithAllRows(t *testing.T) {
	digits := rapid.StringMatching(`[12]{1,5}|[12]{14,15}`)
	domain := rapid.SampledFrom([]string{"a.com", "b.com", "x.a.com"})
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		b.WriteString(header)
		seen := map[string]bool{}
		var rows []Row
		for range rapid.IntRange(0, 30).Draw(t, "rows") {
			r := Row{Channel: rapid.SampledFrom([]string{SMS, Voice, Email}).Draw(t, "channel"), Direction: rapid.SampledFrom(directions[:]).Draw(t, "direction")}
			r.Prefix = AnyAddress
			if rapid.IntRange(0, 5).Draw(t, "kind") > 0 {
				r.Prefix = digits.Draw(t, "digits")
				if r.Channel == Email {
					r.Prefix = domain.Draw(t, "domain")
				}
			}
			r.ValidFrom = day(1, rapid.IntRange(1, 4).Draw(t, "from"))
			id := fmt.Sprint(r.Channel, r.Direction, " ", r.Prefix, " ", r.ValidFrom)
			if seen[id] {
				continue
			}
			seen[id] = true
			r.Price = Money(len(rows))
			rows = append(rows, r)
			fmt.Fprintf(&b, "%s,%s,%s,EUR,%v,,,,%s\n", r.Channel, r.Direction, r.Prefix, r.Price, r.ValidFrom.Format(time.DateOnly))
		}
		table, err := Parse(File{"t.csv", []byte(b.String())})
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			channel := rapid.SampledFrom([]string{SMS, Voice, Email}).Draw(t, "of")
			address := rapid.StringMatching(`\+?[12]{0,18}`).Draw(t, "number")
			if channel == Email {
				address = "p@" + domain.Draw(t, "at")
			}
			direction, at := rapid.SampledFrom(directions[:]).Draw(t, "to"), day(1, rapid.IntRange(0, 5).Draw(t, "day"))
			want, wantOK := lookupAll(rows, channel, direction, address, at)
			got, ok := table.Lookup(channel, direction, address, at)
			if ok != wantOK || got.Price != want.Price || got.Prefix != want.Prefix {
				t.Fatalf("%s %s %s at %v: got %+v, %v; want %+v, %v", channel, direction, address, at, got, ok, want, wantOK)
			}
		}
	})
}

func lookupAll(rows []Row, channel, direction, address string, at time.Time) (best Row, ok bool) {
	length := func(r Row) int {
		if r.Prefix == AnyAddress {
			return 0
		}
		return len(r.Prefix)
	}
	for _, r := range rows {
		matches := r.Prefix == AnyAddress || strings.HasPrefix(strings.TrimPrefix(address, "+"), r.Prefix)
		if channel == Email {
			matches = r.Prefix == AnyAddress || strings.HasSuffix(address, "@"+r.Prefix)
		}
		if r.Channel != channel || r.Direction != direction || !matches || r.ValidFrom.After(at) {
			continue
		}
		if !ok || length(r) > length(best) || length(r) == length(best) && r.ValidFrom.After(best.ValidFrom) {
			best, ok = r, true
		}
	}
	return best, ok
}
