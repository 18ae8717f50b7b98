package sip

import (
	"sync"
	"time"
)

// table finds legs and transactions.
type table struct {
	mu      sync.Mutex
	legs    map[string]*Leg // by our tag
	invites map[string]*Leg // by the transaction of the peer's INVITE
	merged  map[string]*Leg
	clients map[string]*client // by branch
}

func newTable() table {
	return table{legs: map[string]*Leg{}, invites: map[string]*Leg{}, merged: map[string]*Leg{}, clients: map[string]*client{}}
}

func (t *table) leg(tag string) *Leg {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.legs[tag]
}

func (t *table) invite(key string) *Leg {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.invites[key]
}

func (t *table) client(branch, method string) *client {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.clients[clientKey(branch, method)]; c != nil && c.method == method {
		return c
	}
	return nil
}

// clientKey tells CANCEL from the INVITE whose branch it has (§9.1).
func clientKey(branch, method string) string {
	if method == "CANCEL" {
		return branch + "|CANCEL"
	}
	return branch
}

// addIncoming enters a new call. It reports false when the same INVITE is there
// already by another way.
func (t *table) addIncoming(l *Leg, r *request) bool {
	l.incoming.key, l.incoming.merged = r.transaction(), r.merged()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.merged[l.incoming.merged] != nil {
		return false
	}
	t.legs[l.ID], t.invites[l.incoming.key], t.merged[l.incoming.merged] = l, l, l
	return true
}

func (t *table) addLeg(l *Leg) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.legs[l.ID] = l
}

// settle forgets the transaction of an INVITE.
func (t *table) settle(key, merged string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.invites, key)
	delete(t.merged, merged)
}

func (t *table) removeLeg(l *Leg) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.legs, l.ID)
}

func (t *table) addClient(c *client) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clients[clientKey(c.branch, c.method)] = c
}

func (t *table) removeClient(c *client) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.clients, clientKey(c.branch, c.method))
}

// unanswered are the requests on a connection to which no sign came back: when
// it ends, none will.
func (t *table) unanswered(s *stream) (list []*client) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.clients {
		if c.path.stream == s && c.waits() {
			list = append(list, c)
		}
	}
	return list
}

// count returns how many legs and transactions there are.
func (t *table) count() (legs, transactions int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.legs), len(t.invites) + len(t.clients)
}

func (t *table) all() []*Leg {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]*Leg, 0, len(t.legs))
	for _, l := range t.legs {
		list = append(list, l)
	}
	return list
}

// Bounds of what is kept of finished transactions, in each of two generations.
// RFC 3261 keeps them for 32 seconds; at thousands of calls a second that is
// much memory for messages that hardly ever come again, so the older half makes
// room earlier.
const (
	maxReplays     = 1 << 15
	maxReplayBytes = 12 << 20
	replayTime     = 64 * T1
)

// replays remembers how finished transactions were answered, for when a message
// comes again: nil means that it is to be ignored.
type replays struct {
	mu         sync.Mutex
	young, old map[string]replay
	bytes      int // of the young ones
}

type replay struct {
	answer []byte
	at     time.Time
}

func (r *replays) put(key string, answer []byte, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.young == nil || len(r.young) >= maxReplays || r.bytes >= maxReplayBytes {
		r.young, r.old, r.bytes = map[string]replay{}, r.young, 0
	}
	r.young[key] = replay{answer, now}
	r.bytes += len(key) + len(answer)
}

func (r *replays) get(key string, now time.Time) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.young[key]
	if !ok {
		e, ok = r.old[key]
	}
	if !ok || now.Sub(e.at) > replayTime {
		return nil, false
	}
	return e.answer, true
}
