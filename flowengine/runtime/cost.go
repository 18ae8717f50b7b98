package runtime

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
	"trunkline/flowengine/tariff"
	"trunkline/storage"
)

// CostKey names what one element, in one version of its flow, cost in one currency.
type CostKey struct {
	ElementKey
	Currency tariff.Currency
}

// Cost is what a number of messages cost. Without amounts and unknown units
// there was nothing to pay for.
type Cost struct {
	Amounts []tariff.Amount // ordered by currency; nothing is ever converted (rule C4)
	Unknown uint64          // units that no tariff has a price for (rule C1)
}

// countCost adds what an event cost.
func (t *Tally) countCost(e *flowengine.Event) {
	switch {
	case e.CostUnknown:
		t.element(e).Unknown += uint64(e.Units)
	case e.Priced():
		t.spend(CostKey{ElementKey{e.Element, e.Version}, e.Currency}, e.Cost)
	}
}

// spend adds to a sum. At 9.2·10¹² units of a currency it stays: so the order
// of additions doesn't matter, and a recount agrees (rule M5).
func (t *Tally) spend(k CostKey, m tariff.Money) {
	sum, err := t.Costs[k].Add(m)
	if err != nil {
		sum = math.MaxInt64
	}
	t.Costs[k] = sum
}

func (t *Tally) addCosts(o *Tally) {
	t.Recipients += o.Recipients
	for k, m := range o.Costs {
		t.spend(k, m)
	}
}

// Cost sums what those elements and versions cost that match; nil: all of them.
func (t *Tally) Cost(match func(ElementKey) bool) Cost {
	sum := NewTally()
	var c Cost
	for k, n := range t.Elements {
		if match == nil || match(k) {
			c.Unknown += n.Unknown
		}
	}
	for k, m := range t.Costs {
		if match == nil || match(k.ElementKey) {
			sum.spend(CostKey{Currency: k.Currency}, m)
		}
	}
	for k, m := range sum.Costs {
		c.Amounts = append(c.Amounts, tariff.Amount{Money: m, Currency: k.Currency})
	}
	slices.SortFunc(c.Amounts, func(a, b tariff.Amount) int { return cmp.Compare(a.Currency.String(), b.Currency.String()) })
	return c
}

// CostOf is what an element cost in all versions.
func (t *Tally) CostOf(element string) Cost {
	return t.Cost(func(k ElementKey) bool { return k.Element == element })
}

// The numbers of what costs add to the stored form of a tally.
const (
	tallyCost       = 6
	tallyRecipients = 7
)

func (t *Tally) appendCosts(b []byte) []byte {
	for k, m := range t.Costs {
		b = record.AppendNested(b, tallyCost, func(b []byte) []byte {
			b = record.AppendString(b, 1, k.Element)
			b = record.AppendUint(b, 2, uint64(k.Version))
			b = record.AppendBytes(b, 3, k.Currency[:])
			return record.AppendInt(b, 4, int64(m))
		})
	}
	return record.AppendUint(b, tallyRecipients, t.Recipients)
}

func decodeCost(b []byte, costs map[CostKey]tariff.Money) error {
	var k CostKey
	var m tariff.Money
	err := record.Decode(b, "cost", func(f record.Field) (err error) {
		switch f.Num {
		case 1:
			k.Element = string(f.Bytes)
		case 2:
			k.Version = uint32(f.Uint)
		case 3:
			if k.Currency, err = tariff.ParseCurrency(string(f.Bytes)); err != nil {
				err = fmt.Errorf("%w: %w", record.ErrDamaged, err)
			}
		case 4:
			m = tariff.Money(f.Int())
		}
		return err
	})
	costs[k] = m
	return err
}

// DayTally is what happened in a flow on one day.
type DayTally struct {
	Flow   string
	Day    time.Time // its beginning; days are those of UTC
	Counts *Tally
}

// Days gives the counters by flow and day, for the days from and to and those
// between; a zero time sets no bound. flow "" stands for all of them.
func (rt *Runtime) Days(flow string, from, to time.Time) ([]DayTally, error) {
	if flow != "" {
		if err := rt.knows(flow); err != nil {
			return nil, err
		}
	}
	first, last := uint32(0), uint32(math.MaxUint32)
	if !from.IsZero() {
		first = dayOf(from)
	}
	if !to.IsZero() {
		last = dayOf(to)
	}
	type key struct {
		flow string
		day  uint32
	}
	sums := map[key]*Tally{}
	err := scanTallies(rt.store, func(f string, day uint32, value []byte) error {
		if flow != "" && f != flow || day < first || day > last {
			return nil
		}
		t, err := decodeTally(value)
		if err != nil {
			return err
		}
		if k := (key{f, day}); sums[k] == nil {
			sums[k] = t
		} else {
			sums[k].Add(t)
		}
		return nil
	})
	days := make([]DayTally, 0, len(sums))
	for _, k := range slices.SortedFunc(maps.Keys(sums), func(a, b key) int { return cmp.Or(cmp.Compare(a.flow, b.flow), cmp.Compare(a.day, b.day)) }) {
		days = append(days, DayTally{k.flow, time.Unix(int64(k.day)*86400, 0).UTC(), sums[k]})
	}
	return days, err
}

// scanTallies reads the stored counters of all shards. A flow and day may come
// several times; they add up.
func scanTallies(store storage.Reader, each func(flow string, day uint32, value []byte) error) error {
	for s := range flowengine.Shard(flowengine.Shards) {
		prefix := appendPrefix(nil, s, kindTally)
		var failed error
		err := store.Scan(prefix, nil, func(key, value []byte) bool {
			rest := key[len(prefix):]
			if len(rest) < 5 {
				failed = fmt.Errorf("%w: a counter key of %d bytes", record.ErrDamaged, len(key))
				return false
			}
			failed = each(string(rest[:len(rest)-5]), binary.BigEndian.Uint32(rest[len(rest)-4:]), value)
			return failed == nil
		})
		if err = firstError(err, failed); err != nil {
			return err
		}
	}
	return nil
}
