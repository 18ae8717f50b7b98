package flowengine

import (
	"slices"
	"time"
)

// Reasons for which an entry is refused (rule R4: counter entry_rejected).
const (
	RefusedNotActive    = "flow_not_active"
	RefusedReenter      = "not_allowed_to_reenter"
	RefusedInFlow       = "person_in_flow"
	RefusedTimeDelay    = "time_delay"
	RefusedEntryLimit   = "entry_limit"
	RefusedCondition    = "condition" // the entry's `when` is not true
	refusedDamagedEntry = "condition_failed"
)

// EntryLimit allows at most Max accepted entries per person in any stretch of
// time as long as Per (rule E4).
type EntryLimit struct {
	Max int
	Per time.Duration
}

// admit says whether the person may enter the flow now, and if not, why
// (rules E1–E4). It runs in the same step, and so in the same commit, as the
// entry that it allows (rule E7).
func (s *Settings) admit(ps *Passages, m *Membership, flow string, now time.Time) (refused string) {
	if !s.Reenter && m.Entries > 0 { // E1
		return RefusedReenter
	}
	if !s.AllowSimultaneous && ps.InFlow(flow) { // E2
		return RefusedInFlow
	}
	if s.TimeDelay > 0 && !m.LastExit.IsZero() && now.Before(m.LastExit.Add(s.TimeDelay)) { // E3
		return RefusedTimeDelay
	}
	for _, l := range s.EntryLimits { // E4
		n := 0
		for i := len(m.Recent) - 1; i >= 0 && m.Recent[i].After(now.Add(-l.Per)); i-- {
			n++
		}
		if n >= l.Max {
			return RefusedEntryLimit
		}
	}
	return ""
}

// How many entries are remembered, and for how long, at least, of a flow that has
// limits: those of a later version may be wider, and count them too.
const (
	entriesKept    = 64
	entriesKeptFor = 31 * 24 * time.Hour
)

// remember notes an accepted entry, and keeps of those before what limits look at,
// or may look at some day.
func (s *Settings) remember(m *Membership, now time.Time) {
	m.Entries++
	longest, most := time.Duration(0), 0
	for _, l := range s.EntryLimits {
		longest, most = max(longest, l.Per), max(most, l.Max)
	}
	if most == 0 {
		m.Recent = nil
		return
	}
	longest, most = max(longest, entriesKeptFor), max(most, entriesKept)
	m.Recent = append(m.Recent, now)
	m.Recent = slices.DeleteFunc(m.Recent, func(t time.Time) bool { return !t.After(now.Add(-longest)) })
	if n := len(m.Recent) - most; n > 0 {
		m.Recent = slices.Delete(m.Recent, 0, n)
	}
}
