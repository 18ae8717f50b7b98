package flowengine

import (
	"cmp"
	"regexp"
	"slices"
	"time"
)

// maxVars bounds the variables of a run.
const maxVars = 100

// UpdateVariable writes variables of the run.
type UpdateVariable struct {
	Set map[string]Setting `yaml:"set" required:"true" doc:"Variables with their new values: a constant, ${…} with an expression over person, inbound, event, vars and now, or null to unset."`

	writes []write
}

// Ports lists the outcomes of the element.
func (e *UpdateVariable) Ports() []string { return []string{portDone, portInvalid} }

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// Check prepares the values.
func (e *UpdateVariable) Check(c *Checker) {
	if len(e.Set) == 0 {
		c.ErrorfAt([]any{"set"}, "name at least one variable to set")
	}
	for name, s := range e.Set {
		at := []any{"set", name}
		if !variableName.MatchString(name) {
			c.ErrorfAt(at, "%q is not the name of a variable: a letter and at most 63 more letters, digits and underscores are expected", name)
			continue
		}
		w := write{attribute: name}
		if s.Source != "" {
			w.computed = c.Expression(s.Source, at...)
		} else {
			v, err := infer(s.Constant)
			if err != nil {
				c.ErrorfAt(at, "variable %q: %v", name, err)
			}
			w.constant = v
		}
		e.writes = append(e.writes, w)
	}
	slices.SortFunc(e.writes, func(a, b write) int { return cmp.Compare(a.attribute, b.attribute) })
}

// Arrive computes all values, and writes them when each is one.
func (e *UpdateVariable) Arrive(x *Passage) Outcome {
	values, ok := compute(x, e.writes, func(_ string, given any) (Value, error) { return infer(given) })
	if !ok || !x.SetVars(e.writes, values) {
		return Take(portInvalid)
	}
	return Take(portDone)
}

// SetVars writes variables, unless there would be too many.
func (x *Passage) SetVars(names []write, values []Value) bool {
	vars := slices.Clone(x.Run.Vars)
	for i, w := range names {
		vars.Set(w.attribute, values[i])
	}
	if len(vars) > maxVars {
		return false
	}
	x.Run.Vars = vars
	x.result.PassagesChanged = true
	return true
}

// infer makes a value of what a file or an expression gives, in the type that it
// has there; nil unsets.
func infer(x any) (Value, error) {
	switch x := x.(type) {
	case nil:
		return Value{}, nil
	case bool:
		return BooleanValue(x), nil
	case int, int64:
		return Coerce(x, Whole)
	case float64, decimal:
		return Coerce(x, Decimal)
	case time.Time:
		return DateTimeValue(x), nil
	}
	return Coerce(x, Text)
}
