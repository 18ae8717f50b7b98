package flowengine

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"trunkline/configs/strict"
)

// PeopleSegment is a condition on people with a name. Who fits it is kept with
// each person and in an index: in real time, in the commit that makes the person
// fit; or as a snapshot, as it was when it was last computed.
type PeopleSegment struct {
	ID        string    `yaml:"segment" required:"true" pattern:"^[a-z0-9-]{1,64}$" doc:"Id of the segment."`
	Name      string    `yaml:"name" max:"200" doc:"Name for people. Default: the id."`
	Update    string    `yaml:"update" enum:"real_time,snapshot" default:"real_time" doc:"real_time: who comes to fit, or fits no more, is in or out at once. snapshot: computed when it is new or changed, on request (trunkline segment recompute), and daily at the time in at."`
	At        Moment    `yaml:"at" doc:"Time of day at which a snapshot is computed, in the segment's time zone. Default: on request only."`
	Timezone  string    `yaml:"timezone" default:"UTC" doc:"Time zone in which the days of the condition begin and end, such as Europe/Zagreb."`
	Condition Predicate `yaml:"condition" required:"true" doc:"Condition on the person."`

	zone *time.Location
	mark uint32
}

const (
	segmentRealTime = "real_time"
	segmentSnapshot = "snapshot"
)

// MaxSegments bounds how many segments there can be.
const MaxSegments = 1000

// Mark tells who fits: it is another one when the definition is, name apart.
func (s *PeopleSegment) Mark() uint32 { return s.mark }

// RealTime says whether the segment follows every change of a person.
func (s *PeopleSegment) RealTime() bool { return s.Update != segmentSnapshot }

// Zone is the time zone of the segment's days.
func (s *PeopleSegment) Zone() *time.Location { return s.zone }

// Daily says when a snapshot is computed every day, if it is.
func (s *PeopleSegment) Daily() (at Moment, yes bool) { return s.At, !s.At.IsZero() }

// Check compiles the segment, which was read from n, and reports everything that
// is wrong with it, at paths that begin with at.
func (s *PeopleSegment) Check(n *strict.Node, schema *Schema, report func(path []any, format string, args ...any), at ...any) {
	if s.Name == "" {
		s.Name = s.ID
	}
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil || s.Timezone == "Local" {
		report(append(slices.Clone(at), "timezone"), "%q is not a time zone: a name such as Europe/Zagreb is expected", s.Timezone)
		zone = time.UTC
	}
	s.zone = zone
	switch {
	case s.At.IsZero():
	case s.At.form != timeOfDay:
		report(append(slices.Clone(at), "at"), "a time of day is expected, such as 03:00")
	case s.RealTime():
		report(append(slices.Clone(at), "at"), "a segment in real time is never computed anew: leave `at` out, or write `update: snapshot`")
	}
	s.condition(schema, report, at)
	s.setMark(n)
}

func (s *PeopleSegment) condition(schema *Schema, report func(path []any, format string, args ...any), at []any) {
	at = append(slices.Clone(at), "condition")
	s.Condition.Check(schema, report, at...)
	u := s.Condition.Uses()
	switch {
	case u.Run():
		report(at, "a segment is about people: its condition can look neither at variables, messages of a flow nor the event at hand")
	case len(u.Segments) > 0:
		report(at, "a segment cannot look at another one: write the other's condition here")
	case s.RealTime() && u.Now:
		report(at, "an expression over `now` is not followed in real time: write operators such as was_within, or `update: snapshot`")
	}
}

// setMark hashes what was written: whatever changes who fits.
func (s *PeopleSegment) setMark(n *strict.Node) {
	h := fnv.New32a()
	fmt.Fprintf(h, "%q %q ", s.Update, s.Timezone)
	if c := n.Field("condition"); c != nil {
		text, err := json.Marshal(c.Value())
		if err != nil { // reported when it was read
			text = nil
		}
		h.Write(text)
	}
	s.mark = h.Sum32()
}

// ParseSegment reads a segment that stands alone. The error is a strict.Errors.
func ParseSegment(file string, data []byte, schema *Schema) (*PeopleSegment, error) {
	doc := strict.Parse(file, data, strict.Options{})
	s := new(PeopleSegment)
	doc.Decode(s)
	if doc.Root() != nil {
		s.Check(doc.Root(), schema, doc.ErrorAt)
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

// Holds says whether a person fits.
func (s *PeopleSegment) Holds(p *Person, past Past, now time.Time) bool {
	return s.Condition.Eval(&View{Person: p, Past: past, Now: now, Zone: s.zone})
}

// Turns is when the answer of Holds may become another one although nothing
// happens to the person; the zero time: never.
func (s *PeopleSegment) Turns(p *Person, past Past, now time.Time) time.Time {
	if !s.turns() {
		return time.Time{}
	}
	return s.Condition.Next(&View{Person: p, Past: past, Now: now, Zone: s.zone})
}

// turns says whether somebody can come in or leave by the time alone. Events may
// be dated ahead: they have not happened until then.
func (s *PeopleSegment) turns() bool {
	u := s.Condition.Uses()
	return s.RealTime() && (u.Clock || len(u.Events) > 0)
}

// In says whether the person is in a segment.
func (p *Person) In(segment string) bool {
	_, found := slices.BinarySearch(p.Segments, segment)
	return found
}

// setIn notes whether the person is in a segment and reports whether that is new.
func (p *Person) setIn(segment string, in bool) bool {
	i, found := slices.BinarySearch(p.Segments, segment)
	switch {
	case found == in:
		return false
	case in:
		p.Segments = slices.Insert(slices.Clone(p.Segments), i, segment)
	default:
		p.Segments = slices.Delete(slices.Clone(p.Segments), i, i+1)
	}
	return true
}

// WithSegments makes the set keep who is in segments. It is called once, before
// the set runs.
func (s *Set) WithSegments(segments []*PeopleSegment) *Set {
	s.segments = slices.Clone(segments)
	for _, seg := range s.segments {
		s.segmentOf[seg.ID] = seg
		if !seg.RealTime() {
			continue
		}
		s.realTime = append(s.realTime, seg)
		s.segmentWatchers.watch(seg, &seg.Condition)
		if seg.turns() {
			s.turning = append(s.turning, seg)
		}
	}
	return s
}

// Segment finds a segment by id, or returns nil.
func (s *Set) Segment(id string) *PeopleSegment { return s.segmentOf[id] }

// Segments lists all segments, in the order of configuration.
func (s *Set) Segments() []*PeopleSegment { return s.segments }

// Classify is the cause that asks whether a person is in a segment, because the
// segment is computed. One that is not there any more has nobody in it.
type Classify struct {
	Segment string
	// Quiet: the segment is new. That somebody fits it is no change of the
	// person, and lets nobody in anywhere.
	Quiet bool
}

func (*Classify) cause() {}

// Look is the cause that looks at a person at Person.Look: segments may have
// turned with the time.
type Look struct{}

func (*Look) cause() {}

func (st *step) classifyIn(c *Classify) {
	s := st.set.Segment(c.Segment)
	if s == nil {
		if st.person.setIn(c.Segment, false) {
			st.result.SegmentsChanged = true
		}
		return
	}
	st.judge(s)
	if c.Quiet && st.before != nil {
		st.before.segments = st.person.Segments
		st.wakeForChange()
	}
}

// look judges every segment that turns with the time.
func (st *step) look() {
	st.person.Look = time.Time{}
	st.result.SegmentsChanged = true
	for _, s := range st.set.turning {
		st.judge(s)
	}
}

// classify judges the segments that look at what has changed, and adds those
// that the person came into or left to the changes. Of a person who is new, all
// are judged.
func (st *step) classify(changes []changed) []changed {
	concerned := st.set.realTime
	if !st.isNew {
		concerned = st.set.segmentWatchers.concerned(changes, true)
	}
	st.isNew = false
	for _, s := range concerned {
		if st.judge(s) {
			changes = append(changes, changed{key: segmentKey(s.ID)})
		}
	}
	return changes
}

// judge notes whether the person is in a segment, and when to look again.
func (st *step) judge(s *PeopleSegment) (news bool) {
	v := st.viewIn(s.zone)
	v.Person = st.person
	if news = st.person.setIn(s.ID, s.Condition.Eval(v)); news {
		st.result.SegmentsChanged = true
	}
	if !s.turns() {
		return news
	}
	next := s.Condition.Next(v)
	if !next.IsZero() && (st.person.Look.IsZero() || next.Before(st.person.Look)) {
		st.person.Look = next.UTC()
		st.result.SegmentsChanged = true
	}
	return news
}
