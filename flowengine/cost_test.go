package flowengine

import (
	"errors"
	"reflect"
	"testing"

	"trunkline/flowengine/record"
	"trunkline/flowengine/tariff"
)

// C4: what a message cost is kept with its history, to the millionth; a price of
// nothing and an unknown one are told apart.
func TestChargeRoundTrip(t *testing.T) {
	eur := tariff.Currency{'E', 'U', 'R'}
	want := []Event{
		{Kind: Accepted, Flow: "f", Element: "a", Units: 3, First: true, Charge: Charge{Cost: 135_003, Currency: eur}},
		{Kind: Accepted, Flow: "f", Element: "a", Units: 1, Charge: Charge{Currency: eur}},
		{Kind: Failed, Flow: "f", Element: "a", Units: 1, Detail: "rejected", Charge: Charge{CostUnknown: true}},
		{Kind: Accepted, Flow: "f", Element: "api", Units: 1},
	}
	got, err := DecodeEvents(AppendEvents(nil, want), nil)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
	for i, priced := range []bool{true, true, false, false} {
		if got[i].Priced() != priced {
			t.Errorf("event %d is priced: %t", i, got[i].Priced())
		}
	}
	damaged := AppendEvents(nil, []Event{{Kind: Accepted, Charge: Charge{Currency: tariff.Currency{'e', 'u', 'r'}}}})
	if _, err := DecodeEvents(damaged, nil); !errors.Is(err, record.ErrDamaged) {
		t.Errorf("a currency in small letters: %v", err)
	}
}

// M6: that somebody is a recipient is remembered.
func TestContactedRoundTrip(t *testing.T) {
	var want, got Passages
	want.Membership("f").Contacted = true
	if err := DecodePassages(AppendPassages(nil, &want), &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
}

// C1, C2, M6: of a message of which the carrier took a part before it refused the
// rest, that part is paid, and it went to somebody. Without tariffs its cost is unknown.
func TestPartOfAMessageIsCharged(t *testing.T) {
	table, err := tariff.Parse(tariff.File{Name: "t.csv", Data: []byte("channel,direction,prefix,currency,price,setup,min_s,increment_s,valid_from\nsms,outbound,385,EUR,0.07,,,,2020-01-01\n")})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		tariffs *tariff.Table
		want    Charge
	}{
		{"priced", table, Charge{Cost: 140_000, Currency: tariff.Currency{'E', 'U', 'R'}}},
		{"no tariff", nil, Charge{CostUnknown: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, _, err := NewSet(testSchema(t), nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			set.WithTariffs(c.tariffs)
			var passages Passages
			result := &SendResult{ID: "m", Origin: Origin{Flow: "f", Version: 1, Element: "a"}, Channel: "sms", To: "385911", Parts: 2, Reason: "rejected"}
			r := set.Step(new(Person), &passages, result, testNow)
			want := Event{Kind: Failed, Flow: "f", Version: 1, Element: "a", Units: 2, First: true, Detail: "rejected", Message: "m", Charge: c.want}
			if len(r.Log) != 1 || r.Log[0] != want || !r.PassagesChanged {
				t.Errorf("got %+v, want %+v", r.Log, want)
			}
			if r = set.Step(new(Person), &passages, result, testNow); r.Log[0].First || r.PassagesChanged {
				t.Errorf("the second message made a recipient again: %+v", r.Log)
			}
		})
	}
}
