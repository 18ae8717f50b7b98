package tariff

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// C4: money is whole millionths, read and written exactly.
func TestMoneyText(t *testing.T) {
	for _, tc := range []struct {
		text  string
		money Money
		again string
	}{
		{"0", 0, "0"},
		{"0.0123", 12_300, "0.0123"},
		{"0.000001", 1, "0.000001"},
		{"1.50", 1_500_000, "1.5"},
		{"007", 7_000_000, "7"},
		{"-4.25", -4_250_000, "-4.25"},
		{"9223372036854.775807", math.MaxInt64, "9223372036854.775807"},
	} {
		got, err := ParseMoney(tc.text)
		if err != nil || got != tc.money || got.String() != tc.again {
			t.Errorf("%s: %d %v %v", tc.text, got, got, err)
		}
	}
	if got := Money(math.MinInt64).String(); got != "-9223372036854.775808" {
		t.Errorf("the least: %s", got)
	}
	for _, text := range []string{"", "-", ".5", "5.", "+1", "1,5", "1e3", "0.1234567", "9223372036854.775808", "99999999999999999999", " 1", "1.2.3", "١"} {
		if got, err := ParseMoney(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

// C4
func TestMoneyTextIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Money(rapid.Int64Min(math.MinInt64+1).Draw(t, "money"))
		if got, err := ParseMoney(m.String()); err != nil || got != m {
			t.Fatalf("%d is written %q and read as %d, %v", int64(m), m, got, err)
		}
	})
}

// C4: arithmetic is exact or refused; the reference has no bounds.
func TestMoneyArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, n := rapid.Int64().Draw(t, "m"), rapid.Int64().Draw(t, "n")
		per := rapid.Int64Range(1, 1000).Draw(t, "per")
		x, y := big.NewInt(m), big.NewInt(n)

		sum, err := Money(m).Add(Money(n))
		agree(t, "sum", sum, err == nil, new(big.Int).Add(x, y))

		product, err := Money(m).Times(n)
		agree(t, "product", product, err == nil, new(big.Int).Mul(x, y))

		quotient, ok := Money(m).timesPer(n, per)
		exact := new(big.Int).Mul(x, y)
		sign := exact.Sign()
		exact.Abs(exact).Add(exact, big.NewInt(per/2)).Quo(exact, big.NewInt(per))
		if sign < 0 {
			exact.Neg(exact)
		}
		agree(t, "quotient", quotient, ok, exact)
	})
}

func agree(t *rapid.T, what string, got Money, ok bool, want *big.Int) {
	if ok != want.IsInt64() || ok && int64(got) != want.Int64() {
		t.Fatalf("%s: got %d, %v; want %v", what, got, ok, want)
	}
}

func TestOverflowIsAnError(t *testing.T) {
	if _, err := Money(math.MaxInt64).Add(1); !errors.Is(err, ErrOverflow) {
		t.Errorf("sum: %v", err)
	}
	if _, err := Money(math.MinInt64).Times(-1); !errors.Is(err, ErrOverflow) {
		t.Errorf("product: %v", err)
	}
}

// C4: one report per currency.
func TestTotalsPerCurrency(t *testing.T) {
	totals := Totals{}
	for _, text := range []string{"0.0123 EUR", "1 USD", "0.0077 EUR"} {
		a, err := ParseAmount(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := totals.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	want := []Amount{{20_000, Currency([]byte("EUR"))}, {1_000_000, Currency([]byte("USD"))}}
	if got := totals.Amounts(); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if err := totals.Add(Amount{math.MaxInt64, want[0].Currency}); !errors.Is(err, ErrOverflow) || totals[want[0].Currency] != 20_000 {
		t.Errorf("after an overflow: %v %v", totals, err)
	}
	if _, err := want[0].Add(want[1]); err == nil {
		t.Error("euros and dollars have a sum")
	}
}

func TestAmountText(t *testing.T) {
	for _, text := range []string{"", "1", "1EUR", "1 eur", "1 EURO", "1 €", "x EUR", "1  EUR"} {
		if a, err := ParseAmount(text); err == nil {
			t.Errorf("%q is read as %v", text, a)
		}
	}
	in := Amount{12_300, Currency([]byte("EUR"))}
	text, err := json.Marshal([]Amount{in, {}})
	if err != nil || string(text) != `[{"amount":"0.0123","currency":"EUR"},{"amount":"0","currency":""}]` {
		t.Errorf("%s %v", text, err)
	}
	var out []Amount
	if err := json.Unmarshal(text, &out); err != nil || out[0] != in || out[1] != (Amount{}) {
		t.Errorf("%v %v", out, err)
	}
}
