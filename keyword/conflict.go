package keyword

import (
	"cmp"
	"fmt"
)

// Conflict is a pair that wants the same messages; First gets them all (rule
// R3). Nothing is wrong in itself, but hardly meant.
type Conflict struct {
	Number  string // "" is every number of the channel
	Channel Channel
	Keyword string // normalised; "" for any
	Mode    Mode
	First   Claim
	Second  Claim
}

// Claim is one side of a conflict: an entry of a flow, or a reserved word.
type Claim struct {
	Flow, Entry string
	Priority    int
	Word        Word // not 0: reserved, and the rest is empty
}

// String says who collides, where and what to do.
func (c Conflict) String() string {
	switch {
	case c.Second.Word != 0:
		return fmt.Sprintf("%s is reserved both as a %s word and as a %s word on %s: it counts as the %s word; remove it from one of the lists",
			c.what(), c.First.Word, c.Second.Word, c.where(), c.First.Word)
	case c.First.Word != 0:
		return fmt.Sprintf("%s never gets %s on %s, which is reserved there as a %s word; use another keyword",
			c.Second, c.what(), c.where(), c.First.Word)
	}
	return fmt.Sprintf("%s and %s both want %s on %s with priority %d: the first always gets it; change the keyword or the priority of one",
		c.First, c.Second, c.what(), c.where(), c.First.Priority)
}

// String names the claim.
func (c Claim) String() string {
	if c.Word != 0 {
		return fmt.Sprintf("reserved %s word", c.Word)
	}
	return fmt.Sprintf("flow %q entry %q", c.Flow, c.Entry)
}

func (c *Conflict) what() string {
	if c.Mode == Any {
		return "any message"
	}
	return fmt.Sprintf("keyword %q (%s)", c.Keyword, c.Mode)
}

func (c *Conflict) where() string {
	if c.Number == "" {
		return fmt.Sprintf("every %s number", c.Channel)
	}
	return fmt.Sprintf("%s number %s", c.Channel, c.Number)
}

// rivals finds those in an ordered group that no message can tell apart: they
// have the same number, channel, keyword, mode and priority. Each is paired
// with the one that wins.
func rivals(at address, group []candidate, conflicts []Conflict) []Conflict {
	winner := 0
	for i := 1; i < len(group); i++ {
		if group[i].entry.Priority != group[winner].entry.Priority {
			winner = i
			continue
		}
		conflicts = append(conflicts, conflictOf(at, group[i].pattern, claimOf(group[winner].entry), claimOf(group[i].entry)))
	}
	return conflicts
}

// shadowed finds the entries whose keyword is a reserved word of their number.
func shadowed(at address, word Word, group []candidate, conflicts []Conflict) []Conflict {
	for _, c := range group {
		conflicts = append(conflicts, conflictOf(at, c.pattern, Claim{Word: word}, claimOf(c.entry)))
	}
	return conflicts
}

func conflictOf(at address, p *Pattern, first, second Claim) Conflict {
	return Conflict{Number: at.number, Channel: at.channel, Keyword: p.text, Mode: p.mode, First: first, Second: second}
}

func claimOf(e *Entry) Claim { return Claim{Flow: e.Flow, Entry: e.ID, Priority: e.Priority} }

func compareConflict(a, b Conflict) int {
	return cmp.Or(
		cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Number, b.Number),
		cmp.Compare(a.Mode, b.Mode), cmp.Compare(a.Keyword, b.Keyword),
		compareClaim(a.First, b.First), compareClaim(a.Second, b.Second),
	)
}

func compareClaim(a, b Claim) int {
	return cmp.Or(
		cmp.Compare(a.Word, b.Word), cmp.Compare(a.Flow, b.Flow),
		cmp.Compare(a.Entry, b.Entry), cmp.Compare(a.Priority, b.Priority),
	)
}
