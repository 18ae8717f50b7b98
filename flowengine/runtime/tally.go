package runtime

import (
	"maps"
	"slices"
	"strings"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
	"trunkline/flowengine/tariff"
)

// Counts are the metrics of one element, in one version of its flow or in all.
type Counts struct {
	Total     uint64 // engagements: arrivals at the element (rule M1)
	Unique    uint64 // persons who ever reached it (rule M2)
	Sent      uint64 // units that a carrier accepted (rule M3)
	Delivered uint64 // messages with a positive final report
	Failed    uint64 // messages that were not sent, or not delivered
	Unknown   uint64 // of Sent, units whose cost is not known (rule C1)
	Clicks    uint64 // links followed (rule U1)
	Clickers  uint64 // persons who ever followed one

	// Of e-mails. What programs did (scanners, and those that load pictures ahead) is
	// counted apart from what persons did.
	Opens, Openers              uint64
	Unsubscribes, Unsubscribers uint64
	Complaints, Complainers     uint64
	MachineOpens, MachineClicks uint64
}

func (c *Counts) add(o Counts) {
	c.Total += o.Total
	c.Unique += o.Unique
	c.Sent += o.Sent
	c.Delivered += o.Delivered
	c.Failed += o.Failed
	c.Unknown += o.Unknown
	c.Clicks += o.Clicks
	c.Clickers += o.Clickers
	for i, n := range o.mail() {
		*c.mail()[i] += *n
	}
}

func (c *Counts) subtract(o Counts) {
	c.Total -= o.Total
	c.Unique -= o.Unique
	c.Sent -= o.Sent
	c.Delivered -= o.Delivered
	c.Failed -= o.Failed
	c.Unknown -= o.Unknown
	c.Clicks -= o.Clicks
	c.Clickers -= o.Clickers
	for i, n := range o.mail() {
		*c.mail()[i] -= *n
	}
}

// mail are the counts of e-mails, in the order of their stored form.
func (c *Counts) mail() [8]*uint64 {
	return [...]*uint64{&c.Opens, &c.Openers, &c.Unsubscribes, &c.Unsubscribers, &c.Complaints, &c.Complainers, &c.MachineOpens, &c.MachineClicks}
}

// ElementKey names an element of one version.
type ElementKey struct {
	Element string
	Version uint32
}

// Tally is the sum of what happened in a flow. The counters that are stored
// with every commit, and a recount of the history, are both tallies (rule M5).
type Tally struct {
	Entered  uint64
	Exited   map[string]uint64 // by reason
	Refused  map[string]uint64 // by reason
	Elements map[ElementKey]*Counts
	Goals    map[GoalKey]*GoalCounts
	// Recipients are the persons to whom at least one message was submitted (rule M6).
	Recipients uint64
	Costs      map[CostKey]tariff.Money
	// Used is when an element ran last (rule S4). It is no sum, and a recount
	// doesn't know it.
	Used time.Time
}

// GoalKey names what a goal with a mark counted, overall, for one branch of a
// split (element/port), or for the control group (flowengine.ControlBranch).
type GoalKey struct {
	Goal, Branch string
	Mark         uint32 // see flowengine.Goal.Mark
}

// GoalCounts are the metrics of a goal (rule G3).
type GoalCounts struct {
	Reached   uint64 // persons who reached the anchor
	Converted uint64 // of them, those with an event in the window
	Events    uint64 // all events in the windows
}

func (c *GoalCounts) add(o GoalCounts) {
	c.Reached += o.Reached
	c.Converted += o.Converted
	c.Events += o.Events
}

func (c *GoalCounts) subtract(o GoalCounts) {
	c.Reached -= o.Reached
	c.Converted -= o.Converted
	c.Events -= o.Events
}

// NewTally makes an empty tally.
func NewTally() *Tally {
	return &Tally{Exited: map[string]uint64{}, Refused: map[string]uint64{}, Elements: map[ElementKey]*Counts{}, Goals: map[GoalKey]*GoalCounts{}, Costs: map[CostKey]tariff.Money{}}
}

// Count adds one event of the flow.
func (t *Tally) Count(e *flowengine.Event) {
	switch e.Kind {
	case flowengine.Entered:
		t.Entered++
	case flowengine.Exited:
		t.Exited[e.Detail]++
	case flowengine.Refused:
		t.Refused[e.Detail]++
	case flowengine.GoalAnchored, flowengine.GoalReached:
		t.countGoal(e)
		return
	case flowengine.Accepted, flowengine.Failed:
		if e.First {
			t.Recipients++
		}
	}
	if e.Element == "" {
		return
	}
	switch e.Kind {
	case flowengine.Engaged:
		c := t.element(e)
		c.Total++
		if e.First {
			c.Unique++
		}
	case flowengine.Accepted:
		t.element(e).Sent += uint64(e.Units)
		t.countCost(e)
	case flowengine.Failed:
		c := t.element(e)
		c.Failed++
		c.Sent += uint64(e.Units) // parts that were taken before one was refused
		t.countCost(e)
	case flowengine.Billed:
		t.countCost(e)
	case flowengine.Clicked:
		c := t.element(e)
		c.Clicks++
		if e.First {
			c.Clickers++
		}
	case flowengine.Opened:
		c := t.element(e)
		c.Opens, c.Openers = c.Opens+1, c.Openers+one(e.First)
	case flowengine.Unsubscribed:
		c := t.element(e)
		c.Unsubscribes, c.Unsubscribers = c.Unsubscribes+1, c.Unsubscribers+one(e.First)
	case flowengine.Complained:
		c := t.element(e)
		c.Complaints, c.Complainers = c.Complaints+1, c.Complainers+one(e.First)
	case flowengine.Scanned:
		c := t.element(e)
		if e.Detail == "click" {
			c.MachineClicks++
		} else {
			c.MachineOpens++
		}
	case flowengine.Reported:
		t.countCost(e)
		if e.First {
			t.element(e).Delivered++
		} else {
			t.element(e).Failed++
		}
	}
}

func one(yes bool) uint64 {
	if yes {
		return 1
	}
	return 0
}

// uncount takes an event back that was counted.
func (t *Tally) uncount(e *flowengine.Event) {
	o := NewTally()
	o.Count(e)
	t.Entered -= o.Entered
	t.Recipients -= o.Recipients
	for k, n := range o.Exited {
		t.Exited[k] -= n
	}
	for k, n := range o.Refused {
		t.Refused[k] -= n
	}
	for _, c := range o.Elements {
		t.element(e).subtract(*c)
	}
	for k, c := range o.Goals {
		t.goal(k).subtract(*c)
	}
	for k, m := range o.Costs {
		t.Costs[k] -= m
	}
}

// countGoal adds an event to the goal overall, and to the branch that it names.
func (t *Tally) countGoal(e *flowengine.Event) {
	all := t.goal(GoalKey{e.Detail, "", e.Units})
	if e.Element == flowengine.ControlBranch { // persons who never entered are compared with the others, not added to them
		all = new(GoalCounts)
	}
	branch := new(GoalCounts)
	if e.Element != "" {
		branch = t.goal(GoalKey{e.Detail, e.Element, e.Units})
	}
	switch e.Kind {
	case flowengine.GoalAnchored:
		branch.Reached++
		if e.First {
			all.Reached++
		}
	default:
		all.Events++
		branch.Events++
		if e.First {
			all.Converted++
			branch.Converted++
		}
	}
}

func (t *Tally) goal(k GoalKey) *GoalCounts {
	c := t.Goals[k]
	if c == nil {
		c = new(GoalCounts)
		t.Goals[k] = c
	}
	return c
}

func (t *Tally) element(e *flowengine.Event) *Counts {
	k := ElementKey{e.Element, e.Version}
	c := t.Elements[k]
	if c == nil {
		c = new(Counts)
		t.Elements[k] = c
	}
	return c
}

// Add adds all of o.
func (t *Tally) Add(o *Tally) {
	t.Entered += o.Entered
	for k, n := range o.Exited {
		t.Exited[k] += n
	}
	for k, n := range o.Refused {
		t.Refused[k] += n
	}
	for k, c := range o.Elements {
		if t.Elements[k] == nil {
			t.Elements[k] = new(Counts)
		}
		t.Elements[k].add(*c)
	}
	for k, c := range o.Goals {
		t.goal(k).add(*c)
	}
	t.addCosts(o)
	t.use(o.Used)
}

// use notes that an element ran at that time.
func (t *Tally) use(at time.Time) {
	if at.After(t.Used) {
		t.Used = at
	}
}

// ByElement sums the versions of each element.
func (t *Tally) ByElement() map[string]Counts {
	sum := map[string]Counts{}
	for k, c := range t.Elements {
		s := sum[k.Element]
		s.add(*c)
		sum[k.Element] = s
	}
	return sum
}

// Equal reports whether two tallies count the same.
func (t *Tally) Equal(o *Tally) bool {
	return t.Entered == o.Entered && maps.Equal(t.Exited, o.Exited) && maps.Equal(t.Refused, o.Refused) &&
		maps.EqualFunc(t.Elements, o.Elements, func(a, b *Counts) bool { return *a == *b }) &&
		maps.EqualFunc(t.counted(), o.counted(), func(a, b *GoalCounts) bool { return *a == *b }) &&
		t.Recipients == o.Recipients && maps.Equal(t.Costs, o.Costs)
}

// counted is the goals without those for which nothing counts any more.
func (t *Tally) counted() map[GoalKey]*GoalCounts {
	goals := maps.Clone(t.Goals)
	maps.DeleteFunc(goals, func(_ GoalKey, c *GoalCounts) bool { return *c == GoalCounts{} })
	return goals
}

func (t *Tally) append(b []byte) []byte {
	b = record.AppendUint(b, 1, t.Entered)
	b = appendReasons(b, 2, t.Exited)
	b = appendReasons(b, 3, t.Refused)
	for k, c := range t.Elements {
		b = record.AppendNested(b, 4, func(b []byte) []byte {
			b = record.AppendString(b, 1, k.Element)
			b = record.AppendUint(b, 2, uint64(k.Version))
			b = record.AppendUint(b, 3, c.Total)
			b = record.AppendUint(b, 4, c.Unique)
			b = record.AppendUint(b, 5, c.Sent)
			b = record.AppendUint(b, 6, c.Delivered)
			b = record.AppendUint(b, 7, c.Failed)
			b = record.AppendUint(b, 8, c.Unknown)
			b = record.AppendUint(b, 9, c.Clicks)
			b = record.AppendUint(b, 10, c.Clickers)
			for i, n := range c.mail() {
				b = record.AppendUint(b, countMail+i, *n)
			}
			return b
		})
	}
	for k, c := range t.Goals {
		b = record.AppendNested(b, 5, func(b []byte) []byte {
			b = record.AppendString(b, 1, k.Goal)
			b = record.AppendString(b, 2, k.Branch)
			b = record.AppendUint(b, 3, c.Reached)
			b = record.AppendUint(b, 4, c.Converted)
			b = record.AppendUint(b, 5, c.Events)
			return record.AppendUint(b, 6, uint64(k.Mark))
		})
	}
	return record.AppendTime(t.appendCosts(b), tallyUsed, t.Used)
}

// tallyUsed is the number of Tally.Used in its stored form.
const tallyUsed = 20

// countMail is the number of the first of Counts.mail in their stored form.
const countMail = 11

func appendReasons(b []byte, num int, m map[string]uint64) []byte {
	for reason, n := range m {
		b = record.AppendNested(b, num, func(b []byte) []byte {
			return record.AppendUint(record.AppendString(b, 1, reason), 2, n)
		})
	}
	return b
}

func decodeTally(b []byte) (*Tally, error) {
	t := NewTally()
	err := record.Decode(b, "tally", func(f record.Field) error {
		switch f.Num {
		case 1:
			t.Entered = f.Uint
		case 2:
			return decodeReason(f.Bytes, t.Exited)
		case 3:
			return decodeReason(f.Bytes, t.Refused)
		case 4:
			var k ElementKey
			var c Counts
			err := record.Decode(f.Bytes, "element counters", func(f record.Field) error {
				switch f.Num {
				case 1:
					k.Element = string(f.Bytes)
				case 2:
					k.Version = uint32(f.Uint)
				case 3:
					c.Total = f.Uint
				case 4:
					c.Unique = f.Uint
				case 5:
					c.Sent = f.Uint
				case 6:
					c.Delivered = f.Uint
				case 7:
					c.Failed = f.Uint
				case 8:
					c.Unknown = f.Uint
				case 9:
					c.Clicks = f.Uint
				case 10:
					c.Clickers = f.Uint
				default:
					if i := f.Num - countMail; i >= 0 && i < len(c.mail()) {
						*c.mail()[i] = f.Uint
					}
				}
				return nil
			})
			t.Elements[k] = &c
			return err
		case 5:
			return decodeGoalCounts(f.Bytes, t.Goals)
		case tallyCost:
			return decodeCost(f.Bytes, t.Costs)
		case tallyRecipients:
			t.Recipients = f.Uint
		case tallyUsed:
			t.Used = f.Time()
		}
		return nil
	})
	return t, err
}

func decodeGoalCounts(b []byte, goals map[GoalKey]*GoalCounts) error {
	var k GoalKey
	c := new(GoalCounts)
	err := record.Decode(b, "goal counters", func(f record.Field) error {
		switch f.Num {
		case 1:
			k.Goal = string(f.Bytes)
		case 2:
			k.Branch = string(f.Bytes)
		case 3:
			c.Reached = f.Uint
		case 4:
			c.Converted = f.Uint
		case 5:
			c.Events = f.Uint
		case 6:
			k.Mark = uint32(f.Uint)
		}
		return nil
	})
	goals[k] = c
	return err
}

func decodeReason(b []byte, m map[string]uint64) error {
	var reason string
	var n uint64
	err := record.Decode(b, "reason", func(f record.Field) error {
		switch f.Num {
		case 1:
			reason = string(f.Bytes)
		case 2:
			n = f.Uint
		}
		return nil
	})
	m[reason] = n
	return err
}

// dayOf numbers the UTC days, for counters by day.
func dayOf(t time.Time) uint32 { return uint32(t.Unix() / 86400) }

// sortedElements lists the element ids of a tally in order.
func sortedElements(m map[string]Counts) []string {
	return slices.SortedFunc(maps.Keys(m), strings.Compare)
}
