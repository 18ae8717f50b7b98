package runtime

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"trunkline/flowengine"
	"trunkline/storage"
)

// Happening is the part of a person's history that one cause made.
type Happening struct {
	At     time.Time
	Events []flowengine.Event
}

// Profile is all that is known of a person.
type Profile struct {
	Person   flowengine.Person
	Passages flowengine.Passages
	History  []Happening // the latest ones, oldest first
}

// Person finds a person by id, phone number or e-mail address. history bounds how
// much of what happened is returned.
func (rt *Runtime) Person(ctx context.Context, ref string, history int) (*Profile, error) {
	p, err := rt.Profile(ctx, ParseWho(ref), history)
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("%w: nobody is known as %q: give a phone number, an e-mail address or a person id", ErrNotFound, ref)
	}
	return p, err
}

// readHistory reads the latest happenings of a person, oldest first.
func readHistory(store storage.Reader, id flowengine.PersonID, most int) (all []Happening, err error) {
	prefix := personKey(nil, kindLog, id)
	var damaged error
	err = store.Scan(prefix, nil, func(key, value []byte) bool {
		h := Happening{At: time.UnixMilli(int64(binary.BigEndian.Uint64(key[len(prefix):]))).UTC()}
		h.Events, damaged = flowengine.DecodeEvents(value, nil)
		all = append(all, h)
		if len(all) > 2*most {
			all = slices.Delete(all, 0, len(all)-most)
		}
		return damaged == nil
	})
	return all[max(0, len(all)-most):], firstError(err, damaged)
}

// FlowStatus is a flow as operators see it.
type FlowStatus struct {
	ID, Name  string
	State     flowengine.State
	Removed   bool // no longer configured
	Launched  time.Time
	Newest    uint32 // ordinal of the newest version
	Published time.Time
	Inside    uint64 // persons inside
	Counts    *Tally
	Elements  []string // ids, in the order of the newest version's definition
	Retired   []string // elements that only older versions have
}

// Flows lists all flows that are or were configured, by id.
func (rt *Runtime) Flows() ([]FlowStatus, error) {
	sums, err := ReadTallies(rt.store)
	if err != nil {
		return nil, err
	}
	rt.flows.mu.Lock()
	defer rt.flows.mu.Unlock()
	var all []FlowStatus
	for id, r := range rt.flows.records {
		f := FlowStatus{ID: id, State: r.state, Removed: r.removed, Launched: r.launched, Counts: sums[id]}
		if f.Counts == nil {
			f.Counts = NewTally()
		}
		if n := r.newest(); n != nil {
			f.Newest, f.Published = n.ordinal, n.published
		}
		f.Inside = f.Counts.Entered
		for _, n := range f.Counts.Exited {
			f.Inside -= min(n, f.Inside)
		}
		counted := f.Counts.ByElement()
		if v := rt.flows.configured[id]; v != nil {
			f.Name = v.Name
			for _, n := range v.Nodes() {
				f.Elements = append(f.Elements, n.ID)
			}
		}
		for _, e := range sortedElements(counted) {
			if !slices.Contains(f.Elements, e) {
				f.Retired = append(f.Retired, e)
			}
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b FlowStatus) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// ReadTallies sums the stored counters of every flow.
func ReadTallies(store storage.Reader) (map[string]*Tally, error) {
	sums := map[string]*Tally{}
	err := scanTallies(store, func(flow string, _ uint32, value []byte) error {
		t, err := decodeTally(value)
		if err != nil {
			return err
		}
		if sums[flow] == nil {
			sums[flow] = NewTally()
		}
		sums[flow].Add(t)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return sums, nil
}

// readTally sums the stored counters of one flow.
func readTally(store storage.Reader, flow string) (*Tally, error) {
	sum := NewTally()
	for s := range flowengine.Shard(flowengine.Shards) {
		var damaged error
		err := store.Scan(append(append(appendPrefix(nil, s, kindTally), flow...), 0), nil, func(_, value []byte) bool {
			var t *Tally
			if t, damaged = decodeTally(value); damaged == nil {
				sum.Add(t)
			}
			return damaged == nil
		})
		if err = firstError(err, damaged); err != nil {
			return nil, err
		}
	}
	return sum, nil
}

// Recount sums the histories of all persons (rule M5). It must agree with
// ReadTallies of the same moment while no history is older than Options.History.
func Recount(store storage.Reader) (map[string]*Tally, error) {
	sums := map[string]*Tally{}
	var events []flowengine.Event
	for s := range flowengine.Shard(flowengine.Shards) {
		var damaged error
		err := store.Scan(appendPrefix(nil, s, areaPeople), nil, func(key, value []byte) bool {
			if len(key) <= kindAt || key[kindAt] != kindLog {
				return true
			}
			if events, damaged = flowengine.DecodeEvents(value, events[:0]); damaged != nil {
				return false
			}
			for i := range events {
				e := &events[i]
				if e.Flow == "" {
					continue
				}
				if sums[e.Flow] == nil {
					sums[e.Flow] = NewTally()
				}
				sums[e.Flow].Count(e)
			}
			return true
		})
		if err = firstError(err, damaged); err != nil {
			return nil, err
		}
	}
	return sums, nil
}

// Differences compares a recount with the counters, flow by flow, and describes
// what does not agree.
func Differences(counted, stored map[string]*Tally) []string {
	var out []string
	ids := maps.Clone(counted)
	maps.Copy(ids, stored)
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		a, b := counted[id], stored[id]
		if a == nil {
			a = NewTally()
		}
		if b == nil {
			b = NewTally()
		}
		if !a.Equal(b) {
			out = append(out, fmt.Sprintf("flow %q: the history says %s, the counters say %s", id, a, b))
		}
	}
	return out
}

// String lists the counters, for messages.
func (t *Tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "entered %d, exited %v, refused %v", t.Entered, t.Exited, t.Refused)
	sums := t.ByElement()
	for _, e := range sortedElements(sums) {
		fmt.Fprintf(&b, ", %s %+v", e, sums[e])
	}
	fmt.Fprintf(&b, ", recipients %d, cost %v", t.Recipients, t.Cost(nil).Amounts)
	return b.String()
}
