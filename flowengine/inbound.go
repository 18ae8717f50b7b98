package flowengine

import (
	"slices"
	"strings"
	"time"

	"trunkline/keyword"
)

// Outcomes of an inbound message: who consumed it (rules R1, R2).
const (
	OutcomeReserved  = "reserved"
	OutcomeWait      = "wait"
	OutcomeEntry     = "entry"
	OutcomeNoMatch   = "no_match"
	OutcomeRefused   = "refused" // consumed by an entry that did not admit the person (rule R4)
	OutcomeUnrouted  = "unrouted"
	OutcomeDuplicate = "duplicate"
)

// inbound finds the one consumer of a message and lets it act (rules R1–R8).
func (st *step) inbound(in *Inbound) {
	number := st.set.Number(in.Channel, in.To)
	if st.repeated(in) || number != nil && st.duplicate(in, number.DuplicateWindow) {
		st.result.Outcome = OutcomeDuplicate
		return
	}
	waits, runs := st.waits(in)
	found, consumer := st.decide(in, waits)
	heard := &Heard{Channel: in.Channel, From: in.From.Value, To: in.To, Text: in.Text, Keyword: consumer.Keyword, At: in.At, Subject: in.Subject, MailFacts: in.Mail}
	switch consumer.Kind {
	case keyword.ByReserved:
		st.reserved(in, number, consumer.Word)
	case keyword.ByWait, keyword.ByNoMatch:
		st.result.Outcome = OutcomeWait
		if consumer.Kind == keyword.ByNoMatch {
			st.result.Outcome = OutcomeNoMatch
		}
		st.answer(runs[consumer.Wait], in, heard, consumer.Branch)
	case keyword.ByEntry:
		st.offer(found, consumer, in, number, heard)
	default:
		st.unrouted(in, number)
	}
	st.log(Event{Kind: Received, Flow: st.result.Flow, Detail: st.result.Outcome})
}

// decide finds the one consumer of a message. An e-mail has two texts that can
// be keywords: the one that ranks higher counts, and of equals the subject.
func (st *step) decide(in *Inbound, waits []keyword.Wait) (keyword.Result, keyword.Consumer) {
	decide := func(text string) (keyword.Result, keyword.Consumer) {
		message := keyword.Prepare(text)
		found := st.set.table.Lookup(in.To, keyword.Channel(in.Channel), message)
		return found, keyword.Decide(found, message, waits, in.At.UnixMilli())
	}
	if in.Channel != channelEmail {
		return decide(in.Text)
	}
	found, consumer := decide(in.Subject)
	if other, second := decide(firstLine(in.Text)); second.Rank() < consumer.Rank() {
		return other, second
	}
	return found, consumer
}

// firstLine is the first line that says anything.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimLeft(text, " \t\r\n"), "\n")
	return line
}

// repeated tells whether the peer has handed over the same message before, as it
// does when it did not hear our answer, and remembers it (rule R7).
func (st *step) repeated(in *Inbound) bool {
	if in.Key == "" {
		return false
	}
	sum := digest(in.Channel, in.To, in.Key)&^digestMarks | keyMark
	return st.heardBefore(sum, keyMark, keyWindow, maxKeys)
}

// duplicate tells whether the same message came a moment ago, and remembers it
// (rule R7).
func (st *step) duplicate(in *Inbound, window time.Duration) bool {
	if window <= 0 {
		return false
	}
	sum := digest(in.Channel, in.From.Value, in.To, in.Subject+in.Text) &^ digestMarks
	return st.heardBefore(sum, 0, window, maxHeard)
}

// heardBefore tells whether there is such a digest of its kind (mark), not older
// than age, and else keeps it as one of the most that are kept.
func (st *step) heardBefore(sum, mark uint64, age time.Duration, most int) bool {
	ps := st.passages
	st.forgetHeard(age, mark)
	if slices.ContainsFunc(ps.Heard, func(d Digest) bool { return d.Sum == sum }) {
		return true
	}
	st.forgetFirstHeard(mark, most)
	ps.Heard = append(ps.Heard, Digest{sum, st.now})
	st.result.PassagesChanged = true
	return false
}

// forgetFirstHeard makes room for one more digest of a kind.
func (st *step) forgetFirstHeard(mark uint64, most int) {
	heard := st.passages.Heard
	message := func(d Digest) bool { return d.Sum&digestMarks == mark }
	n := 0
	for _, d := range heard {
		if message(d) {
			n++
		}
	}
	if n >= most {
		first := slices.IndexFunc(heard, message)
		st.passages.Heard = slices.Delete(heard, first, first+1)
	}
}

// waits lists the waits that could consume the message, and the runs they
// belong to. A run that waits for its question to be accepted by a carrier
// counts as waiting for the answer already: an answer proves that the question
// arrived, whatever became of its response.
func (st *step) waits(in *Inbound) (waits []keyword.Wait, runs []*Run) {
	for i := range st.passages.Runs {
		run := &st.passages.Runs[i]
		flow := st.set.Flow(run.Flow)
		if flow == nil || flow.State == Paused {
			continue
		}
		v := flow.Version(run.Version)
		if v == nil {
			continue
		}
		node := v.Node(run.Element)
		if node != nil && run.Sending != "" {
			node = v.Node(node.Targets[portSent])
		}
		if node == nil {
			continue
		}
		e, ok := node.Element.(*EvaluateInboundMessage)
		if !ok || !e.hears(run, in) {
			continue
		}
		waits = append(waits, keyword.Wait{
			Branches: e.patterns, NoMatch: node.Targets[portNoMatch] != "", Since: run.Since.UnixMilli(), Ordinal: run.Wait,
			Flow: run.Flow, Priority: v.Settings.Priority,
		})
		runs = append(runs, run)
	}
	return waits, runs
}

// answer gives a message to the run that waits for it.
func (st *step) answer(run *Run, in *Inbound, heard *Heard, branch int) {
	st.result.Flow = run.Flow
	run.Inbound = heard
	v := st.version(run)
	if run.Sending != "" { // the answer overtook the carrier's response
		node := v.Node(run.Element)
		st.endWait(run)
		st.log(Event{Kind: Departed, Flow: run.Flow, Version: run.Version, Element: node.ID, Number: run.Number, Detail: portSent})
		target := node.Targets[portSent]
		first := st.passages.Membership(run.Flow).visit(v.Node(target).Mark)
		run.Element = target
		run.Steps++
		st.log(Event{Kind: Engaged, Flow: run.Flow, Version: run.Version, Element: target, Number: run.Number, First: first})
	}
	st.resume(run, &answered{Inbound: in, branch: branch})
}

// answered is an Inbound together with the branch that keyword routing chose;
// -1: none matched.
type answered struct {
	*Inbound
	branch int
}

// offer lets entry points take the message, best first. One that refuses the
// person consumes the message all the same, unless it says `fallthrough`
// (rule R4). A flow outside of its time is as good as none (rule S2).
func (st *step) offer(found keyword.Result, c keyword.Consumer, in *Inbound, number *Number, heard *Heard) {
	for {
		ref := st.set.entries[c.Index]
		heard.Keyword = c.Keyword
		st.result.Flow = ref.flow.ID
		reason := st.offerEntry(ref, &Run{Inbound: heard})
		if reason == "" {
			st.result.Outcome = OutcomeEntry
			return
		}
		if !ref.entry.Trigger.(*InboundMessage).Fallthrough && reason != RefusedNotActive {
			st.result.Outcome = OutcomeRefused
			return
		}
		next, ok := found.After(c)
		if !ok {
			st.unrouted(in, number)
			return
		}
		c = next
	}
}

// refuses says why an entry does not admit the person now, or "".
func (st *step) refuses(ref entryRef, with *Run) string {
	settings := &ref.version.Settings
	if !ref.flow.takes() || !settings.open(st.now) { // S1, S2
		return RefusedNotActive
	}
	if ref.entry.When != nil {
		probe := *with
		probe.Flow, probe.Version = ref.flow.ID, ref.version.Ordinal
		yes, err := ref.entry.When.True(st.passage(&probe, ref.version))
		switch {
		case err != nil:
			return refusedDamagedEntry
		case !yes:
			return RefusedCondition
		}
	}
	if reason := settings.admit(st.passages, st.passages.Membership(ref.flow.ID), ref.flow.ID, st.now); reason != "" {
		return reason
	}
	if st.heldOut(ref) {
		return RefusedControlGroup
	}
	return ""
}

// reserved handles STOP, START and HELP before any flow sees them (rule K8).
func (st *step) reserved(in *Inbound, number *Number, word keyword.Word) {
	st.result.Outcome = OutcomeReserved
	switch word {
	case keyword.Stop:
		st.result.PersonChanged = st.person.Block(in.From.Kind) || st.result.PersonChanged
	case keyword.Start:
		st.result.PersonChanged = st.person.Unblock(in.From.Kind) || st.result.PersonChanged
	}
	st.reply(in, replyReserved, number.Replies[word.String()])
}

// unrouted lets the number answer a message that nobody consumes (rule R1, rank 7).
func (st *step) unrouted(in *Inbound, number *Number) {
	st.result.Outcome, st.result.Flow = OutcomeUnrouted, ""
	if number != nil && !st.person.Blocked(in.From.Kind) {
		st.reply(in, replyDefault, number.Default)
	}
}
