package smpp

import (
	"cmp"
	"hash/fnv"
	"io"
	"math"
	"slices"
	"strings"
)

// routeTable finds the carriers for a message. It is immutable.
type routeTable struct {
	byPrefix map[string][]routeEntry // each sorted by priority, then cost
	longest  int
}

type routeEntry struct {
	Route
	carrier string
}

func newRouteTable(carriers []Carrier) *routeTable {
	t := &routeTable{byPrefix: make(map[string][]routeEntry)}
	for i := range carriers {
		for _, r := range carriers[i].Routes {
			r.Prefix = strings.TrimPrefix(r.Prefix, "+")
			r.Weight = max(r.Weight, 1)
			t.byPrefix[r.Prefix] = append(t.byPrefix[r.Prefix], routeEntry{r, carriers[i].Name})
			t.longest = max(t.longest, len(r.Prefix))
		}
	}
	for _, list := range t.byPrefix {
		slices.SortStableFunc(list, compareRoutes)
	}
	return t
}

// compareRoutes orders the routes of one prefix: higher priority, then lower cost.
func compareRoutes(a, b routeEntry) int {
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Cost, b.Cost))
}

// find appends the carriers for a message to dst, best first and each once. A
// carrier that follows is tried when those before it fail. Equal routes are
// ordered by weight and by the message's id, so that a message finds the same
// carrier at each attempt while all messages together are shared out as the
// weights say.
func (t *routeTable) find(dst []string, id, from, to string) []string {
	to = strings.TrimPrefix(to, "+")
	for n := min(len(to), t.longest); n >= 0; n-- {
		list := t.byPrefix[to[:n]]
		for len(list) > 0 {
			same := 1
			for same < len(list) && compareRoutes(list[0], list[same]) == 0 {
				same++
			}
			dst = appendShared(dst, list[:same], id, from)
			list = list[same:]
		}
	}
	return dst
}

// appendShared appends the carriers of equal routes, the luckier one first
// (weighted rendezvous hashing: -weight/ln(u) is largest with a chance
// proportional to the weight).
func appendShared(dst []string, equal []routeEntry, id, from string) []string {
	start := len(dst)
	var scores []float64
	for i := range equal {
		r := &equal[i]
		if !matchSender(r.Sender, from) || slices.Contains(dst, r.carrier) {
			continue
		}
		dst = append(dst, r.carrier)
		if len(equal) > 1 {
			scores = append(scores, -float64(r.Weight)/math.Log(unit(id, r.carrier)))
		}
	}
	for i := 1; i < len(scores); i++ {
		for j := i; j > 0 && scores[j] > scores[j-1]; j-- {
			scores[j], scores[j-1] = scores[j-1], scores[j]
			dst[start+j], dst[start+j-1] = dst[start+j-1], dst[start+j]
		}
	}
	return dst
}

// unit hashes a message and a carrier to a number between 0 and 1, both excluded.
func unit(id, carrier string) float64 {
	h := fnv.New64a()
	io.WriteString(h, id)
	h.Write([]byte{0})
	io.WriteString(h, carrier)
	x := h.Sum64() // FNV leaves the high bits of short inputs alike: mix them
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return (float64(x>>11) + 0.5) / (1 << 53)
}

// matchSender reports whether a sender matches a pattern in which * stands for
// any characters; case does not matter and an empty pattern matches all.
func matchSender(pattern, sender string) bool {
	if pattern == "" || pattern == "*" {
		return true
	}
	pattern = strings.TrimPrefix(strings.ToLower(pattern), "+")
	sender = strings.TrimPrefix(strings.ToLower(sender), "+")
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == sender
	}
	if !strings.HasPrefix(sender, head) {
		return false
	}
	sender = sender[len(head):]
	for {
		part, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(sender, part)
		}
		at := strings.Index(sender, part)
		if at < 0 {
			return false
		}
		sender, rest = sender[at+len(part):], after
	}
}

// applySender returns the sender with which a message goes out to this
// recipient, false when the rules refuse it.
func applySender(rules []SenderRule, from, to string) (string, bool) {
	to = strings.TrimPrefix(to, "+")
	var best *SenderRule
	for i := range rules {
		p := strings.TrimPrefix(rules[i].Prefix, "+")
		if strings.HasPrefix(to, p) && (best == nil || len(p) > len(strings.TrimPrefix(best.Prefix, "+"))) {
			best = &rules[i]
		}
	}
	if best == nil || len(best.Allow) == 0 {
		return from, true
	}
	for _, a := range best.Allow {
		if matchSender(a, from) {
			return from, true
		}
	}
	return best.Replace, best.Replace != ""
}
