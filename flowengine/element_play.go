package flowengine

// Play lets the caller hear sounds: files, addresses, texts.
type Play struct {
	Sounds      Sounds `yaml:"sounds" required:"true" doc:"What is heard: {file: welcome.wav}, {url: …}, {say: …}, {recording: …}, or a list of these."`
	PlayOptions `yaml:",inline"`
}

// Ports lists the outcomes of the element.
func (e *Play) Ports() []string { return []string{portDone, portFailed, portHungUp} }

// Check prepares the sounds.
func (e *Play) Check(c *Checker) { e.Sounds.check(c, "sounds") }

func (e *Play) call() bool { return true }

// Arrive begins to play.
func (e *Play) Arrive(x *Passage) Outcome { return e.playOn(x, e.Sounds) }

// Resume goes on when all was heard.
func (e *Play) Resume(_ *Passage, c Cause) Outcome { return through(c) }
