package flowengine

const channelVoice = "voice"

// InboundCall lets in who calls one of our numbers. A number's calls go to one
// flow at a time (rule S6).
type InboundCall struct {
	EntryOptions `yaml:",inline"`
	Number       string `yaml:"number" required:"true" doc:"Our number that people call."`

	number string // normalised
}

// Check looks for the number among ours.
func (t *InboundCall) Check(c *Checker) {
	if t.Number != "" {
		t.number = c.Number(channelVoice, t.Number, "number")
	}
}
