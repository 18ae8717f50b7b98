package tariff

import (
	"cmp"
	"iter"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Channels of a tariff.
const (
	SMS   = "sms"
	Email = "email"
	Voice = "voice"
	Push  = "push"
	Chat  = "chat"
)

// Directions, as seen from here.
const (
	Outbound = "outbound"
	Inbound  = "inbound"
)

// AnyAddress is the prefix that stands for all addresses.
const AnyAddress = "*"

var (
	channels   = [...]string{SMS, Email, Voice, Push, Chat}
	directions = [...]string{Outbound, Inbound}
	chargeOn   = [...]string{"accepted", "delivered"}
)

// Row is what one kind of destination costs from some time on (rule C1).
type Row struct {
	Channel   string `json:"channel"`
	Direction string `json:"direction"`
	// Prefix is the beginning of a number in E.164 digits without plus, a
	// domain of e-mail in lower case, or AnyAddress.
	Prefix   string   `json:"prefix"`
	Currency Currency `json:"currency"`
	// Price is for a part of a message, or for a minute of a call.
	Price Money `json:"price"`
	// Setup, Minimum and Increment are of calls alone: what an answered call
	// costs in addition, the least that is billed, and the step it grows by.
	Setup     Money         `json:"setup"`
	Minimum   time.Duration `json:"minimum"`   // whole seconds
	Increment time.Duration `json:"increment"` // whole seconds, at least 1
	ValidFrom time.Time     `json:"valid_from"`
	// OnDelivery: a message is charged when it was delivered, not already when
	// the carrier takes it.
	OnDelivery bool `json:"on_delivery,omitempty"`
}

// Table holds rows. It never changes and serves any number of goroutines.
type Table struct {
	groups [len(channels) * len(directions)]group
	rows   int
}

// group holds the rows of a channel and direction, ordered by key and time.
type group struct {
	channel, direction string
	rows               []row
	spans              map[uint64]span
	lengths            uint32 // bit n: a prefix of n digits exists
	domains            map[string]uint64
	names              []string // of domains; their key is firstDomain + index
}

// row is a Row without what its group and key say: a table has up to a million.
type row struct {
	price, setup       Money
	validFrom          int64  // seconds since 1970
	minimum, increment uint32 // seconds
	currency           Currency
	onDelivery         bool
}

// span is rows[start:end] of a group: those of one prefix, the oldest first.
type span struct{ start, end uint32 }

// The key of a prefix of digits is the number that they form behind a 1, so
// that zeros in front count. That of AnyAddress is a 1 alone.
const (
	anyKey      uint64 = 1
	firstDomain uint64 = 2
	maxDigits          = 15 // E.164 §6.1
)

// Len counts the rows.
func (t *Table) Len() int { return t.rows }

// Lookup finds the row for an address at a time: the longest prefix, and of its
// rows the newest that is valid by then (rule C1). A prefix that is not valid
// yet hides no shorter one. The address is a number in E.164 digits, with or
// without plus, or of e-mail; any other is found by AnyAddress alone.
func (t *Table) Lookup(channel, direction, address string, at time.Time) (Row, bool) {
	g := t.group(channel, direction)
	if g == nil || len(g.rows) == 0 {
		return Row{}, false
	}
	if channel == Email {
		return g.byDomain(address, at.Unix())
	}
	return g.byDigits(strings.TrimPrefix(address, "+"), at.Unix())
}

func (t *Table) group(channel, direction string) *group {
	if t == nil {
		return nil
	}
	for i := range t.groups {
		if g := &t.groups[i]; g.channel == channel && g.direction == direction {
			return g
		}
	}
	return nil
}

func (g *group) byDigits(address string, at int64) (Row, bool) {
	var keys [maxDigits + 1]uint64
	keys[0] = anyKey
	for i := range len(address) {
		if address[i] < '0' || address[i] > '9' { // no number at all
			return g.newest(anyKey, AnyAddress, at)
		}
		if i < maxDigits {
			keys[i+1] = keys[i]*10 + uint64(address[i]-'0')
		}
	}
	longest := min(len(address), maxDigits)
	candidates := g.lengths & (1<<(longest+1) - 1)
	for candidates > 1 {
		n := bits.Len32(candidates) - 1
		if found, ok := g.newest(keys[n], address[:n], at); ok {
			return found, true
		}
		candidates &^= 1 << n
	}
	return g.newest(anyKey, AnyAddress, at)
}

func (g *group) byDomain(address string, at int64) (Row, bool) {
	if i := strings.LastIndexByte(address, '@'); i >= 0 {
		var lower [maxDomain]byte
		n := copy(lower[:], address[i+1:])
		for i, c := range lower[:n] {
			if 'A' <= c && c <= 'Z' {
				lower[i] = c - 'A' + 'a'
			}
		}
		if key, ok := g.domains[string(lower[:n])]; ok && n == len(address)-i-1 {
			if found, ok := g.newest(key, g.names[key-firstDomain], at); ok {
				return found, true
			}
		}
	}
	return g.newest(anyKey, AnyAddress, at)
}

// newest finds the last row of a prefix that is valid at a time.
func (g *group) newest(key uint64, prefix string, at int64) (Row, bool) {
	s, ok := g.spans[key]
	if !ok {
		return Row{}, false
	}
	low, high := s.start, s.end // all before low are valid, none from high on
	for low < high {
		if middle := low + (high-low)/2; g.rows[middle].validFrom <= at {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == s.start {
		return Row{}, false
	}
	return g.whole(&g.rows[low-1], prefix), true
}

func (g *group) whole(r *row, prefix string) Row {
	return Row{
		Channel: g.channel, Direction: g.direction, Prefix: prefix, Currency: r.currency, Price: r.price, Setup: r.setup,
		Minimum: time.Duration(r.minimum) * time.Second, Increment: time.Duration(r.increment) * time.Second,
		ValidFrom: time.Unix(r.validFrom, 0).UTC(), OnDelivery: r.onDelivery,
	}
}

// All gives the rows in a stable order: by channel and direction, within one
// prefix the oldest first.
func (t *Table) All() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for i := range t.groups {
			g := &t.groups[i]
			keys := slices.SortedFunc(maps.Keys(g.spans), func(a, b uint64) int { return cmp.Compare(g.spans[a].start, g.spans[b].start) })
			for _, key := range keys {
				for j := g.spans[key].start; j < g.spans[key].end; j++ {
					if !yield(g.whole(&g.rows[j], g.prefix(key))) {
						return
					}
				}
			}
		}
	}
}

func (g *group) prefix(key uint64) string {
	switch {
	case key == anyKey:
		return AnyAddress
	case g.channel == Email:
		return g.names[key-firstDomain]
	}
	return strconv.FormatUint(key, 10)[1:]
}
