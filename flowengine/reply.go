package flowengine

import (
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Bounds on the fixed answers that one person gets. Two machines that answer
// each other, an auto-responder or another gateway, would never come to an end.
const (
	repliesPer  = time.Hour
	repliesMost = 5  // of a number's default answer, and again of its answers to reserved words
	repliesHeld = 20 // of all numbers
)

// Kinds of fixed answers, which are counted apart: whoever has used up the
// default answers must still hear that STOP has worked.
const (
	replyDefault  = "default"
	replyReserved = "reserved"
)

// The highest bits of a digest in Passages.Heard tell what it is of: an answer of
// ours, the key of a message that came, or (neither) its text.
const (
	replyMark   = 1 << 63
	keyMark     = 1 << 62
	digestMarks = replyMark | keyMark
)

// keyWindow is how long the keys of messages are remembered: as long as mail
// servers try to hand one over (RFC 5321 §4.5.4.1). Of one person they are few.
const (
	keyWindow = 5 * 24 * time.Hour
	maxKeys   = 32
)

// reply sends a fixed text back, outside of any flow, unless the person had too
// many of them lately.
func (st *step) reply(in *Inbound, kind, text string) {
	if text == "" || !st.mayReply(in, kind) {
		return
	}
	id := st.person.ID.String() + "/" + in.ID
	st.result.Sends = append(st.result.Sends, Send{
		ID: id, Origin: Origin{Person: st.person.ID}, Channel: in.Channel, From: in.To, To: in.From.Value, Text: text,
		Expires: st.now.Add(MaxValidity),
	})
	st.log(Event{Kind: Queued, Detail: id})
}

// mayReply tells whether one more fixed answer may go out, and counts it.
func (st *step) mayReply(in *Inbound, kind string) bool {
	ps := st.passages
	st.forgetHeard(repliesPer, replyMark)
	sum := digest(kind, in.Channel, in.To)&^digestMarks | replyMark
	equal, all := 0, 0
	for _, d := range ps.Heard {
		if d.Sum&digestMarks == replyMark {
			all++
		}
		if d.Sum == sum {
			equal++
		}
	}
	if equal >= repliesMost || all >= repliesHeld {
		return false
	}
	ps.Heard = append(ps.Heard, Digest{sum, st.now})
	st.result.PassagesChanged = true
	return true
}

// forgetHeard drops digests of one kind (mark) that are older than age. So it
// does those from the future: after the clock was turned back they would count
// until it has caught up.
func (st *step) forgetHeard(age time.Duration, mark uint64) {
	oldest, newest := st.now.Add(-age), st.now.Add(age)
	st.passages.Heard = slices.DeleteFunc(st.passages.Heard, func(d Digest) bool {
		return d.Sum&digestMarks == mark && (!d.At.After(oldest) || d.At.After(newest))
	})
}

// digest makes a number of some texts.
func digest(texts ...string) uint64 {
	var h xxhash.Digest
	h.Reset()
	for _, s := range texts {
		_, _ = h.WriteString(s)
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64()
}
