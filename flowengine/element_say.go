package flowengine

// Say speaks a text to the caller.
type Say struct {
	Text        string  `yaml:"text" required:"true" doc:"Text, up to 1400 characters: a Liquid template over person, inbound, event, call, collect, vars and now."`
	Language    string  `yaml:"language" pattern:"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$" doc:"Language of the text, such as hr or en-GB. Default: the person's, else that of the configuration."`
	Voice       string  `yaml:"voice" max:"64" doc:"Voice. Default: the usual one of the language."`
	Rate        float64 `yaml:"rate" default:"1" min:"0.5" max:"2" doc:"How fast it is spoken; 1 is usual."`
	PlayOptions `yaml:",inline"`

	sounds Sounds
}

// Ports lists the outcomes of the element.
func (e *Say) Ports() []string { return []string{portDone, portFailed, portHungUp} }

// Check compiles the text.
func (e *Say) Check(c *Checker) {
	if n := len([]rune(e.Text)); n > maxSpeech {
		c.ErrorfAt([]any{"text"}, "%d characters are too many; at most %d can be spoken", n, maxSpeech)
	}
	e.sounds = Sounds{{Say: e.Text, Language: e.Language, Voice: e.Voice, Rate: e.Rate, text: c.Template(e.Text, false, "text")}}
}

func (e *Say) call() bool { return true }

// Arrive begins to speak.
func (e *Say) Arrive(x *Passage) Outcome { return e.playOn(x, e.sounds) }

// Resume goes on when all was heard.
func (e *Say) Resume(_ *Passage, c Cause) Outcome { return through(c) }
