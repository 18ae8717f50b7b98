package ivr

import (
	"slices"
	"strings"
)

// collect asks for digits, and again when they do not fit.
//
// With a prompt that a key may end, what was typed before counts, and the prompt
// is not begun for a caller who has typed ahead. Otherwise only what is pressed
// after the prompt does.
type collect struct {
	Collect
	prompt *Prompt

	ahead   []*Prompt // still to be played before the caller is listened to
	current *Prompt   // being played
	number  uint32    // of current
	timer   uint32
	entry   []byte
	tries   int
}

func newCollect(t *Task) *collect {
	c := &collect{Collect: *t.Collect, prompt: t.Prompt}
	if len(c.Choices) > 0 {
		c.Choices = c.Choices[:min(len(c.Choices), MaxChoices)]
		c.Min, c.Max = 1, 1
		for _, choice := range c.Choices {
			c.Max = max(c.Max, len(choice))
		}
	}
	c.Max = min(max(c.Max, c.Min, 1), MaxDigits)
	c.Min = min(max(c.Min, 1), c.Max)
	c.Retries = min(max(c.Retries, 0), MaxRetries)
	return c
}

func (c *collect) begin(m *Machine) {
	if c.Fresh {
		m.typed = m.typed[:0]
	}
	c.ask(m, c.prompt)
}

// ask plays prompts one after the other, then listens.
func (c *collect) ask(m *Machine, prompts ...*Prompt) {
	c.ahead, c.entry = prompts, c.entry[:0]
	c.proceed(m)
}

// proceed goes on with the next prompt, or listens.
func (c *collect) proceed(m *Machine) {
	c.current = nil
	for len(c.ahead) > 0 {
		p := c.ahead[0]
		c.ahead = c.ahead[1:]
		switch {
		case p == nil || p.Barge && len(m.typed) > 0:
			continue
		case !p.Barge:
			m.typed = m.typed[:0]
		}
		c.current = p
		c.number = m.play(Caller, p, false)
		return
	}
	c.listen(m)
}

// listen takes what was typed, then waits for the next key.
func (c *collect) listen(m *Machine) {
	for len(m.typed) > 0 {
		k := m.typed[0]
		m.typed = slices.Delete(m.typed, 0, 1)
		if c.enter(m, k) {
			return
		}
	}
	m.stopTimer(&c.timer)
	if len(c.entry) == 0 {
		c.timer = m.startTimer(c.First)
	} else {
		c.timer = m.startTimer(c.Between)
	}
}

func (c *collect) handle(m *Machine, e Event) bool {
	switch e := e.(type) {
	case Key:
		if e.Leg == Caller {
			c.pressed(m, e.Key)
		}
		return true
	case Played:
		if c.current != nil && e.Play == c.number {
			c.proceed(m)
		}
	case PlayFailed:
		if c.current != nil && e.Play == c.number {
			m.finish(Outcome{Port: PortFailed, Code: e.Code})
		}
	case TimerFired:
		if c.timer != 0 && e.Timer == c.timer {
			c.timer = 0
			c.waited(m)
		}
	}
	return false
}

func (c *collect) pressed(m *Machine, k byte) {
	switch {
	case c.current == nil:
		if !c.enter(m, k) {
			c.listen(m)
		}
	case c.current.Barge:
		m.silence()
		m.typed = append(m.typed, k)
		c.proceed(m)
	}
}

// enter adds a key to the entry, and tells whether that completes it.
func (c *collect) enter(m *Machine, k byte) (complete bool) {
	trailing := m.trailing
	m.trailing = 0
	if len(c.entry) == 0 && k == trailing && !c.chosen(string(k)) {
		return false
	}
	if strings.IndexByte(c.Finish, k) >= 0 && !c.chosen(string(c.entry)+string(k)) {
		c.complete(m)
		return true
	}
	c.entry = append(c.entry, k)
	if len(c.Choices) > 0 && c.mayGrow() || len(c.Choices) == 0 && len(c.entry) < c.Max {
		return false
	}
	if c.Finish != "" {
		m.trailing = c.Finish[0]
	}
	c.complete(m)
	return true
}

// chosen says whether a choice begins like that.
func (c *collect) chosen(entry string) bool {
	return slices.ContainsFunc(c.Choices, func(choice string) bool { return strings.HasPrefix(choice, entry) })
}

// mayGrow says whether a longer choice begins like the entry.
func (c *collect) mayGrow() bool {
	return slices.ContainsFunc(c.Choices, func(choice string) bool {
		return len(choice) > len(c.entry) && strings.HasPrefix(choice, string(c.entry))
	})
}

// waited is what the end of a timeout does: who has begun is taken at his word.
func (c *collect) waited(m *Machine) {
	if len(c.entry) == 0 {
		c.again(m, PortTimeout, c.Timeout)
		return
	}
	c.complete(m)
}

// complete looks whether the entry fits.
func (c *collect) complete(m *Machine) {
	fits := len(c.entry) >= c.Min
	if len(c.Choices) > 0 {
		fits = slices.Contains(c.Choices, string(c.entry))
	}
	if !fits {
		c.again(m, PortInvalid, c.Invalid)
		return
	}
	m.finish(Outcome{Port: PortDone, Digits: string(c.entry), Masked: c.Masked})
}

// again asks once more, or gives up.
func (c *collect) again(m *Machine, port Port, prompt *Prompt) {
	m.stopTimer(&c.timer)
	if c.tries == c.Retries {
		m.finish(Outcome{Port: port, Digits: string(c.entry), Masked: c.Masked})
		return
	}
	c.tries++
	m.typed = m.typed[:0] // what follows a mistake was meant for something else
	c.ask(m, prompt, c.prompt)
}

func (c *collect) hungUp(*Machine, Ended) Outcome { return Outcome{Port: PortHungUp} }
