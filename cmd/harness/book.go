package main

import (
	"bytes"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
)

// Every message of the load has a number, and the number is its sender: message
// n is from 385980000000+n. So whatever comes back can be told apart exactly.
const (
	firstSender  = 385980000000
	senderDigits = 12
	ourNumber    = "38591000001"
	mostMessages = 8 << 20
)

// appendSender writes the sender of message n.
func appendSender(b []byte, n int) []byte { return strconv.AppendInt(b, firstSender+int64(n), 10) }

// messageOf tells whose number an address is; false if it is no sender of ours.
func messageOf(addr []byte) (n int, ok bool) {
	addr = bytes.TrimPrefix(addr, []byte("+"))
	if len(addr) != senderDigits {
		return 0, false
	}
	v := int64(0)
	for _, c := range addr {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = 10*v + int64(c-'0')
	}
	v -= firstSender
	return int(v), v >= 0 && v < mostMessages
}

// shoeSize is the number that message n says.
func shoeSize(n int) int { return 20 + n%30 }

func appendKeyword(b []byte, n int) []byte {
	return strconv.AppendInt(append(b, "size "...), int64(shoeSize(n)), 10)
}

func appendReply(b []byte, n int) []byte {
	b = strconv.AppendInt(append(b, "Size "...), int64(shoeSize(n)), 10)
	return appendSender(append(b, " noted, "...), n)
}

// Flags of an entry.
const (
	acked     = 1 << iota // the gateway answered ESME_ROK: the message is its now
	refused               // the gateway answered something else
	lost                  // the session ended before an answer came
	replied               // at least one reply came
	reported              // at least one report about a reply was acknowledged
	settled               // nothing more is waited for before the next message may go
	lifeShift = 8
)

// entry is what happened to one message.
type entry struct {
	sent  atomic.Int64 // when it was to be sent, in nanoseconds of the load's clock
	state atomic.Uint32
}

// duplicate is a reply that came once more.
type duplicate struct {
	n           int
	first, then int // lives of the gateway that sent the first one and this one
}

// book keeps all messages of a load. It may be used concurrently.
type book struct {
	entries []entry
	next    atomic.Int64

	acked, refused, lost, replied, reported atomic.Int64

	mu         sync.Mutex
	duplicates []duplicate
	violations []string // what must never happen
	silenced   int
}

func newBook(size int) *book { return &book{entries: make([]entry, size)} }

// take opens the entry of the next message; false when the book is full.
func (b *book) take(at int64) (n int, ok bool) {
	n = int(b.next.Add(1) - 1)
	if n >= len(b.entries) {
		return 0, false
	}
	b.entries[n].sent.Store(at)
	return n, true
}

// size is how many messages there are.
func (b *book) size() int { return int(min(b.next.Load(), int64(len(b.entries)))) }

func (b *book) entry(n int) *entry {
	if n < 0 || n >= b.size() {
		return nil
	}
	return &b.entries[n]
}

// set raises a flag and counts it; it returns the flags that were up before.
func (e *entry) set(flag uint32, count *atomic.Int64) (before uint32) {
	before = e.state.Or(flag)
	if before&flag == 0 && count != nil {
		count.Add(1)
	}
	return before
}

// settle tells whether this call is the one that frees the message's place.
func (e *entry) settle() bool { return e.set(settled, nil)&settled == 0 }

// reply notes a reply that the gateway sent in one of its lives, counted from 0.
// It returns the entry when it is the first one to that message.
func (b *book) reply(n, life int) *entry {
	e := b.entry(n)
	if e == nil {
		b.violate("a reply to %d, who never wrote", firstSender+n)
		return nil
	}
	for {
		old := e.state.Load()
		if old&replied != 0 {
			b.mu.Lock()
			b.duplicates = append(b.duplicates, duplicate{n, int(old >> lifeShift), life})
			b.mu.Unlock()
			return nil
		}
		if e.state.CompareAndSwap(old, old|replied|uint32(life)<<lifeShift) {
			b.replied.Add(1)
			return e
		}
	}
}

// violate notes something that must never happen.
func (b *book) violate(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.violations) >= 20 {
		b.silenced++
		return
	}
	b.violations = append(b.violations, fmt.Sprintf(format, args...))
}

// verdict is what the book says when all has come to rest.
type verdict struct {
	acked, refused, unknown int
	replied                 int // messages with a reply
	missing                 []int
	duplicated              int
	problems                []string // what makes the run fail
}

// judge says whether every message was treated as the rules want. inDoubt is how
// many replies may have been under way at each end of a life (rule X2): so many
// may come twice, once before that end and once after it.
func (b *book) judge(inDoubt int) verdict {
	v := verdict{acked: int(b.acked.Load()), refused: int(b.refused.Load()), unknown: int(b.lost.Load()), replied: int(b.replied.Load())}
	for n := range b.size() {
		switch state := b.entries[n].state.Load(); {
		case state&(acked|replied) == acked:
			v.missing = append(v.missing, n)
		case state&refused != 0 && state&replied != 0:
			v.problems = append(v.problems, fmt.Sprintf("%d was refused and yet has a reply", firstSender+n))
		case state&(acked|refused|lost) == 0:
			v.problems = append(v.problems, fmt.Sprintf("%d has no answer", firstSender+n))
		}
		if len(v.problems) > 20 {
			break
		}
	}
	if len(v.missing) > 0 {
		v.problems = append(v.problems, fmt.Sprintf("%d messages were acknowledged and have no reply, the first from %d", len(v.missing), firstSender+v.missing[0]))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	v.duplicated = len(b.duplicates)
	v.problems = append(v.problems, judgeDuplicates(b.duplicates, inDoubt)...)
	v.problems = append(v.problems, b.violations...)
	if b.silenced > 0 {
		v.problems = append(v.problems, fmt.Sprintf("and %d more", b.silenced))
	}
	return v
}

// judgeDuplicates finds the repeated replies that rule X2 does not allow: those
// within one life, those that come in a life where the row cannot have been
// open any more, and more than can have been under way when a life ended.
func judgeDuplicates(all []duplicate, inDoubt int) (problems []string) {
	perEnd := map[int]int{}
	last := map[int]int{} // message → life of its latest reply
	for _, d := range all {
		before, again := last[d.n]
		if !again {
			before = d.first
		}
		last[d.n] = d.then
		switch {
		case d.then == before:
			problems = append(problems, fmt.Sprintf("the reply to %d came twice in life %d", firstSender+d.n, d.then))
		case d.then < before:
			problems = append(problems, fmt.Sprintf("the reply to %d came in life %d after that of life %d", firstSender+d.n, d.then, before))
		default:
			perEnd[before]++
		}
	}
	for life, n := range perEnd {
		if n > inDoubt {
			problems = append(problems, fmt.Sprintf("%d replies of life %d came again, and at most %d were under way at its end", n, life, inDoubt))
		}
	}
	return problems
}
