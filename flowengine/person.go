package flowengine

import (
	"slices"
	"strings"
	"time"

	"golang.org/x/text/cases"
)

// Person is the profile of one person.
type Person struct {
	ID        PersonID
	Created   time.Time
	Addresses []Address // the first of a kind is the preferred one
	Attrs     Attrs
	Tags      []Tag
	// DoNotContact lists the kinds of address over which nothing may be sent.
	DoNotContact []AddressKind
	// Merged are the ids of persons who were merged into this one (rule A2).
	Merged []PersonID
	// Segments are those that the person is in, ordered. They are stored apart
	// from the profile, with Look.
	Segments []string
	// Look is when segments may turn with the time; zero: never.
	Look time.Time
	// New says that the person is being made, by the step at hand.
	New bool

	lent lending
}

// lending says which parts of a profile somebody remembers as they were: they
// are copied before they are changed.
type lending uint8

const (
	lentAttrs lending = 1 << iota
	lentTags
	lentBlocked
	lentAddresses
	lentAll = lentAttrs | lentTags | lentBlocked | lentAddresses
)

// own makes a part of the profile one that may be changed in place.
func own[T any](p *Person, part lending, s *[]T) {
	if p.lent&part != 0 {
		*s = slices.Clone(*s)
		p.lent &^= part
	}
}

// SetAttr stores an attribute, or removes it when v is unset, and reports whether
// that changed anything.
func (p *Person) SetAttr(name string, v Value) bool {
	if p.Attrs.Get(name) == v {
		return false
	}
	own(p, lentAttrs, (*[]Attr)(&p.Attrs))
	return p.Attrs.Set(name, v)
}

// Address is the preferred address of a kind, and whether there is one.
func (p *Person) Address(k AddressKind) (string, bool) {
	for _, a := range p.Addresses {
		if a.Kind == k {
			return a.Value, true
		}
	}
	return "", false
}

// Blocked reports that nothing may be sent over addresses of kind k.
func (p *Person) Blocked(k AddressKind) bool { return slices.Contains(p.DoNotContact, k) }

// Block adds k to the do-not-contact list and reports whether that changed it.
func (p *Person) Block(k AddressKind) bool {
	if p.Blocked(k) {
		return false
	}
	own(p, lentBlocked, &p.DoNotContact)
	p.DoNotContact = append(p.DoNotContact, k)
	return true
}

// Unblock removes k from the do-not-contact list and reports whether that changed it.
func (p *Person) Unblock(k AddressKind) bool {
	own(p, lentBlocked, &p.DoNotContact)
	n := len(p.DoNotContact)
	p.DoNotContact = slices.DeleteFunc(p.DoNotContact, func(b AddressKind) bool { return b == k })
	return len(p.DoNotContact) != n
}

// HasAddress reports whether a is one of the person's addresses.
func (p *Person) HasAddress(a Address) bool { return slices.Contains(p.Addresses, a) }

// AddAddress adds a and reports whether the person did not have it before.
func (p *Person) AddAddress(a Address) bool {
	if slices.Contains(p.Addresses, a) {
		return false
	}
	own(p, lentAddresses, &p.Addresses)
	p.Addresses = append(p.Addresses, a)
	return true
}

// DropAddress removes a and reports whether the person had it.
func (p *Person) DropAddress(a Address) bool {
	own(p, lentAddresses, &p.Addresses)
	n := len(p.Addresses)
	p.Addresses = slices.DeleteFunc(p.Addresses, func(b Address) bool { return a == b })
	return len(p.Addresses) != n
}

// Attr is a named value.
type Attr struct {
	Name  string
	Value Value
}

// Attrs are named values, ordered by name, each name once, none unset.
type Attrs []Attr

func (a Attrs) find(name string) (int, bool) {
	return slices.BinarySearchFunc(a, name, func(x Attr, n string) int { return strings.Compare(x.Name, n) })
}

// Get is the value of name; the unset value when there is none.
func (a Attrs) Get(name string) Value {
	if i, ok := a.find(name); ok {
		return a[i].Value
	}
	return Value{}
}

// Set stores v under name, or removes name when v is unset, and reports
// whether that changed anything.
func (a *Attrs) Set(name string, v Value) bool {
	i, ok := a.find(name)
	switch {
	case ok && v.Type == Unset:
		*a = slices.Delete(*a, i, i+1)
	case ok && (*a)[i].Value == v, !ok && v.Type == Unset:
		return false
	case ok:
		(*a)[i].Value = v
	default:
		*a = slices.Insert(*a, i, Attr{name, v})
	}
	return true
}

// Tag marks a person. Two tags are the same when their folded forms are (rule X8);
// the spelling of the first use is kept.
type Tag struct {
	Fold string // identity
	Name string // as first written
}

// NewTag makes a tag from its name.
func NewTag(name string) Tag {
	name = strings.TrimSpace(name)
	return Tag{Fold: cases.Fold().String(name), Name: name}
}

func (p *Person) findTag(t Tag) (int, bool) {
	return slices.BinarySearchFunc(p.Tags, t.Fold, func(x Tag, f string) int { return strings.Compare(x.Fold, f) })
}

// HasTag reports whether the person bears t.
func (p *Person) HasTag(t Tag) bool { _, ok := p.findTag(t); return ok }

// AddTag adds t and reports whether the person did not bear it before (rule X8).
func (p *Person) AddTag(t Tag) bool {
	i, ok := p.findTag(t)
	if !ok {
		own(p, lentTags, &p.Tags)
		p.Tags = slices.Insert(p.Tags, i, t)
	}
	return !ok
}

// RemoveTag removes t and reports whether the person bore it.
func (p *Person) RemoveTag(t Tag) bool {
	i, ok := p.findTag(t)
	if ok {
		own(p, lentTags, &p.Tags)
		p.Tags = slices.Delete(p.Tags, i, i+1)
	}
	return ok
}
