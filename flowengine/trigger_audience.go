package flowengine

// Audience lets in everybody who fits when the flow is launched; with `update:
// real_time` also those who come to fit later (rule E9).
type Audience struct {
	EntryOptions `yaml:",inline"`
	Condition    Predicate `yaml:"condition" doc:"Condition on the person. Default: everybody."`
	Persons      []string  `yaml:"persons" max:"10000" doc:"Only these: phone numbers, e-mail addresses or ids."`
	Update       string    `yaml:"update" enum:"never,real_time" default:"never" doc:"never: those who fit at the launch enter, once. real_time: later ones enter as well."`

	only map[Address]bool
	ids  map[PersonID]bool
}

// Check compiles the condition, and demands what a snapshot needs (rules E9, S5).
func (t *Audience) Check(c *Checker) {
	c.Predicate(&t.Condition, "condition")
	u := t.Condition.Uses()
	if len(u.Vars) > 0 || u.AllVars || len(u.Props) > 0 || u.EventAtHand || u.Inbound || len(u.Messages) > 0 {
		c.ErrorfAt([]any{"condition"}, "the condition can only look at the person: nobody is in the flow yet")
	}
	if t.Condition.IsZero() && len(t.Persons) == 0 && t.Update == updateRealTime {
		c.ErrorfAt([]any{"update"}, "say by a `condition` whom the audience takes up in real time")
	}
	if t.Update == updateNever && c.Settings.Indefinite { // S5
		c.ErrorfAt([]any{"update"}, "an audience that is never updated cannot be in an indefinite flow: it finishes when its last member leaves")
	}
	for i, ref := range t.Persons {
		if id, err := ParsePersonID(ref); err == nil {
			if t.ids == nil {
				t.ids = map[PersonID]bool{}
			}
			t.ids[id] = true
			continue
		}
		a := ParseAddress(ref)
		if a.Value == "" {
			c.ErrorfAt([]any{"persons", i}, "%q names nobody: a phone number, an e-mail address or an id is expected", ref)
			continue
		}
		if t.only == nil {
			t.only = map[Address]bool{}
		}
		t.only[a] = true
	}
}

const (
	updateNever    = "never"
	updateRealTime = "real_time"
)

// takes says whether the person is one of the audience.
func (t *Audience) takes(v *View, _ bool) bool {
	if len(t.Persons) > 0 && !t.names(v.Person) {
		return false
	}
	return t.Condition.Eval(v)
}

func (t *Audience) names(p *Person) bool {
	if t.ids[p.ID] {
		return true
	}
	for _, a := range p.Addresses {
		if t.only[a] {
			return true
		}
	}
	return false
}

// Muster is the cause that asks whether a person is one of the audience of a
// flow that was launched, or a recipient of a broadcast. Named: the broadcast
// names the person, who need not fit otherwise.
type Muster struct {
	Flow, Entry string
	Named       bool
}

// mustering is a Trigger that chooses among persons when it begins.
type mustering interface {
	Trigger
	takes(v *View, named bool) bool
}

func (*Muster) cause() {}

// muster lets the person in who is one of the audience, and has not been in
// before: each member of a snapshot enters at most once (rule E9).
func (st *step) muster(c *Muster) {
	f := st.set.Flow(c.Flow)
	if f == nil || f.Newest == nil {
		return
	}
	for _, e := range f.Newest.Entries {
		t, ok := e.Trigger.(mustering)
		if !ok || e.ID != c.Entry {
			continue
		}
		ref := entryRef{f, f.Newest, e}
		if !t.takes(st.viewFor(ref), c.Named) {
			return
		}
		m := st.passages.Membership(f.ID)
		if !m.Mustered.Before(f.Launched) && !m.Mustered.IsZero() {
			return
		}
		if f.Newest.broadcast {
			st.forgetBroadcasts()
			m = st.passages.Membership(f.ID)
		}
		m.Mustered = st.now
		st.result.PassagesChanged = true
		st.offerEntry(ref, new(Run))
	}
}

// viewFor is the person as the conditions of an entry point see it.
func (st *step) viewFor(ref entryRef) *View { return st.viewIn(ref.version.Settings.zone()) }
