package flowengine

import "strings"

const maxTag = 200 // bytes of a tag's name

// AddTag marks the person (rule X8).
type AddTag struct {
	Tag string `yaml:"tag" required:"true" doc:"Name of the tag; case does not matter."`

	tag Tag
}

// Ports lists the outcomes of the element.
func (e *AddTag) Ports() []string { return []string{portDone} }

// Check prepares the tag.
func (e *AddTag) Check(c *Checker) { e.tag = checkTag(c, e.Tag) }

// Arrive adds the tag; a person who bears it already is left as it is.
func (e *AddTag) Arrive(x *Passage) Outcome {
	if x.Person.AddTag(e.tag) {
		x.PersonChanged("tag +" + e.tag.Name)
	}
	return Take(portDone)
}

// RemoveTag takes a mark from the person (rule X8).
type RemoveTag struct {
	Tag string `yaml:"tag" required:"true" doc:"Name of the tag; case does not matter."`

	tag Tag
}

// Ports lists the outcomes of the element.
func (e *RemoveTag) Ports() []string { return []string{portDone} }

// Check prepares the tag.
func (e *RemoveTag) Check(c *Checker) { e.tag = checkTag(c, e.Tag) }

// Arrive removes the tag; a person who does not bear it is left as it is.
func (e *RemoveTag) Arrive(x *Passage) Outcome {
	if x.Person.RemoveTag(e.tag) {
		x.PersonChanged("tag -" + e.tag.Name)
	}
	return Take(portDone)
}

func checkTag(c *Checker, name string) Tag {
	tag := NewTag(name)
	switch {
	case tag.Fold == "" && strings.TrimSpace(name) == "":
		c.ErrorfAt([]any{"tag"}, "a tag needs a name")
	case len(name) > maxTag:
		c.ErrorfAt([]any{"tag"}, "a tag has at most %d bytes", maxTag)
	}
	return tag
}
