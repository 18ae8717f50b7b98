package tariff

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"trunkline/configs/strict"
)

// C1: everything that is wrong is told with its place, all at once.
func TestParseErrors(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       []string // beginnings of messages
	}{
		{"empty", "", []string{"t.csv:1:1: the file is empty"}},
		{"header alone", header, nil},
		{"unknown column", "channel,direction,prefix,currency,price,setup,min_s,increment_s,valid_from,colour\n", []string{`t.csv:1:76: there is no column "colour"`}},
		{"missing columns", "channel,direction,prefix,currency,setup,increment_s,valid_from\n", []string{"t.csv:1:1: the header lacks price, min_s"}},
		{"column twice", "channel," + header, []string{`t.csv:1:9: the column "channel" is there twice`}},
		{"semicolons", strings.ReplaceAll(header, ",", ";"), []string{"t.csv:1:1: the header lacks channel", `t.csv:1:1: there is no column "channel;`}},
		{"all cells", header + "fax,up,38x,eur,1.5.0,-1,-1,0,31.1.2026\nvoice,outbound,38x,€,,x,1.5,86401,\n", []string{
			`t.csv:2:1: "fax" is no channel`, `t.csv:2:5: "up" is no direction`,
			`t.csv:2:12: "eur" is not a currency`, `t.csv:2:16: "1.5.0" is not an amount`, `t.csv:2:22: -1 is not between 0 and 1000000`,
			`t.csv:2:25: "-1" is not a whole number of seconds between 0 and 86400`, `t.csv:2:28: "0" is not a whole number of seconds between 1 and 86400`,
			`t.csv:2:30: "31.1.2026" is not a date`,
			`t.csv:3:16: "38x" is no prefix of voice`, `t.csv:3:20: "€" is not a currency`, `t.csv:3:22: "" is not an amount`,
			`t.csv:3:23: "x" is not an amount`, `t.csv:3:25: "1.5" is not a whole`, `t.csv:3:29: "86401" is not a whole`, `t.csv:3:35: "" is not a date`,
		}},
		{"prefixes", header + "sms,outbound,00385,EUR,1,,,,2026-01-01\nsms,outbound,+,EUR,1,,,,2026-01-01\nsms,outbound,1234567890123456,EUR,1,,,,2026-01-01\nemail,outbound,a@b.com,EUR,1,,,,2026-01-01\nemail,outbound,čaj.hr,EUR,1,,,,2026-01-01\npush,outbound,1,EUR,1,,,,2026-01-01\n", []string{
			`t.csv:2:14: "00385" begins with 00`, `t.csv:3:14: "+" is no prefix of sms`, `t.csv:4:14: "1234567890123456" has more than 15 digits`,
			`t.csv:5:16: "a@b.com" is no domain`, `t.csv:6:16: "čaj.hr" is no domain`, `t.csv:7:15: "1" is no prefix of push`,
		}},
		{"impossible dates", header + "sms,outbound,1,EUR,1,,,,2026-02-29\nsms,outbound,2,EUR,1,,,,2026-01-01T00:00:00.5Z\n", []string{`t.csv:2:25: "2026-02-29"`, `t.csv:3:25: "2026-01-01T00:00:00.5Z"`}},
		{"of calls alone", header + "sms,outbound,1,EUR,1,0.1,5,2,2026-01-01\n", []string{"t.csv:2:22: setup is of calls alone", "t.csv:2:26: min_s is of calls alone", "t.csv:2:28: increment_s is of calls alone"}},
		{"charge_on", strings.TrimSuffix(header, "\n") + ",charge_on\nsms,outbound,1,EUR,1,,,,2026-01-01,later\nvoice,outbound,1,EUR,1,,,,2026-01-01,delivered\nsms,inbound,1,EUR,1,,,,2026-01-01,delivered\nsms,outbound,1,EUR,1,,,,2026-01-01,delivered\nsms,outbound,2,EUR,1,,,,2026-01-01,\n", []string{
			`t.csv:2:36: "later" is no charge_on`, "t.csv:3:38: charge_on is of messages alone", "t.csv:4:35: what comes in has no delivery report"}},
		{"too few fields", header + "sms,outbound,1\n", []string{"t.csv:2:14: the row has 3 fields, the header 9"}},
		{"too many fields", header + "sms,outbound,1,EUR,1,,,,2026-01-01,x,y\n", []string{"t.csv:2:36: the row has 11 fields, the header 9"}},
		{"quotes", header + "sms,outb\"ound,1,EUR,1,,,,2026-01-01\nfax,outbound,1,EUR,1,,,,2026-01-01\n", []string{"t.csv:2:9: a quote is out of place", `t.csv:3:1: "fax"`}},
		{"columns count characters", header + "sms,\"öffentlich\",1,EUR,x,,,,2026-01-01\n", []string{`t.csv:2:5: "öffentlich" is no direction`, `t.csv:2:24: "x" is not an amount`}},
		{"duplicate", header + "sms,outbound,385,EUR,1,,,,2026-01-01\nsms,outbound,+385,EUR,2,,,,2026-01-01T00:00:00Z\nsms,inbound,385,EUR,1,,,,2026-01-01\n", []string{"t.csv:3:14: sms outbound 385 has two prices from the same time on (the first is in t.csv:2)"}},
		{"domain twice", header + "email,outbound,a.com,EUR,1,,,,2026-01-01\nemail,outbound,A.COM,EUR,2,,,,2026-01-01\n", []string{"t.csv:3:16: email outbound a.com has two prices"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse(File{"t.csv", []byte(tc.text)})
			var errs strict.Errors
			if err != nil && !errors.As(err, &errs) {
				t.Fatalf("%T", err)
			}
			if len(errs) != len(tc.want) {
				t.Fatalf("got %d findings:\n%v", len(errs), err)
			}
			for i, want := range tc.want {
				if !strings.HasPrefix(errs[i].Error(), want) {
					t.Errorf("got  %v\nwant %s", errs[i], want)
				}
			}
		})
	}
}

func TestParseErrorShowsThePlace(t *testing.T) {
	_, err := Parse(File{"t.csv", []byte("\ufeff" + header + "\r\nsms,outbound,1,EUR,cheap,,,,2026-01-01\r\n")})
	var errs strict.Errors
	if !errors.As(err, &errs) || len(errs) != 1 {
		t.Fatalf("got %v", err)
	}
	want := `t.csv:3:20: "cheap" is not an amount: digits with a decimal point are expected, such as 0.0123
    3 | sms,outbound,1,EUR,cheap,,,,2026-01-01
      |                    ^^^^^
`
	if got := errs.Report(); got != want {
		t.Errorf("got\n%s", got)
	}
	if errs[0].Path != "price" {
		t.Errorf("path %q", errs[0].Path)
	}
}

func TestParseSeveralFiles(t *testing.T) {
	a := File{"a.csv", []byte(header + "sms,outbound,1,EUR,1,,,,2026-01-01\n")}
	b := File{"b.csv", []byte("valid_from,price,currency,prefix,direction,channel,increment_s,min_s,setup\n2026-01-01,2,EUR,2,outbound,sms,,,\n")}
	table, err := Parse(a, b)
	if err != nil || table.Len() != 2 {
		t.Fatalf("%v", err)
	}
	if row, ok := table.Lookup(SMS, Outbound, "22", day(1, 1)); !ok || row.Price != 2*unit {
		t.Errorf("other order of columns: %+v, %v", row, ok)
	}
	_, err = Parse(a, b, File{"c.csv", a.Data})
	if err == nil || !strings.HasPrefix(err.Error(), "c.csv:2:14: sms outbound 1 has two prices from the same time on (the first is in a.csv:2)") {
		t.Errorf("same row in two files: %v", err)
	}
}

func TestFindingsAreBounded(t *testing.T) {
	_, err := Parse(File{"t.csv", []byte(header + strings.Repeat("sms,outbound,x,EUR,1,,,,2026-01-01\n", 1000))})
	var errs strict.Errors
	if !errors.As(err, &errs) || len(errs) != maxFindings+1 || errs[maxFindings].Message != "and 800 more; correct these first" {
		t.Errorf("%d findings, the last %v", len(errs), errs[len(errs)-1])
	}
}

func TestRowsAreBounded(t *testing.T) {
	files := []File{{"a.csv", manyRows(2)}, {"b.csv", []byte(header + "sms,outbound,*,EUR,1,,,,2026-01-01\n")}}
	if table, err := parse(files, 3); err != nil || table.Len() != 3 {
		t.Errorf("as many as may be: %v", err)
	}
	if _, err := parse(files, 2); err == nil || err.Error() != "b.csv:2:1: the tariffs have more than 2 rows" {
		t.Errorf("one more: %v", err)
	}
}

func TestAllGivesTheRows(t *testing.T) {
	table := mustParse(t, example)
	rows := slices.Collect(table.All())
	if len(rows) != table.Len() {
		t.Errorf("%d of %d rows", len(rows), table.Len())
	}
	again := mustParse(t, write(rows))
	if got := slices.Collect(again.All()); !slices.Equal(got, rows) {
		t.Errorf("read again:\n%+v\nnot\n%+v", got, rows)
	}
	for range table.All() {
		break
	}
}

// write makes a file of rows.
func write(rows []Row) string {
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(header, "\n") + ",charge_on\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "%s,%s,%s,%v,%v,%v,%d,%d,%s,%s\n", r.Channel, r.Direction, r.Prefix, r.Currency, r.Price, r.Setup,
			r.Minimum/time.Second, r.Increment/time.Second, r.ValidFrom.Format(time.RFC3339), map[bool]string{true: "delivered"}[r.OnDelivery])
	}
	return b.String()
}

// C1: what can be read has exactly the rows of the file, each can be found, and
// every finding has a place in the file.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		example, header, "", "\ufeff" + header, header + "sms,outbound,\"1\n\",EUR,1,,,,2026-01-01", header + "\"", "a;b\n",
		strings.TrimSuffix(header, "\n") + ",charge_on\nsms,outbound,385,EUR,0.1,,,,2026-01-01,delivered\n",
		header + "voice,inbound,*,EUR,0.000001,0.1,1,60,2026-01-01T00:00:00+14:00\r\n", strings.Replace(header, "price", "Price", 1),
		header + "email,outbound,xn--aj-nqa.hr,USD,1,,,,0001-01-01\nemail,outbound,*,USD,1,,,,9999-12-31\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := Parse(File{"t.csv", data})
		var errs strict.Errors
		if errors.As(err, &errs) {
			for _, e := range errs {
				if e.Line < 1 || e.Line > strings.Count(string(data), "\n")+1 || e.Column < 1 || e.File != "t.csv" || e.Message == "" {
					t.Fatalf("%+v", e)
				}
				e.Excerpt()
			}
			return
		}
		rows := slices.Collect(table.All())
		for _, r := range rows {
			address := strings.TrimPrefix(r.Prefix, AnyAddress)
			if r.Channel == Email && address != "" {
				address = "p@" + r.Prefix
			}
			if got, ok := table.Lookup(r.Channel, r.Direction, address, r.ValidFrom); !ok || got != r {
				t.Fatalf("%+v is found as %+v, %v", r, got, ok)
			}
		}
		if got := slices.Collect(mustParse(t, write(rows)).All()); !sameRows(got, rows) {
			t.Fatalf("read again:\n%+v\nnot\n%+v", got, rows)
		}
	})
}

// sameRows compares regardless of the order of domains.
func sameRows(a, b []Row) bool {
	set := map[Row]bool{}
	for _, r := range a {
		set[r] = true
	}
	for _, r := range b {
		if !set[r] {
			return false
		}
	}
	return len(a) == len(b) && len(set) == len(a)
}
