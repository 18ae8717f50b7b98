package main

import (
	"strings"
	"testing"
)

func TestSenderNumbers(t *testing.T) {
	for _, n := range []int{0, 1, 12345, mostMessages - 1} {
		if got, ok := messageOf(appendSender(nil, n)); !ok || got != n {
			t.Errorf("%d: got %d, %t", n, got, ok)
		}
	}
	for _, addr := range []string{"", ourNumber, "38598000000x", "385970000000", "999999999999"} {
		if n, ok := messageOf([]byte(addr)); ok {
			t.Errorf("%q: got %d", addr, n)
		}
	}
	if n, ok := messageOf([]byte("+385980000007")); !ok || n != 7 {
		t.Errorf("got %d, %t", n, ok)
	}
}

// The judge finds each way in which messages can go wrong, and nothing else.
func TestJudge(t *testing.T) {
	type step func(b *book, e *entry)
	ack := step(func(b *book, e *entry) { e.set(acked, &b.acked) })
	refuse := step(func(b *book, e *entry) { e.set(refused, &b.refused) })
	lose := step(func(b *book, e *entry) { e.set(lost, &b.lost) })
	reply := func(life int) step { return func(b *book, _ *entry) { b.reply(0, life) } }
	for _, c := range []struct {
		name    string
		steps   []step
		inDoubt int
		want    string // in a problem; empty: all is well
		twice   int
	}{
		{"answered", []step{ack, reply(0)}, 0, "", 0},
		{"reply before the acknowledgement", []step{reply(0), ack}, 0, "", 0},
		{"refused", []step{refuse}, 0, "", 0},
		{"unknown without reply", []step{lose}, 0, "", 0},
		{"unknown with reply", []step{lose, reply(1)}, 0, "", 0},
		{"reply lost", []step{ack}, 0, "acknowledged and have no reply", 0},
		{"never answered", nil, 0, "has no answer", 0},
		{"refused and replied", []step{refuse, reply(0)}, 0, "refused and yet", 0},
		{"twice in one life", []step{ack, reply(2), reply(2)}, 9, "twice in life 2", 1},
		{"again after a kill", []step{ack, reply(2), reply(3)}, 1, "", 1},
		{"again two lives later", []step{ack, reply(2), reply(4)}, 1, "", 1},
		{"again after each kill", []step{ack, reply(2), reply(3), reply(4)}, 1, "", 2},
		{"again, and nothing was under way", []step{ack, reply(2), reply(3)}, 0, "at most 0 were under way", 1},
		{"twice in the second life", []step{ack, reply(2), reply(3), reply(3)}, 9, "twice in life 3", 2},
		{"out of an earlier life", []step{ack, reply(3), reply(2)}, 9, "after that of life 3", 1},
		{"reply to nobody", []step{ack, reply(0), func(b *book, _ *entry) { b.reply(5, 0) }}, 0, "who never wrote", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBook(8)
			n, _ := b.take(1)
			for _, s := range c.steps {
				s(b, b.entry(n))
			}
			v := b.judge(c.inDoubt)
			got := strings.Join(v.problems, "; ")
			if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("problems: %q, want %q", got, c.want)
			}
			if v.duplicated != c.twice {
				t.Errorf("%d duplicates, want %d", v.duplicated, c.twice)
			}
		})
	}
}

func TestBookFull(t *testing.T) {
	b := newBook(1)
	if n, ok := b.take(1); !ok || n != 0 {
		t.Fatal(n, ok)
	}
	if _, ok := b.take(1); ok || b.size() != 1 {
		t.Errorf("a second message found room; size %d", b.size())
	}
}

// A message's place is freed once, whatever comes first.
func TestSettleOnce(t *testing.T) {
	var e entry
	if !e.settle() || e.settle() {
		t.Error("the place was not freed exactly once")
	}
}
