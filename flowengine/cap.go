package flowengine

import (
	"cmp"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"trunkline/flowengine/record"
)

// Kinds of windows and policies of a cap.
const (
	capRolling  = "rolling"
	capCalendar = "calendar"
	capMonth    = "month"
	capSkip     = "skip"
	categoryAll = "all"
)

// Cap is how many messages a person may get over a channel in a stretch of time,
// from all flows together (rule X12). A message counts from when it may go out.
type Cap struct {
	Channel  string        `yaml:"channel" required:"true" enum:"sms,email,voice,push,chat" doc:"Channel whose messages count."`
	Max      int           `yaml:"max" required:"true" min:"1" max:"100" doc:"Messages that are allowed."`
	Per      time.Duration `yaml:"per" min:"1h" max:"90d" doc:"Stretch of time, such as 1d or 1w. Not with window: month."`
	Window   string        `yaml:"window" enum:"rolling,calendar,month" default:"rolling" doc:"rolling: in any stretch as long as per. calendar: in each day (1d), or week from Monday on (1w), in the person's time zone. month: in each calendar month there, without per."`
	Policy   string        `yaml:"policy" enum:"skip,hold" default:"skip" doc:"What happens to a message too many. skip: it is not sent. hold: it waits for a place, while it is valid."`
	Category string        `yaml:"category" enum:"marketing,transactional,all" default:"marketing" doc:"Which messages count and are capped."`
}

const week = 7 * 24 * time.Hour

func (p *Cap) check(c *Checker, path ...any) {
	at := append(path[:len(path):len(path)], "per")
	switch {
	case p.Window == capMonth && p.Per != 0:
		c.ErrorfAt(at, "a month is as long as the calendar says: leave `per` out, or say `window: rolling`")
	case p.Window != capMonth && p.Per == 0:
		c.ErrorfAt(path, "\"per\" is missing: say in which stretch of time, such as `per: 1d`, or `window: month`")
	}
	if p.Window == capCalendar && p.Per != 0 && p.Per != 24*time.Hour && p.Per != week {
		c.ErrorfAt(at, "a calendar has days (1d) and weeks (1w), and `window: month` has months; for other stretches say `window: rolling`")
	}
}

// covers says whether messages of the kind count.
func (p *Cap) covers(channel string, marketing bool) bool {
	if p.Channel != channel {
		return false
	}
	return p.Category == categoryAll || marketing == (p.Category == categoryMarketing)
}

// Place is a message that counts for caps.
type Place struct {
	Channel   string
	Marketing bool
	At        time.Time // from when on it may go out
	Message   uint32    // stands for its id
}

// placesMost bounds Passages.Places, whatever caps allow.
const placesMost = 1024

// placeMark stands for a message's id.
func placeMark(id string) uint32 { return uint32(xxhash.Sum64String(id)) }

// counts says whether any cap looks at messages of the kind.
func (p *Policy) counts(channel string, marketing bool) bool {
	return slices.ContainsFunc(p.Caps, func(c Cap) bool { return c.covers(channel, marketing) })
}

// place finds when all caps leave a place for a message that may go out at
// release. skip: one of them wants it not to be sent rather than late.
func (x *Passage) place(s *Send, release time.Time, window *Window) (free time.Time, skip bool) {
	free = release
	if !x.Set.policy.counts(s.Channel, s.Marketing) {
		return free, false
	}
	if len(x.State.Places) >= placesMost {
		return free, true
	}
	zone := x.zone()
	for before := (time.Time{}); free.After(before) && free.Before(s.Expires); { // what suits one cap may not suit another
		before = free
		for i := range x.Set.policy.Caps {
			c := &x.Set.policy.Caps[i]
			if !c.covers(s.Channel, s.Marketing) {
				continue
			}
			t := c.free(x.State.counted(c), free, zone)
			if t.After(free) && c.Policy == capSkip {
				return free, true
			}
			free = t
		}
		if window != nil {
			free = window.opening(free, zone)
		}
	}
	return free, false
}

// counted lists when the messages go out that count for a cap, in order.
func (p *Passages) counted(c *Cap) []time.Time {
	times := make([]time.Time, 0, len(p.Places))
	for i := range p.Places {
		if c.covers(p.Places[i].Channel, p.Places[i].Marketing) {
			times = append(times, p.Places[i].At)
		}
	}
	return times
}

// free is the first moment from t on at which one message more is allowed.
// Times are those of the messages that count, past and to come, in order.
func (p *Cap) free(times []time.Time, t time.Time, zone *time.Location) time.Time {
	if p.Window == capCalendar || p.Window == capMonth {
		return p.freePeriod(times, t, zone)
	}
	for !p.fits(times, t) {
		next := slices.IndexFunc(times, func(at time.Time) bool { return at.Add(p.Per).After(t) })
		if next < 0 {
			return t
		}
		t = times[next].Add(p.Per)
	}
	return t
}

// fits says whether with one message more at t there are, in no stretch of time
// as long as Per, more than Max.
func (p *Cap) fits(times []time.Time, t time.Time) bool {
	place := 0 // of t among times
	for place < len(times) && !times[place].After(t) {
		place++
	}
	at := func(i int) time.Time {
		switch {
		case i < place:
			return times[i]
		case i == place:
			return t
		}
		return times[i-1]
	}
	for first := max(0, place-p.Max); first <= place && first+p.Max <= len(times); first++ {
		if at(first+p.Max).Sub(at(first)) < p.Per {
			return false
		}
	}
	return true
}

// freePeriod is free for days, weeks and months of the calendar.
func (p *Cap) freePeriod(times []time.Time, t time.Time, zone *time.Location) time.Time {
	for {
		start, end := p.period(t, zone)
		n := 0
		for _, at := range times {
			if !at.Before(start) && at.Before(end) {
				n++
			}
		}
		if n < p.Max {
			return t
		}
		t = end
	}
}

// period is the day, week or month around t.
func (p *Cap) period(t time.Time, zone *time.Location) (start, end time.Time) {
	y, m, d := t.In(zone).Date()
	months, days := 0, 1
	switch {
	case p.Window == capMonth:
		months, days, d = 1, 0, 1
	case p.Per == week:
		days = 7
		d -= (int(t.In(zone).Weekday()) + 6) % 7
	}
	var midnight time.Time
	return localInstant(y, m, d, midnight, zone), localInstant(y, m+time.Month(months), d+days, midnight, zone)
}

// reserve takes the place of a message that is sent.
func (x *Passage) reserve(s *Send) {
	ps := x.State
	x.Set.policy.forget(ps, x.Now)
	if !x.Set.policy.counts(s.Channel, s.Marketing) {
		return
	}
	at := x.Now
	if s.NotBefore.After(at) {
		at = s.NotBefore
	}
	i, _ := slices.BinarySearchFunc(ps.Places, at, func(p Place, t time.Time) int {
		return cmp.Or(p.At.Compare(t), -1) // behind those of the same moment
	})
	ps.Places = slices.Insert(ps.Places, i, Place{s.Channel, s.Marketing, at, placeMark(s.ID)})
}

// forget drops the places that no cap looks at any more.
func (p *Policy) forget(ps *Passages, now time.Time) {
	if len(ps.Places) == 0 {
		return
	}
	ps.Places = slices.DeleteFunc(ps.Places, func(place Place) bool {
		return !slices.ContainsFunc(p.Caps, func(c Cap) bool {
			keep := c.Per
			if c.Window == capMonth {
				keep = 31 * 24 * time.Hour
			}
			if c.Window != capRolling {
				keep += 25 * time.Hour // a person may move between time zones
			}
			return c.covers(place.Channel, place.Marketing) && place.At.Add(keep).After(now)
		})
	})
	if len(ps.Places) == 0 {
		ps.Places = nil
	}
}

// release gives the place of a message back that no carrier took.
func (st *step) release(r *SendResult) {
	if r.Accepted || r.Parts > 0 || len(st.passages.Places) == 0 {
		return
	}
	mark := placeMark(r.ID)
	i := slices.IndexFunc(st.passages.Places, func(p Place) bool { return p.Message == mark })
	if i < 0 {
		return
	}
	st.passages.Places = slices.Delete(st.passages.Places, i, i+1)
	st.result.PassagesChanged = true
	st.tryHeld()
}

// placeFree is the cause that lets a held message be tried again.
type placeFree struct{}

func (*placeFree) cause() {}

// placesDue tries held messages when the time of one has come, before anything
// that happens now takes its place.
func (st *step) placesDue() {
	for i := range st.passages.Runs {
		if run := &st.passages.Runs[i]; !run.Held.IsZero() && !run.Deadline.After(st.now) && !st.paused(run.Flow) {
			st.tryHeld()
			return
		}
	}
}

// tryHeld tries all messages that caps hold: of flows with a higher priority
// first, then those that were held first.
func (st *step) tryHeld() {
	type held struct {
		RunKey
		priority int
		wait     uint64
	}
	var all []held
	for i := range st.passages.Runs {
		run := &st.passages.Runs[i]
		if v := st.version(run); v != nil && !run.Held.IsZero() && !st.paused(run.Flow) {
			all = append(all, held{RunKey{run.Flow, run.Version, run.Number}, v.Settings.Priority, run.Wait})
		}
	}
	slices.SortStableFunc(all, func(a, b held) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(a.wait, b.wait))
	})
	for _, h := range all {
		if run := st.passages.Run(h.Flow, h.Number); run != nil && !run.Held.IsZero() {
			st.resume(run, &placeFree{})
		}
	}
}

func (p *Place) append(b []byte) []byte {
	b = record.AppendString(b, 1, p.Channel)
	b = record.AppendBool(b, 2, p.Marketing)
	b = record.AppendTime(b, 3, p.At)
	return record.AppendFixed32(b, 4, p.Message)
}

func (p *Place) decode(b []byte) error {
	return record.Decode(b, "place", func(f record.Field) error {
		switch f.Num {
		case 1:
			p.Channel = string(f.Bytes)
		case 2:
			p.Marketing = f.Bool()
		case 3:
			p.At = f.Time()
		case 4:
			p.Message = uint32(f.Uint)
		}
		return nil
	})
}
