package host

import (
	"context"
	"errors"
	"time"

	"trunkline/gateway/rtp"
	"trunkline/gateway/rtp/prompt"
	"trunkline/ivr"
)

// play lets a leg hear a prompt, once its sounds are there.
func (c *call) play(x ivr.Play) {
	lg := c.legs[x.Leg]
	if lg == nil || lg.over {
		return
	}
	lg.silence()
	lg.playing = x.Play
	if err := lg.early(); err != nil {
		c.do(func() { c.playFailed(lg, x.Play, codePorts) })
		return
	}
	c.host.running.Go(func() {
		parts, err := c.host.sounds(c.ctx, x.Prompt)
		c.do(func() {
			if err != nil {
				c.host.log.Warn("a prompt can't be played", "call", c.id, "flow", c.ref.Flow, "element", c.ref.Element, "error", err)
				c.playFailed(lg, x.Play, "prompt")
				return
			}
			c.playSounds(lg, x, parts)
		})
	})
}

func (c *call) playFailed(lg *leg, n uint32, code string) {
	if lg.playing == n && !lg.over {
		lg.playing = 0
		c.handle(ivr.PlayFailed{Play: n, Code: code})
	}
}

func (c *call) playSounds(lg *leg, x ivr.Play, parts [][]int16) {
	if lg.playing != x.Play || lg.over {
		return
	}
	times := max(x.Prompt.Loop, 1)
	if x.Forever {
		times = -1
	}
	done := lg.session.Play(&sequence{parts: parts, times: times})
	c.host.running.Go(func() {
		select {
		case <-done:
		case <-c.ctx.Done():
			return
		}
		c.do(func() {
			if lg.playing == x.Play && !lg.over {
				lg.playing = 0
				c.handle(ivr.Played{Play: x.Play})
			}
		})
	})
}

// sounds are the samples of a prompt, in its order.
func (h *Host) sounds(ctx context.Context, p *ivr.Prompt) (parts [][]int16, err error) {
	if p.Silence > 0 {
		parts = append(parts, make([]int16, int(min(p.Silence, time.Minute)*prompt.Rate/time.Second)))
	}
	for i := range p.Sounds {
		samples, err := h.sound(ctx, &p.Sounds[i])
		if err != nil {
			return nil, err
		}
		parts = append(parts, samples)
	}
	return parts, nil
}

// usualRate is in words a minute.
const usualRate = 175

func (h *Host) sound(ctx context.Context, s *ivr.Sound) ([]int16, error) {
	switch l := h.options.Prompts; {
	case s.Recording != "":
		return h.options.Recordings.samples(ctx, s.Recording)
	case l == nil:
		return nil, errors.New("there are no prompts")
	case s.File != "":
		return l.File(ctx, s.File)
	case s.URL != "":
		return l.URL(ctx, s.URL)
	default:
		speech := prompt.Speech{Text: s.Text, Voice: s.Voice}
		if speech.Voice == "" {
			speech.Voice = s.Language
		}
		if s.Rate > 0 && s.Rate != 1 {
			speech.Speed = min(450, max(80, int(s.Rate*usualRate)))
		}
		return l.Say(ctx, speech)
	}
}

// sequence plays sounds one after the other, some times over; negative: for ever.
type sequence struct {
	parts [][]int16
	times int
	part  int
	at    int
}

var _ rtp.Source = (*sequence)(nil)

// Read implements rtp.Source.
func (s *sequence) Read(frame []int16) bool {
	n, empty := 0, true
	for n < len(frame) && s.times != 0 {
		if s.part == len(s.parts) {
			if s.part, s.at = 0, 0; empty && s.silent() {
				s.times = 0
				break
			}
			if s.times > 0 {
				s.times--
			}
			continue
		}
		k := copy(frame[n:], s.parts[s.part][s.at:])
		n, s.at = n+k, s.at+k
		if s.at == len(s.parts[s.part]) {
			s.part, s.at = s.part+1, 0
		}
		empty = empty && k == 0
	}
	clear(frame[n:])
	return s.times != 0 && (s.times != 1 || s.part < len(s.parts))
}

// silent says that there is nothing to play at all.
func (s *sequence) silent() bool {
	for _, p := range s.parts {
		if len(p) > 0 {
			return false
		}
	}
	return true
}
