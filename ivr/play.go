package ivr

// play lets the caller hear a prompt. A key that ends it is kept for the next
// element; a caller who has typed ahead does not hear it at all.
type play struct {
	base
	prompt *Prompt
	number uint32
}

func (p *play) begin(m *Machine) {
	if p.prompt.Barge && len(m.typed) > 0 {
		m.finish(Outcome{Port: PortDone})
		return
	}
	if !p.prompt.Barge {
		m.typed = m.typed[:0]
	}
	p.number = m.play(Caller, p.prompt, false)
}

func (p *play) handle(m *Machine, e Event) bool {
	switch e := e.(type) {
	case Key:
		if e.Leg == Caller && p.prompt.Barge {
			m.finish(Outcome{Port: PortDone})
			return false
		}
		return true
	case Played:
		if e.Play == p.number {
			m.finish(Outcome{Port: PortDone})
		}
	case PlayFailed:
		if e.Play == p.number {
			m.finish(Outcome{Port: PortFailed, Code: e.Code})
		}
	}
	return false
}
