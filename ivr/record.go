package ivr

import "strings"

// recording records the caller.
type recording struct {
	base
	record  Record
	prompt  *Prompt
	number  uint32
	running bool
}

func (r *recording) begin(m *Machine) {
	m.typed = m.typed[:0]
	if r.prompt == nil {
		r.start(m)
		return
	}
	r.number = m.play(Caller, r.prompt, false)
}

func (r *recording) start(m *Machine) {
	length := r.record.Max
	if length <= 0 || length > MaxRecord {
		length = MaxRecord
	}
	r.running, m.recording = true, true
	m.do(StartRecording{Beep: r.record.Beep, Max: length, Silence: r.record.Silence})
}

func (r *recording) handle(m *Machine, e Event) bool {
	switch e := e.(type) {
	case Key:
		if e.Leg == Caller {
			r.pressed(m, e.Key)
		}
		return true
	case Played:
		if !r.running && e.Play == r.number {
			r.start(m)
		}
	case PlayFailed:
		if !r.running && e.Play == r.number {
			m.finish(Outcome{Port: PortFailed, Code: e.Code})
		}
	case Recorded:
		if !r.running {
			break
		}
		if e.ID == "" {
			m.finish(Outcome{Port: PortSilent})
			break
		}
		m.finish(Outcome{Port: PortRecorded, Recording: e.ID, Length: e.Length})
	case RecordFailed:
		if r.running {
			m.finish(Outcome{Port: PortFailed, Code: e.Code})
		}
	}
	return false
}

// pressed ends the recording, or a prompt that may be ended.
func (r *recording) pressed(m *Machine, k byte) {
	switch {
	case !r.running && r.prompt.Barge:
		m.silence()
		r.start(m)
	case r.running && m.recording && strings.IndexByte(r.record.Finish, k) >= 0:
		m.do(StopRecording{})
		m.recording = false // Recorded follows, and ends the element
	}
}
