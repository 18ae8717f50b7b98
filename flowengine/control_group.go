package flowengine

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// RefusedControlGroup is why a person does not enter who is held out to compare
// with (rule P5).
const RefusedControlGroup = "control_group"

// ControlBranch stands in goals, in place of a way through a split, for persons
// of the control group who would have entered.
const ControlBranch = "control_group"

// controlBucket is the person's place among all persons, below wholeAudience. It
// is the same for all flows: who is held out, is from all that take part.
func controlBucket(person PersonID) Share {
	b := append(make([]byte, 0, 64), "control|"...)
	sum := sha256.Sum256(idText.AppendEncode(b, person[:]))
	return Share(binary.BigEndian.Uint64(sum[:8]) % wholeAudience)
}

// takesPart says whether the control group is kept out of the flow: what is
// marketing, unless the flow says otherwise.
func (s *Settings) takesPart() bool {
	if s.ControlGroup != nil {
		return *s.ControlGroup
	}
	return s.Category == categoryMarketing
}

// heldOut says whether the person is of the control group for a flow.
func (st *step) heldOut(ref entryRef) bool {
	size := st.set.policy.ControlGroup
	return size > 0 && ref.version.Settings.takesPart() && controlBucket(st.person.ID) < size
}

// anchorHeldOut lets the flow's goals count for a person of the control group
// from the moment when the person would have entered.
func (st *step) anchorHeldOut(ref entryRef) {
	m := st.passages.Membership(ref.flow.ID) // a goal that is added later looks for it
	st.result.PassagesChanged = true
	for _, g := range ref.flow.goals {
		st.anchorControl(g, m.goalState(g), ref.version, st.now)
	}
}

// anchorControl is anchor for a person of the control group, of whom nothing is
// known but when an entry was refused.
func (st *step) anchorControl(g *Goal, s *GoalState, v *Version, at time.Time) {
	switch {
	case s.Converted:
	case s.Anchor.IsZero():
		s.Anchor, s.Branch = at, ControlBranch
		st.log(Event{Kind: GoalAnchored, Flow: v.Flow, Version: v.Ordinal, Element: ControlBranch, Detail: g.ID, Units: g.mark, First: true})
	case s.Branch == ControlBranch: // else the person was inside, before the group was made larger
		s.Anchor = at
	}
	st.result.PassagesChanged = true
}
