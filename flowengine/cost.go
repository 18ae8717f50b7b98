package flowengine

import (
	"fmt"
	"time"

	"trunkline/flowengine/record"
	"trunkline/flowengine/tariff"
)

// WithTariffs gives the set what messages cost. It belongs to the making of a
// set and returns s; without it the cost of everything is unknown.
func (s *Set) WithTariffs(t *tariff.Table) *Set {
	s.tariffs = t
	return s
}

// Charge is what a carrier asks for the parts that it took (rules C1, C2). It
// is fixed when they are taken, also when it is due only on delivery: later
// tariffs don't touch it (rule C4). The
// zero Charge is of what has no price by its nature.
type Charge struct {
	Cost     tariff.Money
	Currency tariff.Currency // of Cost; none: there is no price, or it is unknown
	// CostUnknown says that no tariff tells the price. It is not 0 then.
	CostUnknown bool
}

// Priced reports whether the event has a cost that is known; it may be 0.
func (c Charge) Priced() bool { return c.Currency != tariff.Currency{} }

// Amount is the cost of an event that is Priced.
func (c Charge) Amount() tariff.Amount { return tariff.Amount{Money: c.Cost, Currency: c.Currency} }

// charge prices what a carrier took of a message at this moment. What its tariff
// charges on delivery is owed until then. Requests to APIs have no price: nobody
// charges for them. Calls are charged by the records of their legs.
func (s *Set) charge(r *SendResult, at time.Time) (now, owed Charge) {
	if r.Parts == 0 || r.Channel == ChannelHTTP || r.Channel == channelVoice { // a call costs by its length (rule C3)
		return now, owed
	}
	price, known := s.tariffs.Message(r.Channel, tariff.Outbound, r.To, int(r.Parts), at)
	if !known {
		return Charge{CostUnknown: true}, owed
	}
	c := Charge{Cost: price.Total.Money, Currency: price.Total.Currency}
	if price.Row.OnDelivery {
		return now, c
	}
	return c, owed
}

// Owed is what a message that a carrier took at the moment costs once it is delivered.
func (s *Set) Owed(r *SendResult, at time.Time) Charge {
	_, owed := s.charge(r, at)
	return owed
}

// contacted notes that something was submitted to the person, and reports
// whether it is the first time in this flow (rule M6).
func (st *step) contacted(r *SendResult) (first bool) {
	if r.Parts == 0 || r.Channel == ChannelHTTP || r.Origin.Flow == "" {
		return false
	}
	m := st.passages.Membership(r.Origin.Flow)
	if m.Contacted || st.isNotice(r.Origin) {
		return false
	}
	m.Contacted = true
	st.result.PassagesChanged = true
	return true
}

// isNotice says whether something went to somebody else than the person.
func (st *step) isNotice(o Origin) bool {
	f := st.set.Flow(o.Flow)
	if f == nil {
		return false
	}
	v := f.Version(o.Version)
	if v == nil {
		return false
	}
	n := v.Node(o.Element)
	if n == nil {
		return false
	}
	_, ok := n.Element.(*Notify)
	return ok
}

// The numbers of a Charge in the stored form of an event.
const (
	eventCost        = 9
	eventCurrency    = 10
	eventCostUnknown = 11
)

// AppendCharge appends the stored form of c, as fields of the record that it is a
// part of.
func AppendCharge(b []byte, c *Charge) []byte {
	b = record.AppendInt(b, eventCost, int64(c.Cost))
	if c.Priced() {
		b = record.AppendBytes(b, eventCurrency, c.Currency[:])
	}
	return record.AppendBool(b, eventCostUnknown, c.CostUnknown)
}

// DecodeCharge reads a field into c, if it is one that AppendCharge wrote.
func DecodeCharge(f record.Field, c *Charge) error {
	switch f.Num {
	case eventCost:
		c.Cost = tariff.Money(f.Int())
	case eventCurrency:
		var err error
		if c.Currency, err = tariff.ParseCurrency(string(f.Bytes)); err != nil {
			return fmt.Errorf("%w: %w", record.ErrDamaged, err)
		}
	case eventCostUnknown:
		c.CostUnknown = f.Bool()
	}
	return nil
}
