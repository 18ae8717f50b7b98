package flowengine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"trunkline/flowengine/tariff"
	"trunkline/keyword"
)

// State is a flow's place in its life (rule S1).
type State uint8

// The states. The numbers are stored.
const (
	Draft     State = 1
	Scheduled State = 2
	Active    State = 3
	Paused    State = 4
	Finishing State = 5 // takes nobody in, lets those inside finish
	Finished  State = 6 // ended by itself
	Cancelled State = 7 // stopped by an operator
)

var stateNames = [...]string{Draft: "draft", Scheduled: "scheduled", Active: "active", Paused: "paused", Finishing: "finishing", Finished: "finished", Cancelled: "cancelled"}

// String gives the word used in API, console and command line.
func (s State) String() string {
	if int(s) < len(stateNames) && stateNames[s] != "" {
		return stateNames[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Flow is a flow with all versions that are in use.
type Flow struct {
	ID       string
	State    State
	Launched time.Time
	Newest   *Version   // takes new entries
	Versions []*Version // those with people in them, and Newest; any order
	Winners  []Winner   // of its splits

	goals []*Goal // of Newest
}

// Version finds a version by its ordinal, or returns nil.
func (f *Flow) Version(ordinal uint32) *Version {
	for _, v := range f.Versions {
		if v.Ordinal == ordinal {
			return v
		}
	}
	return nil
}

// Number is one of our numbers: what people text or call.
type Number struct {
	Value   string // normalised
	Channel string
	// DuplicateWindow is how long an equal message from the same sender counts
	// as the same message (rule R7); 0 switches the check off.
	DuplicateWindow time.Duration
	// Reserved words are handled before flows (rule K8).
	Reserved keyword.Reserved
	// Replies are sent after a reserved word, by its kind; none when empty.
	Replies map[string]string
	// Default is the reply to a message that nobody consumes (rule R1, rank 7);
	// none when empty.
	Default string
}

// Set is everything that the engine runs: flows, numbers and the schema of
// people. It is immutable; a reload builds another.
type Set struct {
	Schema   *Schema
	flows    map[string]*Flow
	numbers  map[numberKey]*Number
	channels map[string]bool // those of the numbers
	domains  map[string]bool // those of the numbers of channel email
	table    *keyword.Table
	entries  []entryRef            // what the table's entries point at
	calls    map[string]entryRef   // what takes the calls to a number
	events   map[string][]entryRef // entry points that listen to a People event
	watchers watchers[entryRef]    // entry points that look at the profile
	tariffs  *tariff.Table         // nil: nobody told what anything costs
	links    Links
	mailing  Mailing
	policy   Policy          // of all flows together
	prepared map[string]bool // broadcasts that can be started

	segments        []*PeopleSegment
	segmentOf       map[string]*PeopleSegment
	segmentWatchers watchers[*PeopleSegment] // those in real time, by what they look at
	realTime        []*PeopleSegment         // of segments
	turning         []*PeopleSegment         // of realTime, those that change with the time
}

type numberKey struct{ channel, value string }

type entryRef struct {
	flow    *Flow
	version *Version
	entry   *Entry
}

// NewSet builds a set, with the routing table of all active flows. Warnings
// name entries that no message can tell apart (rule R3).
func NewSet(schema *Schema, numbers []*Number, flows []*Flow) (*Set, []string, error) {
	s := &Set{Schema: schema, flows: map[string]*Flow{}, numbers: map[numberKey]*Number{}, channels: map[string]bool{}, domains: map[string]bool{}, calls: map[string]entryRef{}, events: map[string][]entryRef{}, watchers: newWatchers[entryRef](), segmentOf: map[string]*PeopleSegment{}, segmentWatchers: newWatchers[*PeopleSegment]()}
	var b keyword.Builder
	for _, n := range numbers {
		s.numbers[numberKey{n.Channel, n.Value}], s.channels[n.Channel] = n, true
		if _, domain, ok := keyword.CutMailbox(n.Value); ok && n.Channel == channelEmail {
			s.domains[domain] = true
		}
		if err := b.Reserve(n.Value, keyword.Channel(n.Channel), n.Reserved); err != nil {
			return nil, nil, fmt.Errorf("number %q: %w", n.Value, err)
		}
	}
	// The order of configuration must not matter.
	flows = slices.Clone(flows)
	slices.SortFunc(flows, func(a, b *Flow) int { return strings.Compare(a.ID, b.ID) })
	if err := oneFlowPerVoiceNumber(flows); err != nil {
		return nil, nil, err
	}
	for _, f := range flows {
		s.flows[f.ID] = f
		f.goals = nil
		if f.Newest != nil {
			for i := range f.Newest.Goals {
				f.goals = append(f.goals, &f.Newest.Goals[i])
			}
		}
		if !f.takes() {
			continue
		}
		for _, e := range f.Newest.Entries {
			ref := entryRef{f, f.Newest, e}
			switch t := e.Trigger.(type) {
			case *InboundMessage:
				if err := b.Add(keyword.Entry{
					Flow: f.ID, ID: e.ID, Number: t.number, Channel: keyword.Channel(t.Channel),
					Patterns: t.patterns, Priority: t.priority, Launched: f.Launched.UnixMilli(), Index: len(s.entries),
				}); err != nil {
					return nil, nil, fmt.Errorf("flow %q: entry %q: %w", f.ID, e.ID, err)
				}
				s.entries = append(s.entries, ref)
			case *InboundCall:
				s.calls[t.number] = ref
			case *ProfileChange:
				s.watchers.watch(ref, &t.Condition)
			case *Audience:
				if t.Update == updateRealTime {
					s.watchers.watch(ref, &t.Condition)
				}
			case *PeopleEvent:
				for _, name := range t.names() {
					s.events[name] = append(s.events[name], ref)
				}
			}
		}
	}
	table, conflicts := b.Build()
	s.table = table
	var warnings []string
	for _, c := range conflicts {
		warnings = append(warnings, c.String())
	}
	return s, warnings, nil
}

// Flow finds a flow by id, or returns nil.
func (s *Set) Flow(id string) *Flow { return s.flows[id] }

// Flows lists all flows, ordered by id.
func (s *Set) Flows() []*Flow {
	all := make([]*Flow, 0, len(s.flows))
	for _, f := range s.flows {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b *Flow) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// Ours reports whether messages to a number are for us. While no number of the
// channel is configured all are: entry points that name none take them.
func (s *Set) Ours(channel, value string) bool {
	return s.numbers[numberKey{channel, value}] != nil || !s.channels[channel]
}

// Answers reports whether a flow takes calls to a number now.
func (s *Set) Answers(number string) bool {
	_, ok := s.calls[number]
	return ok
}

// Mailbox finds which of our numbers takes mail to an address, as keyword.Number
// writes it: the address itself, the same without its tag (shop+spring@… is
// shop@…), or *@ and its domain. Without one, domain tells whether others of the
// address's domain are ours.
func (s *Set) Mailbox(address string) (number string, domain bool) {
	local, host, ok := keyword.CutMailbox(address)
	if !ok {
		return "", false
	}
	untagged, _, _ := strings.Cut(local, "+")
	for _, l := range [...]string{local, untagged, keyword.CatchAll} {
		if n := s.Number(channelEmail, l+"@"+host); n != nil {
			return n.Value, true
		}
	}
	return "", s.domains[host]
}

// Number finds one of our numbers, or returns nil.
func (s *Set) Number(channel, value string) *Number { return s.numbers[numberKey{channel, value}] }
