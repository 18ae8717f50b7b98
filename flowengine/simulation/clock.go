package simulation

import (
	"fmt"
	"slices"
	"time"

	"trunkline/flowengine"
)

// pass lets time go by. What comes due happens in its order (rule X5): timers,
// answers of carriers, and the daily look at conditions on dates.
func (d *director) pass(until time.Time) error {
	for {
		next, isDaily := d.next(until)
		var err error
		switch {
		case isDaily != nil:
			err = d.newDay(isDaily)
		case next < 0:
			d.now = until
			return nil
		default:
			one := d.agenda[next]
			d.agenda = slices.Delete(d.agenda, next, next+1)
			d.now = later(d.now, one.at)
			err = d.fire(&one)
		}
		if err != nil {
			return err
		}
	}
}

// next finds what comes first: the index in the agenda, or a routine. Of two at
// one moment the one that was noted first wins.
func (d *director) next(until time.Time) (first int, daily *routine) {
	first = -1
	for i := range d.agenda {
		if at := d.agenda[i].at; !at.After(until) && (first < 0 || at.Before(d.agenda[first].at)) {
			first = i
		}
	}
	for _, r := range d.daily {
		if !r.next.After(until) && (first < 0 || r.next.Before(d.agenda[first].at)) && (daily == nil || r.next.Before(daily.next)) {
			daily = r
		}
	}
	return first, daily
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// newDay looks at everybody for a condition that changes with the day. Those to
// whom nothing happens are not worth a line.
func (d *director) newDay(r *routine) error {
	d.now = later(d.now, r.next)
	r.next = r.at.After(r.next, d.stage.Flow.Settings.Zone())
	for _, p := range slices.Clone(d.people) {
		before := len(d.play.Turns)
		if err := d.cause(p, &flowengine.Daily{Flow: d.stage.Flow.Flow, Entry: r.entry}, "a new day: the condition of "+r.entry+" is looked at"); err != nil {
			return err
		}
		if t := &d.play.Turns[before]; len(t.Happened) == 0 {
			d.play.Turns = d.play.Turns[:before]
		}
	}
	return nil
}

func (d *director) fire(one *due) error {
	if t := one.timer; t != nil {
		at := ""
		if run := one.player.Passages.Run(t.Flow, t.Number); run != nil {
			at = " at " + run.Element
		}
		return d.cause(one.player, &flowengine.Timer{Flow: t.Flow, Number: t.Number, Seq: t.Seq}, "the time is up"+at)
	}
	if one.line != nil {
		return d.ring(one.line)
	}
	if one.send.Channel == channelVoice {
		return d.dial(one.player, one.send)
	}
	return d.cause(one.player, d.result(one.send, true), accepts(one.send))
}

// cause gives a cause to the engine and keeps what a host keeps.
func (d *director) cause(p *Player, c flowengine.Cause, words string) error {
	if len(d.play.Turns) >= maxTurns {
		return fmt.Errorf("the play has %d turns by now; that is too long", maxTurns)
	}
	past := func(name string) (all []flowengine.Happened) {
		for _, e := range p.events {
			if e.Name == name {
				all = append(all, e)
			}
		}
		return all
	}
	r := d.set.StepWith(&p.Person, &p.Passages, past, c, d.now)
	p.events = append(p.events, r.Happened...)
	turn := Turn{At: d.now, Person: p.phone, Cause: words, Outcome: r.Outcome, Refused: r.Refused, Happened: r.Log, Sends: r.Sends}
	for _, gone := range r.Cancelled {
		d.agenda = slices.DeleteFunc(d.agenda, func(a due) bool { return a.player == p && a.timer != nil && *a.timer == gone })
	}
	for i := range r.Timers {
		if slices.Contains(r.Cancelled, r.Timers[i]) {
			continue
		}
		d.agenda = append(d.agenda, due{at: r.Timers[i].Due, player: p, timer: &r.Timers[i]})
		turn.Waits = append(turn.Waits, r.Timers[i].Due)
	}
	for i := range r.Sends {
		d.sent(p, &r.Sends[i])
	}
	d.keep(&turn)
	for _, t := range r.Calls {
		if err := d.begin(t); err != nil {
			return err
		}
	}
	return nil
}

// keep adds a turn to the play. What a flow does because something happened on a
// call is one turn with that.
func (d *director) keep(turn *Turn) {
	turns := d.play.Turns
	if n := len(turns); n > 0 && turns[n-1].onCall && turns[n-1].At.Equal(turn.At) && turns[n-1].Person == turn.Person {
		turn.Cause, turn.Calls = turns[n-1].Cause, turns[n-1].Calls
		turns = turns[:n-1]
	}
	d.play.Turns = append(turns, *turn)
}

// sent hands a message to its carrier, when it may go out.
func (d *director) sent(p *Player, s *flowengine.Send) {
	if s.Channel != flowengine.ChannelHTTP {
		p.latest = *s
	}
	if s.Origin.Flow == "" { // answers to reserved words: nobody waits for them
		return
	}
	one := due{at: later(d.now, s.NotBefore), player: p, send: s}
	if d.script.Auto || s.Channel == channelVoice {
		d.agenda = append(d.agenda, one)
	} else {
		d.unsent = append(d.unsent, one)
	}
}

// close takes stock.
func (d *director) close() *Play {
	d.play.End, d.play.Unanswered = d.now, len(d.unsent)
	for _, p := range d.people {
		d.play.People = append(d.play.People, *p)
	}
	return d.play
}
