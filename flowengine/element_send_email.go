package flowengine

// SendEmail sends one e-mail. When `sent` or `failed` leads somewhere the run waits
// until the recipient's server took or refused it.
type SendEmail struct {
	MailMessage `yaml:",inline"`
}

// Ports lists the outcomes of the element.
func (e *SendEmail) Ports() []string {
	return []string{portSent, portFailed, portNotSent, portRenderError}
}

// Check prepares the message.
func (e *SendEmail) Check(c *Checker) { e.check(c) }

// Arrive sends the message, unless the person cannot or must not get it.
func (e *SendEmail) Arrive(x *Passage) Outcome { return sendOne(x, e) }

// Resume goes on when the server has answered, and tries again when there may be a
// place for what a cap held.
func (e *SendEmail) Resume(x *Passage, c Cause) Outcome { return sentOne(x, e, c) }
