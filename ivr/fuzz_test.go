package ivr

import (
	"encoding/json"
	"testing"
	"time"
)

// FuzzMachine gives a machine tasks as they are stored and whatever events: it
// bears all of them, and ends when the caller does.
func FuzzMachine(f *testing.F) {
	for _, t := range []Task{pin(), menu("1", "12"), voicemail(), confirmed(forwardTo(true, "1", "2")), startCall(says("hi", true), &Detect{Timeout: time.Second})} {
		b, err := json.Marshal(t)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, []byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c"))
	}
	f.Add([]byte(`{"kind":"forward","forward":{"targets":[]}}`), []byte{1})
	f.Add([]byte(`{"kind":"collect","collect":{"choices":["",""],"max":-1}}`), []byte{6, 6})
	f.Fuzz(func(t *testing.T, task, happens []byte) {
		var what Task
		if json.Unmarshal(task, &what) != nil {
			return
		}
		m := new(Machine)
		m.Begin(what)
		for _, b := range happens[:min(len(happens), 500)] {
			m.Handle(fuzzEvent(b, m.serial))
		}
		m.Handle(Ended{})
		if m.Busy() || !m.Over() {
			t.Fatal("the call is over and the element is not")
		}
	})
}

func fuzzEvent(b byte, last uint32) Event {
	leg := Leg(b >> 5)
	switch b % 14 {
	case 0:
		return Answered{leg}
	case 1:
		return Failed{Leg: leg, Why: PortBusy}
	case 2:
		return Played{last}
	case 3:
		return PlayFailed{Play: last}
	case 4:
		return TimerFired{last}
	case 5:
		return TimerFired{last - 1}
	case 6:
		return Key{leg, "0123456789*#"[b>>4%12]}
	case 7:
		return Recorded{ID: "r"}
	case 8:
		return RecordFailed{}
	case 9:
		return Detected{PortMachine}
	case 10:
		return GreetingEnded{}
	case 11:
		return Connected{Leg: leg}
	case 12:
		return EarlyMedia{leg}
	}
	return Ended{Leg: leg}
}
