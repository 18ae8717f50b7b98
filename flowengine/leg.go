package flowengine

import (
	"time"

	"trunkline/flowengine/tariff"
)

// LegEnded is the cause that a leg of a call, which a flow asked for or took, is
// over and has a price (rule C3).
type LegEnded struct {
	ID     string // of the leg: call/number
	Origin Origin
	Charge Charge
}

func (*LegEnded) cause() {}

// legEnded notes what a leg cost. The run may be over by then.
func (st *step) legEnded(c *LegEnded) {
	o := st.ours(c.Origin)
	st.log(Event{Kind: Billed, Flow: o.Flow, Version: o.Version, Element: o.Element, Number: o.Number, Units: 1, Detail: c.ID, Charge: c.Charge})
}

// LegCharge prices one leg of a call by the time from its answer to its end, and
// says for how long it is billed (rule C3). A leg that came in has no price where
// no tariff names one; one that went out has an unknown one then.
func (s *Set) LegCharge(outbound bool, to string, answered, ended time.Time) (Charge, time.Duration) {
	direction := tariff.Inbound
	if outbound {
		direction = tariff.Outbound
	}
	at := answered
	if at.IsZero() {
		at = ended
	}
	price, known := s.tariffs.Call(direction, to, !answered.IsZero(), ended.Sub(at), at)
	switch {
	case known:
		return Charge{Cost: price.Total.Money, Currency: price.Total.Currency}, time.Duration(price.Units) * time.Second
	case outbound && !answered.IsZero():
		return Charge{CostUnknown: true}, 0
	}
	return Charge{}, 0
}

// LegRow is the row of the tariffs by which a leg that goes out now would be
// charged, for checks before it is dialled.
func (s *Set) LegRow(to string, at time.Time) (tariff.Row, bool) {
	return s.tariffs.Lookup(tariff.Voice, tariff.Outbound, to, at)
}
