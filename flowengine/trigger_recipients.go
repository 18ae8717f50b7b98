package flowengine

// recipients lets those into a broadcast who shall get it (rule B1). Flow files
// can't have it.
type recipients struct {
	EntryOptions
	definition *broadcastDefinition

	include, exclude []Predicate
}

// Check compiles whom the broadcast names, and whom it leaves out.
func (t *recipients) Check(c *Checker) {
	d := t.definition
	r := &d.Recipients
	if !r.selects() && len(r.Persons) == 0 && len(r.Lists) == 0 {
		c.ErrorfAt([]any{"recipients"}, "nobody would get it: say `persons`, `tags`, `segments`, `condition`, `lists` or `all: true`")
	}
	for i, ref := range r.Persons {
		if _, err := ParsePersonID(ref); err != nil && ParseAddress(ref).Value == "" {
			c.ErrorfAt([]any{"recipients", "persons", i}, "%q names nobody: a phone number, an e-mail address or an id is expected", ref)
		}
	}
	t.include = t.conditions(c, r.Tags, r.Segments, r.Condition, []any{"recipients"}, "tags", "segments", "condition")
	t.exclude = t.conditions(c, d.ExcludeTag, d.ExcludeSegment, d.Exclude, nil, "exclude_tag", "exclude_segment", "exclude")
}

// conditions compiles tags, segments and a condition, of which one has to hold.
func (t *recipients) conditions(c *Checker, tags, segments names, condition Predicate, at []any, tagKey, segmentKey, key string) (all []Predicate) {
	add := func(p Predicate, path ...any) {
		c.Predicate(&p, path...)
		u := p.Uses()
		if len(u.Vars) > 0 || u.AllVars || len(u.Props) > 0 || u.EventAtHand || u.Inbound || len(u.Messages) > 0 {
			c.ErrorfAt(path, "the condition can only look at the person: nobody is in the broadcast yet")
		}
		all = append(all, p)
	}
	below := func(key string) []any { return append(at[:len(at):len(at)], key) }
	for i, name := range tags {
		if NewTag(name).Fold == "" || len(name) > maxTag {
			c.ErrorfAt(append(below(tagKey), i), "a tag has a name of at most %d bytes", maxTag)
			continue
		}
		add(Predicate{form: &tagForm{Tag: name, Op: "has"}}, below(tagKey)...)
	}
	for i, name := range segments {
		add(Predicate{form: &segmentForm{segmentRef{ids: []string{name}, plain: true}}}, append(below(segmentKey), i)...)
	}
	if !condition.IsZero() {
		add(condition, below(key)...)
	}
	return all
}

// takes says whether the person is a recipient. Who was named one by one is,
// unless the broadcast leaves the person out.
func (t *recipients) takes(v *View, named bool) bool {
	return (named || t.definition.Recipients.All || holdsAny(t.include, v)) && !holdsAny(t.exclude, v)
}

func holdsAny(all []Predicate, v *View) bool {
	for i := range all {
		if all[i].Eval(v) {
			return true
		}
	}
	return false
}

// forgetBroadcasts drops what is remembered of broadcasts that are over: a person
// who gets many must not carry all of them along.
func (st *step) forgetBroadcasts() {
	kept := st.passages.Flows[:0]
	for _, m := range st.passages.Flows {
		if _, is := BroadcastOf(m.Flow); !is || st.set.flows[m.Flow] != nil {
			kept = append(kept, m)
		}
	}
	clear(st.passages.Flows[len(kept):])
	st.passages.Flows = kept
}
