package httpapi

import (
	"fmt"
	"strings"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
)

// Cost is what messages cost, currency by currency (rule C4).
type Cost struct {
	Amounts []Amount `json:"amounts" nullable:"false" doc:"Sums by currency, of what has a known price."`
	// UnknownUnits are never counted as free (rule C1).
	UnknownUnits uint64 `json:"unknown_units" doc:"Parts of messages that no tariff has a price for: what they cost is unknown, and in none of the amounts."`
}

// Amount is a sum of money.
type Amount struct {
	Currency string `json:"currency" doc:"Code of ISO 4217."`
	Amount   string `json:"amount" doc:"Exact decimal number, in units of the currency."`
}

// ViewCost makes the plain form of a cost.
func ViewCost(c runtime.Cost) Cost {
	v := Cost{Amounts: []Amount{}, UnknownUnits: c.Unknown}
	for _, a := range c.Amounts {
		v.Amounts = append(v.Amounts, Amount{a.Currency.String(), a.Money.String()})
	}
	return v
}

// String gives a cost for people, as in "0.14 EUR, unknown for 2 parts". Nothing
// to pay for is "-".
func (c Cost) String() string {
	var parts []string
	for _, a := range c.Amounts {
		parts = append(parts, a.Amount+" "+a.Currency)
	}
	switch {
	case c.UnknownUnits == 1:
		parts = append(parts, "unknown for 1 part")
	case c.UnknownUnits > 1:
		parts = append(parts, fmt.Sprintf("unknown for %d parts", c.UnknownUnits))
	case len(parts) == 0:
		return "-"
	}
	return strings.Join(parts, ", ")
}

// viewCharge says what a carrier asked for, behind what it took.
func viewCharge(e *flowengine.Event) string {
	switch {
	case e.CostUnknown:
		return ", cost unknown"
	case e.Priced():
		return " for " + e.Amount().String()
	}
	return ""
}
