package flowengine

import "trunkline/keyword"

// InboundMessage lets in who sends a message to one of our numbers.
type InboundMessage struct {
	EntryOptions   `yaml:",inline"`
	Number         string   `yaml:"number" doc:"Our number that people write to; of channel email an address. Default: every number of the channel."`
	Channel        string   `yaml:"channel" enum:"sms,email" default:"sms" doc:"Channel of the message."`
	Keywords       Keywords `yaml:"keywords" required:"true" doc:"A keyword, a list of keywords, or any. In an e-mail, the subject or the first line of the text can be one."`
	Match          string   `yaml:"match" enum:"whole,first_word" default:"whole" doc:"whole: the message is the keyword. first_word: it begins with the keyword."`
	FoldDiacritics bool     `yaml:"fold_diacritics" doc:"Let c match č and ć."`
	Priority       *int     `yaml:"priority" min:"-1000" max:"1000" doc:"Which entry takes a message that several want; higher goes first. Default: the flow's."`
	Fallthrough    bool     `yaml:"fallthrough" doc:"Let the next best entry have a message that this one refuses."`

	number   string // normalised; "" is every number of the channel
	patterns []keyword.Pattern
	priority int
}

// Check prepares the keywords.
func (t *InboundMessage) Check(c *Checker) {
	t.priority = c.Settings.Priority
	if t.Priority != nil {
		t.priority = *t.Priority
	}
	if t.Number != "" {
		t.number = c.Number(t.Channel, t.Number, "number")
	}
	t.patterns = c.Patterns(t.Keywords, t.Match, t.FoldDiacritics, "keywords")
}
