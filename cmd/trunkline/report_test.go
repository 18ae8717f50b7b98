package main

import (
	"encoding/csv"
	"maps"
	"strings"
	"testing"
	"time"

	"trunkline/gateway/httpapi"
)

const tariffHeader = "channel,direction,prefix,currency,price,setup,min_s,increment_s,valid_from\n"

// A mistake in a tariff is told with its place, like any other.
func TestCheckTellsMistakesOfTariffs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change map[string]string // further files
		want   string            // on standard error, all of it
	}{
		{
			name:   "price and currency",
			change: map[string]string{"tariffs/a.csv": tariffHeader + "sms,outbound,385,euro,0.07,,,,2026-01-01\nsms,outbound,386,EUR,7 cents,,,,2026-01-01\n"},
			want: `tariffs/a.csv:2:18: "euro" is not a currency: three capital letters of ISO 4217 are expected, such as EUR
tariffs/a.csv:3:22: "7 cents" is not an amount: digits with a decimal point are expected, such as 0.0123
trunkline: the configuration has 2 mistakes`,
		},
		{
			name: "a price twice, in two files",
			change: map[string]string{
				"tariffs/a.csv": tariffHeader + "sms,outbound,385,EUR,0.07,,,,2026-01-01\n",
				"tariffs/b.csv": tariffHeader + "sms,outbound,385,EUR,0.08,,,,2026-01-01\n",
			},
			want: `tariffs/b.csv:2:14: sms outbound 385 has two prices from the same time on (the first is in tariffs/a.csv:2)`,
		},
		{
			name:   "together with a mistake of a flow",
			change: map[string]string{"tariffs/a.csv": tariffHeader + "fax,outbound,385,EUR,0.07,,,,2026-01-01\n", "flows/hello.yaml": strings.Replace(small["flows/hello.yaml"], "next: say", "next: sya", 1)},
			want: `flows/hello.yaml:3:83: entry point "in" leads to "sya", which does not exist (did you mean "say"?)
tariffs/a.csv:2:1: "fax" is no channel (one of sms, email, voice, push, chat is expected)
trunkline: the configuration has 2 mistakes`,
		},
		{
			name:   "a file that is not there",
			change: map[string]string{"trunkline.yaml": "tariffs: [prices.csv]\n" + small["trunkline.yaml"]},
			want:   `trunkline.yaml:1:11: tariffs: open prices.csv: no such file or directory`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := maps.Clone(small)
			maps.Copy(files, c.change)
			s := newSite(t, files)
			s.config = "trunkline.yaml"
			if got := s.try("check"); got.code != 1 || got.errs != c.want+"\n" || got.out != "" {
				t.Errorf("exit code %d\n%s%s\n not\n%s", got.code, got.out, got.errs, c.want)
			}
		})
	}
}

// C1, C2, C4, M6: what messages cost is shown by element, in total and by day, for
// people, as JSON and as CSV; a reload brings other prices, and unknown is never 0.
func TestReport(t *testing.T) {
	t.Parallel()
	files := maps.Clone(small)
	files["prices.csv"] = tariffHeader + "sms,outbound,385,EUR,0.07,,,,2020-01-01\n"
	files["trunkline.yaml"] = strings.Replace(small["trunkline.yaml"], "data: data", "data: data\ntariffs: [prices.csv]\nstorage: {reserve_mib: 16}", 1) + "    duplicate_window: 0s\n"
	s := newSite(t, files)
	s.config = "trunkline.yaml"
	g := s.start()
	if got := s.must("report"); got != "nothing happened on these days\n" {
		t.Errorf("report of nothing: %q", got)
	}
	today := time.Now().UTC()
	g.text(anna, "hello")
	g.text(boris, "hello")
	eventually(t, "the messages were taken", func() bool { return s.flow("hello").Sent == 2 })
	if f := s.flow("hello"); f.Recipients != 2 || f.Cost.String() != "0.14 EUR" {
		t.Errorf("%d recipients, cost %s", f.Recipients, f.Cost)
	}
	if c := s.flow("hello").element("say").Cost; c.String() != "0.14 EUR" {
		t.Errorf("cost of the element: %s", c)
	}

	s.write("prices.csv", tariffHeader+"sms,outbound,1,USD,0.01,,,,2020-01-01\n")
	s.must("reload")
	g.text(anna, "hello")
	eventually(t, "the message was taken", func() bool { return s.flow("hello").Sent == 3 })
	text := s.must("flow", "show", "hello")
	for _, want := range []string{"recipients 2, messages sent 3, cost 0.14 EUR, unknown for 1 part\n", "FAILED  CLICKS  CLICKERS  COST\n", "  0.14 EUR, unknown for 1 part\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("flow show does not say %q:\n%s", want, text)
		}
	}
	if time.Now().UTC().Day() != today.Day() {
		t.Skip("SKIPPED: midnight came in between")
	}
	day := today.Format(time.DateOnly)
	const costs = "0.14 EUR, unknown for 1 part"
	if got := s.must("report", "--flow", "hello"); !strings.Contains(got, "FLOW   DAY         VERSION  ELEMENT") || !strings.Contains(got, "hello  "+day+"  1        say") || !strings.Contains(got, costs) {
		t.Errorf("report:\n%s", got)
	}

	var days []reportView
	s.decode(s.must("report", "--json", "--from", day, "--to", day), &days)
	if len(days) != 1 || len(days[0].Elements) != 1 {
		t.Fatalf("report --json: %+v", days)
	}
	d, e := days[0], days[0].Elements[0]
	if d.Flow != "hello" || d.Day != day || d.Entered != 3 || d.Recipients != 2 {
		t.Errorf("the day: %+v", d)
	}
	if e.ID != "say" || e.Version != 1 || e.Total != 3 || e.Unique != 2 || e.Sent != 3 || e.Failed != 0 || e.Cost.String() != costs {
		t.Errorf("the element: %+v", e)
	}

	rows, err := csv.NewReader(strings.NewReader(s.must("report", "--csv"))).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("report --csv: %v, %q", err, rows)
	}
	line := map[string]string{}
	for i, name := range rows[0] {
		line[name] = rows[2][i]
	}
	for name, want := range map[string]string{
		"kind": "element", "flow": "hello", "day": day, "version": "1", "element": "say", "total_engagements": "3", "unique_users_engaged": "2",
		"messages_sent": "3", "failed": "0", "unknown_cost_units": "1", "cost_EUR": "0.14", "recipients": "", "reached": "",
	} {
		if line[name] != want {
			t.Errorf("%s: %q, not %q", name, line[name], want)
		}
	}

	tomorrow := today.AddDate(0, 0, 1).Format(time.DateOnly)
	if got := s.must("report", "--from", tomorrow); got != "nothing happened on these days\n" {
		t.Errorf("report of tomorrow: %q", got)
	}
	s.refused([]string{`there is no flow "helo"; the flows are: hello`}, "report", "--flow", "helo")
	s.refused([]string{`from: "1.1.2026" is not a day; one such as 2026-01-31 is expected`}, "report", "--from", "1.1.2026")
	s.refused([]string{"there is no day from " + tomorrow + " to " + day}, "report", "--from", tomorrow, "--to", day)

	s.write("prices.csv", tariffHeader+"sms,outbound,x,USD,0.01,,,,2020-01-01\n")
	s.refused([]string{`prices.csv:2:14: "x" is no prefix of sms`}, "reload")
	g.stop()
}

// C4: in a spreadsheet each currency has a column; what has no known cost says so,
// and what costs nothing is told from what nothing was sent for.
func TestReportAsCSV(t *testing.T) {
	t.Parallel()
	amount := func(text, currency string) httpapi.Amount { return httpapi.Amount{Currency: currency, Amount: text} }
	known := []reportElement{
		{Version: 1, ID: "both", Sent: 2, Cost: httpapi.Cost{Amounts: []httpapi.Amount{amount("0.07", "EUR"), amount("0.1", "USD")}}},
		{Version: 1, ID: "free", Sent: 1, Cost: httpapi.Cost{Amounts: []httpapi.Amount{amount("0", "USD")}}},
		{Version: 1, ID: "some", Sent: 3, Cost: httpapi.Cost{Amounts: []httpapi.Amount{amount("0.07", "EUR")}, UnknownUnits: 2}},
	}
	unknown := reportElement{Version: 2, ID: "none", Sent: 1, Cost: httpapi.Cost{UnknownUnits: 1}}
	quiet := reportElement{Version: 2, ID: "wait", Total: 1, Unique: 1}
	for _, c := range []struct {
		name     string
		elements []reportElement
		want     []string // from unknown_cost_units on
	}{
		{"two currencies", append(known, unknown, quiet), []string{"unknown_cost_units,cost_EUR,cost_USD", "0,0.07,0.1", "0,,0", "2,0.07,", "1,unknown,unknown", "0,,"}},
		{"none is known", []reportElement{unknown, quiet}, []string{"unknown_cost_units,cost", "1,unknown", "0,"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b strings.Builder
			if err := writeReport(&b, []reportView{{Flow: "f", Day: "2026-01-31", Elements: c.elements, Goals: []reportGoal{{Goal: "bought", Branch: "s/a", Reached: 4, Converted: 1, Events: 2}}}}); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(b.String()), "\n")
			if len(lines) != len(c.want)+2 {
				t.Fatalf("%d lines:\n%s", len(lines), b.String())
			}
			lines = append(lines[:1:1], lines[2:]...) // that of the flow
			for i, want := range c.want {
				if !strings.HasSuffix(lines[i], ","+want) {
					t.Errorf("line %d is %q, which does not end in %q", i, lines[i], want)
				}
			}
			if goal := lines[len(lines)-1]; !strings.HasPrefix(goal, "goal,f,2026-01-31,,,bought,s/a,,,,,,,,,,4,1,2,") {
				t.Errorf("the goal: %q", goal)
			}
		})
	}
}
