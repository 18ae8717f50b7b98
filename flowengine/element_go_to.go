package flowengine

import "strings"

const (
	portAgain        = "again"
	portLimitReached = "limit_reached"
)

// GoTo leads back to an element that was there before, a few times at most.
type GoTo struct {
	Limit    int    `yaml:"limit" default:"3" min:"1" max:"100" doc:"How often a run goes through again; then it leaves through limit_reached."`
	Variable string `yaml:"variable" doc:"Variable that counts. Default: go_to_ and the id of the element."`
}

// Ports lists the outcomes of the element.
func (e *GoTo) Ports() []string { return []string{portAgain, portLimitReached} }

// Check looks where it leads.
func (e *GoTo) Check(c *Checker) {
	if e.Variable != "" && !variableName.MatchString(e.Variable) {
		c.ErrorfAt([]any{"variable"}, "%q is not the name of a variable: a letter and at most 63 more letters, digits and underscores are expected", e.Variable)
	}
	if !c.leads(portAgain) {
		c.Errorf("say where to: `on: {again: …}`")
	}
}

// Arrive counts.
func (e *GoTo) Arrive(x *Passage) Outcome {
	name := e.Variable
	if name == "" {
		name = "go_to_" + strings.ReplaceAll(x.Element, "-", "_")
		name = name[:min(len(name), 64)]
	}
	n := int64(0)
	if v := x.Run.Vars.Get(name); v.Type == Whole {
		n = v.Num
	}
	if n >= int64(e.Limit) || !x.SetVars([]write{{attribute: name}}, []Value{{Type: Whole, Num: n + 1}}) {
		return Take(portLimitReached)
	}
	return Take(portAgain)
}
