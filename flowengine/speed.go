package flowengine

import (
	"slices"
	"time"

	"trunkline/flowengine/record"
)

// Speed is how fast an element's messages go out, over the whole daemon (rule X13).
type Speed struct {
	Max int           `yaml:"max" required:"true" min:"1" max:"10000" doc:"Messages that are allowed."`
	Per time.Duration `yaml:"per" default:"1s" doc:"In a second (1s), a minute (1m), an hour (1h) or a day (1d). They are spread evenly."`
}

func (s *Speed) check(c *Checker, path ...any) {
	if s != nil && !slices.Contains([]time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour}, s.Per) {
		c.ErrorfAt(append(path[:len(path):len(path)], "per"), "%s is not expected here: say 1s, 1m, 1h or 1d", s.Per)
	}
}

// Pacing tells a host how a message waits for its turn. The host gives turns,
// because it knows all persons; it needs what follows to do so long after the
// step. The zero Pacing is of messages that need no turn.
type Pacing struct {
	Lane     uint8         // which of the element's queues
	Gap      time.Duration // least time between two messages of a lane
	Validity time.Duration // counts from the message's turn
	Window   *Window       // nil: any time will do
	Zone     string        // of Window
}

// pacing of a message; lane tells the steps of one element apart.
func (s *Speed) pacing(lane int, validity time.Duration, window *Window, zone *time.Location) Pacing {
	if s == nil {
		return Pacing{}
	}
	p := Pacing{Lane: uint8(lane), Gap: s.Per / time.Duration(s.Max), Validity: validity, Window: window}
	if window != nil {
		p.Zone = zone.String()
	}
	return p
}

// Paced says whether the message waits for its turn.
func (p *Pacing) Paced() bool { return p.Gap > 0 }

// Opening is t when a message may go out then, and else when it next may (rule X11).
func (p *Pacing) Opening(t time.Time) time.Time {
	if p.Window == nil {
		return t
	}
	zone, err := time.LoadLocation(p.Zone)
	if err != nil {
		zone = time.UTC
	}
	return p.Window.opening(t, zone)
}

// Append appends the stored form of p to b.
func (p *Pacing) Append(b []byte) []byte {
	b = record.AppendUint(b, 1, uint64(p.Lane))
	b = record.AppendUint(b, 2, uint64(p.Gap))
	b = record.AppendUint(b, 3, uint64(p.Validity))
	if p.Window == nil {
		return b
	}
	b = record.AppendString(b, 4, p.Zone)
	return record.AppendNested(b, 5, func(b []byte) []byte {
		b = record.AppendString(b, 1, p.Window.From.text)
		b = record.AppendString(b, 2, p.Window.To.text)
		for i, open := range p.Window.days {
			if open {
				b = record.AppendString(b, 3, weekdays[i])
			}
		}
		return b
	})
}

// Decode reads what Append wrote into p, which must be empty.
func (p *Pacing) Decode(b []byte) error {
	return record.Decode(b, "pacing", func(f record.Field) error {
		switch f.Num {
		case 1:
			p.Lane = uint8(f.Uint)
		case 2:
			p.Gap = time.Duration(f.Uint)
		case 3:
			p.Validity = time.Duration(f.Uint)
		case 4:
			p.Zone = string(f.Bytes)
		case 5:
			p.Window = new(Window)
			return p.Window.decode(f.Bytes)
		}
		return nil
	})
}

func (w *Window) decode(b []byte) error {
	return record.Decode(b, "window", func(f record.Field) (err error) {
		switch f.Num {
		case 1:
			w.From, err = ParseMoment(string(f.Bytes))
		case 2:
			w.To, err = ParseMoment(string(f.Bytes))
		case 3:
			if i := slices.Index(weekdays, string(f.Bytes)); i >= 0 {
				w.days[i] = true
			}
		}
		return err
	})
}
