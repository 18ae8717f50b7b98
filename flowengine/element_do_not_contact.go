package flowengine

// AddToDoNotContact notes that nothing may be sent to the person over a channel.
type AddToDoNotContact struct {
	Channel string `yaml:"channel" enum:"sms,email,push,chat" default:"sms" doc:"Channel that is closed."`
}

// Ports lists the outcomes of the element.
func (e *AddToDoNotContact) Ports() []string { return []string{portDone} }

// Check has nothing to look at.
func (e *AddToDoNotContact) Check(*Checker) {}

// Arrive closes the channel.
func (e *AddToDoNotContact) Arrive(x *Passage) Outcome {
	if x.Person.Block(addressKindOf(e.Channel)) {
		x.PersonChanged("do not contact +" + e.Channel)
	}
	return Take(portDone)
}

// RemoveFromDoNotContact opens a channel to the person again.
type RemoveFromDoNotContact struct {
	Channel string `yaml:"channel" enum:"sms,email,push,chat" default:"sms" doc:"Channel that is opened."`
}

// Ports lists the outcomes of the element.
func (e *RemoveFromDoNotContact) Ports() []string { return []string{portDone} }

// Check has nothing to look at.
func (e *RemoveFromDoNotContact) Check(*Checker) {}

// Arrive opens the channel.
func (e *RemoveFromDoNotContact) Arrive(x *Passage) Outcome {
	if x.Person.Unblock(addressKindOf(e.Channel)) {
		x.PersonChanged("do not contact -" + e.Channel)
	}
	return Take(portDone)
}

// addressKindOf is the kind of address that a channel goes to.
func addressKindOf(channel string) AddressKind {
	switch channel {
	case "email":
		return Email
	case "push":
		return Push
	case "chat":
		return Chat
	}
	return Phone
}
