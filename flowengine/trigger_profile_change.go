package flowengine

// ProfileChange lets in whom a change of the profile makes fit a condition: the
// condition was not true before, and is now (rule E10). Conditions whose truth
// changes with the day alone, such as a birthday, are looked at once per day.
type ProfileChange struct {
	EntryOptions `yaml:",inline"`
	Condition    Predicate `yaml:"condition" required:"true" doc:"Condition on the person that becomes true."`
	At           Moment    `yaml:"at" doc:"Time of day at which conditions on dates are looked at, in the flow's time zone. Default: 09:00."`
}

// defaultDaily is when conditions on dates are looked at (rule E10).
var defaultDaily, _ = ParseMoment("09:00")

// Check compiles the condition.
func (t *ProfileChange) Check(c *Checker) {
	c.Predicate(&t.Condition, "condition")
	if !t.At.IsZero() && t.At.form != timeOfDay {
		c.ErrorfAt([]any{"at"}, "a time of day is expected, such as 09:00")
	}
	if t.At.IsZero() {
		t.At = defaultDaily
	}
	u := t.Condition.Uses()
	if len(u.Vars) > 0 || u.AllVars || len(u.Props) > 0 || u.EventAtHand || u.Inbound || len(u.Messages) > 0 {
		c.ErrorfAt([]any{"condition"}, "the condition can only look at the person: nobody is in the flow yet")
	}
}

// Daily says whether the condition has to be looked at every day, and when.
func (t *ProfileChange) Daily() (at Moment, yes bool) { return t.At, t.Condition.Uses().Clock }
