package flowengine

import (
	"cmp"
	"slices"
	"strings"
)

const portInvalid = "invalid"

// UpdatePerson writes attributes (rule X7). When one value does not fit, none
// is written and the run leaves through `invalid`.
type UpdatePerson struct {
	Set map[string]Setting `yaml:"set" required:"true" doc:"Attributes with their new values: a constant, ${…} with an expression over person, inbound, vars and now, or null to unset."`

	writes []write // ordered by attribute
}

// Setting is a value in a flow file: a constant or a ${…}.
type Setting struct {
	Constant any // string, int64, float64, bool; nil unsets
	Source   string
}

type write struct {
	attribute string
	constant  Value
	computed  *Expression // nil: constant
}

// expressionIn takes the expression out of "${…}". ok is false for a text that
// is not one, and whole is false for one that has ${ in the midst of it.
func expressionIn(s string) (source string, ok, whole bool) {
	body, opens := strings.CutPrefix(s, "${")
	body, closes := strings.CutSuffix(body, "}")
	if opens && closes && !strings.Contains(body, "${") {
		return strings.TrimSpace(body), true, true
	}
	return "", false, !strings.Contains(s, "${")
}

// Ports lists the outcomes of the element.
func (e *UpdatePerson) Ports() []string { return []string{portDone, portInvalid} }

// Check finds the attributes and prepares their values.
func (e *UpdatePerson) Check(c *Checker) {
	if len(e.Set) == 0 {
		c.ErrorfAt([]any{"set"}, "name at least one attribute to set")
	}
	for name, s := range e.Set {
		at := []any{"set", name}
		to := c.Schema.Writable(name)
		if to == Unset {
			if c.Schema.Type(name) != Unset {
				c.ErrorfAt(at, "attribute %q belongs to every person and cannot be set by a flow", name)
			} else {
				c.ErrorfAt(at, "there is no attribute %q%s", name, didYouMean(name, c.Schema.Names()))
			}
			continue
		}
		w := write{attribute: name}
		if s.Source != "" {
			w.computed = c.Expression(s.Source, at...)
		} else {
			v, err := c.Schema.Coerce(name, s.Constant)
			if err != nil {
				c.ErrorfAt(at, "attribute %q: %v", name, err)
			}
			w.constant = v
		}
		e.writes = append(e.writes, w)
	}
	slices.SortFunc(e.writes, func(a, b write) int { return cmp.Compare(a.attribute, b.attribute) })
}

// Arrive computes all values, and writes them when each fits its attribute.
func (e *UpdatePerson) Arrive(x *Passage) Outcome {
	values, ok := compute(x, e.writes, x.Set.Schema.Coerce)
	if !ok {
		return Take(portInvalid)
	}
	for i, w := range e.writes {
		if x.Person.SetAttr(w.attribute, values[i]) {
			x.PersonChanged(w.attribute)
		}
	}
	return Take(portDone)
}

// compute gives the values of writes, each made to fit by coerce. It is false
// when one has no value, or none that fits: what is missing is no value, while
// null in the file unsets (rule X7).
func compute(x *Passage, writes []write, coerce func(name string, given any) (Value, error)) (values []Value, ok bool) {
	values = make([]Value, len(writes))
	for i, w := range writes {
		values[i] = w.constant
		if w.computed == nil {
			continue
		}
		given, err := w.computed.Value(x)
		if err != nil || given == nil {
			return nil, false
		}
		if values[i], err = coerce(w.attribute, given); err != nil {
			return nil, false
		}
	}
	return values, true
}
