package host

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestAmounts(t *testing.T) {
	for text, want := range map[string]Amount{"100 EUR": {100_000_000, "EUR"}, "0.5 USD": {500_000, "USD"}, "1.000001 EUR": {1_000_001, "EUR"}} {
		var a Amount
		if err := a.UnmarshalText([]byte(text)); err != nil || a != want || a.String() != text {
			t.Errorf("%s: %+v %v", text, a, err)
		}
	}
	for _, text := range []string{"", "100", "EUR 100", "1.0000001 EUR", "-1 EUR", "1 eur", "1,5 EUR", ".5 EUR"} {
		if new(Amount).UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestBlockedNumbers(t *testing.T) {
	rules := Forwarding{Blocked: []string{"+3859"}, Allowed: []string{"882", "38591"}}
	for number, want := range map[string]bool{
		"88213": false, "88313": true, "385922": true, "385911": false, "38511": false, "19005551234": true, "1905555": false, "97912345": true, "4490612": true, "44207": false,
	} {
		if rules.blocked(number) != want {
			t.Errorf("%s is blocked: %v", number, !want)
		}
	}
}

// Whatever calls begin, go on and end, never more is spent or reserved than the
// day allows; when all are over, what is spent is what they cost.
func TestMoneyOfADay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(0, 5_000_000).Draw(t, "limit")
		rate := Rate{
			PerMinute: rapid.Int64Range(0, 1_000_000).Draw(t, "price"), Setup: rapid.Int64Range(0, 50_000).Draw(t, "setup"),
			Minimum: time.Duration(rapid.Int64Range(0, 60).Draw(t, "minimum")) * time.Second, Increment: time.Duration(rapid.Int64Range(1, 60).Draw(t, "increment")) * time.Second, Currency: "EUR",
		}
		p := newPolicy(Forwarding{MaxCalls: 10, MaxPair: 10, DayMoney: []Amount{{limit, "EUR"}}})
		now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
		var open []*meter
		cost := int64(0)
		settle := func(i int) {
			talk := time.Duration(rapid.Int64Range(-1, int64(open[i].covered)).Draw(t, "talk"))
			if talk >= 0 {
				cost += rate.cost(talk)
			}
			p.settle(open[i], talk)
			open = append(open[:i], open[i+1:]...)
		}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch what := rapid.IntRange(0, 2).Draw(t, "what"); {
			case what == 0:
				if m, why := p.admit("f", "1", "385", rate, true, now); why == "" {
					open = append(open, m)
				}
			case len(open) == 0:
			case what == 1:
				open[rapid.IntRange(0, len(open)-1).Draw(t, "which")].extend(now)
			default:
				settle(rapid.IntRange(0, len(open)-1).Draw(t, "which"))
			}
			if spent := p.spent[account{"f", "EUR"}]; spent > limit || spent < cost {
				t.Fatalf("%d of %d are spent or reserved, calls cost %d", spent, limit, cost)
			}
		}
		for len(open) > 0 {
			settle(0)
		}
		if spent := p.spent[account{"f", "EUR"}]; spent != cost || p.calls != 0 || len(p.pairs) != 0 {
			t.Fatalf("%d are spent, calls cost %d; %d calls stand", spent, cost, p.calls)
		}
	})
}

func TestCallsOfADay(t *testing.T) {
	p := newPolicy(Forwarding{MaxCalls: 2, MaxPair: 1, DayCalls: 3})
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	m1, _ := p.admit("f", "1", "2", Rate{}, false, now)
	if _, why := p.admit("f", "1", "2", Rate{}, false, now); why != codeLoop {
		t.Error(why)
	}
	m2, _ := p.admit("f", "1", "3", Rate{}, false, now)
	if _, why := p.admit("f", "1", "4", Rate{}, false, now); why != codeCalls {
		t.Error(why)
	}
	p.settle(m1, time.Second)
	p.settle(m2, -1)
	m3, why := p.admit("f", "1", "2", Rate{}, false, now)
	if why != "" {
		t.Error(why)
	}
	p.settle(m3, -1)
	if _, why := p.admit("f", "1", "2", Rate{}, false, now); why != codeCalls {
		t.Error(why)
	}
	if _, why := p.admit("f", "1", "2", Rate{}, false, now.Add(24*time.Hour)); why != "" {
		t.Error(why)
	}
}
