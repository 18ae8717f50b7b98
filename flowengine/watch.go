package flowengine

import "slices"

// changed is one thing that is not as it was: an attribute, a tag, a segment, an
// event that happened, a contact.
type changed struct {
	key      string
	old, new Value // of an attribute; addresses have none
}

// The keys by which watchers are found.
func attrKey(name string) string       { return "a:" + name }
func tagKey(fold string) string        { return anyTag + fold }
func segmentKey(id string) string      { return "s:" + id }
func eventKey(name string) string      { return "e:" + name }
func contactKey(channel string) string { return "c:" + channel }

// anyTag is the key of conditions that look at all tags.
const anyTag = "t:"

// watchers finds by what has changed who looks at it: an entry point, a segment.
// A condition that can only hold while an attribute has one of a few values is
// found by the value, so that a thousand of them cost no more than one; so is one that
// compares a number, by whether the change passes what it compares with.
type watchers[T comparable] struct {
	byKey   map[string][]T
	byValue map[string]*valueWatchers[T]
	byBound map[string]*boundWatchers[T]
}

type valueWatchers[T comparable] struct {
	typ Type // of the values; others have to be compared by all
	of  map[string][]T
	all []T
}

func newWatchers[T comparable]() watchers[T] {
	return watchers[T]{map[string][]T{}, map[string]*valueWatchers[T]{}, map[string]*boundWatchers[T]{}}
}

// watch enters x under everything that its condition looks at.
func (w *watchers[T]) watch(x T, p *Predicate) {
	u := p.Uses()
	add := func(key string) { w.byKey[key] = append(w.byKey[key], x) }
	for _, a := range u.Attributes {
		if p.root != nil {
			if values, typ := p.root.requires(a); typ != Unset {
				w.byValueOf(attrKey(a), typ).add(x, values)
				continue
			}
			if bounds, ok := p.root.bounds(a); ok && len(bounds) > 0 {
				w.byBoundOf(attrKey(a)).add(x, bounds)
				continue
			}
		}
		add(attrKey(a))
	}
	for _, t := range u.Tags {
		add(tagKey(t))
	}
	if u.AllTags {
		add(anyTag)
	}
	for _, s := range u.Segments {
		add(segmentKey(s))
	}
	for _, e := range u.Events {
		add(eventKey(e))
	}
	for _, c := range u.Contacts {
		add(contactKey(c))
	}
}

func (w *watchers[T]) byValueOf(key string, typ Type) *valueWatchers[T] {
	v := w.byValue[key]
	if v == nil {
		v = &valueWatchers[T]{typ: typ, of: map[string][]T{}}
		w.byValue[key] = v
	}
	return v
}

func (v *valueWatchers[T]) add(x T, values []string) {
	v.all = append(v.all, x)
	for _, value := range values {
		v.of[value] = append(v.of[value], x)
	}
}

// under lists who has to look at a value.
func (v *valueWatchers[T]) under(value Value) []T {
	switch value.Type {
	case Unset:
		return nil
	case v.typ:
		return v.of[valueKey(value)]
	}
	return v.all
}

// concerned lists who looks at any of the changes, each once. What only looks at
// what an attribute is now is not asked about what it was, unless also says so.
func (w *watchers[T]) concerned(changes []changed, also bool) (all []T) {
	tags := false
	for i := range changes {
		c := &changes[i]
		all = join(all, w.byKey[c.key])
		if v := w.byValue[c.key]; v != nil {
			all = join(all, v.under(c.new))
			if also {
				all = join(all, v.under(c.old))
			}
		}
		if b := w.byBound[c.key]; b != nil {
			all = join(all, b.passed(c.old, c.new))
		}
		tags = tags || c.key[:2] == anyTag
	}
	if tags {
		all = join(all, w.byKey[anyTag])
	}
	return all
}

// join adds what is not there yet. The lists of one key have nobody twice, and
// most changes have one key: the first list is taken as it is.
func join[T comparable](all, more []T) []T {
	switch {
	case len(all) == 0:
		return more
	case len(more) == 0:
		return all
	}
	const few = 16
	if len(all)+len(more) <= few {
		for _, x := range more {
			if !slices.Contains(all, x) {
				all = append(all[:len(all):len(all)], x)
			}
		}
		return all
	}
	seen := make(map[T]struct{}, len(all))
	for _, x := range all {
		seen[x] = struct{}{}
	}
	all = slices.Clone(all)
	for _, x := range more {
		if _, there := seen[x]; !there {
			all = append(all, x)
		}
	}
	return all
}

// requires lists the values, as of valueKey, of which an attribute has to have
// one for the condition to hold, and their type; Unset when any may do.
func (n *node) requires(attribute string) (values []string, typ Type) {
	switch n.kind {
	case allNode:
		for i := range n.kids {
			if values, typ = n.kids[i].requires(attribute); typ != Unset {
				return values, typ
			}
		}
	case anyNode:
		for i := range n.kids {
			of, kid := n.kids[i].requires(attribute)
			if kid == Unset {
				return nil, Unset
			}
			values, typ = append(values, of...), kid
		}
		slices.Sort(values)
		return slices.Compact(values), typ
	case attributeNode:
		if n.value.name == attribute && n.value.only != nil {
			return n.value.only, n.value.onlyType
		}
	}
	return nil, Unset
}

// valueKey is a form in which values that is and in call equal are the same.
func valueKey(v Value) string {
	if v.Type != Text {
		return v.String()
	}
	f := folders.Get().(*folder)
	key := string(f.prepare(v.Str, false))
	folders.Put(f)
	return key
}

// only lists the values that the comparison lets pass, when they are few and can
// be looked up.
func (c *leafCompiler) only(f family) (values []string, typ Type) {
	if c.attribute == "" || c.op.negate || c.op.missing || c.sensitive {
		return nil, Unset
	}
	switch {
	case f == textFamily && (c.op.name == "is" || c.op.name == "in"):
		typ = Text
	case f == booleanFamily && c.op.name == "is":
		typ = Boolean
	case f == numberFamily && c.op.name == "is" && c.typ == Whole:
		typ = Whole
	default:
		return nil, Unset
	}
	given := c.several()
	for i := range given {
		v, ok := c.fitting(&given[i], typ, i)
		if !ok { // was reported
			return nil, Unset
		}
		values = append(values, valueKey(v))
	}
	slices.Sort(values)
	return slices.Compact(values), typ
}
