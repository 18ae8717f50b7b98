package runtime

import (
	"context"
	"fmt"

	"trunkline/configs/strict"
	"trunkline/flowengine"
	"trunkline/flowengine/tariff"
)

// ParseBroadcast reads a definition against the running configuration.
func (rt *Runtime) ParseBroadcast(file string, data []byte) (*flowengine.Broadcast, error) {
	set := rt.set.Load()
	if set.Schema == nil {
		return nil, ErrStopping
	}
	rt.flows.mu.Lock()
	files, mailing := rt.flows.files, rt.flows.mailing
	rt.flows.mu.Unlock()
	b, err := flowengine.ParseBroadcastIn(files, file, data, set.Schema, func(channel, number string) bool { return set.Number(channel, number) != nil })
	if err != nil {
		return nil, err
	}
	for _, use := range b.Version.Mailing() {
		if fault := mailing.Fault(use.Identity); fault != "" {
			return nil, strict.Errors{{File: file, Line: 1, Column: 1, Path: "message", Message: "message: " + fault}}
		}
	}
	return b, nil
}

// Estimate is what a broadcast would do if it began now.
type Estimate struct {
	Recipients uint64 // who would enter
	Unreached  uint64 // of them, those to whom nothing would be sent: no address, do not contact, a text that can't be made
	Parts      uint64 // of the first messages to the others
	Cost       Cost   // of those
}

// EstimateBroadcast plays a broadcast without sending anything. parts tells as
// how many units a message is charged; nil: one. Who is known under two addresses
// that were both named may be counted twice.
func (rt *Runtime) EstimateBroadcast(ctx context.Context, id string, parts func(channel, text string) int) (Estimate, error) {
	r, err := rt.storedBroadcast(id)
	if err != nil {
		return Estimate{}, err
	}
	rt.flows.mu.Lock()
	schema, tariffs := rt.flows.schema, rt.flows.tariffs
	numbers, mailing := rt.flows.numbers, rt.flows.mailing
	rt.flows.mu.Unlock()
	b, err := r.parse(schema)
	if err != nil {
		return Estimate{}, fmt.Errorf("%w: %w", ErrBroadcast, err)
	}
	f := &flowengine.Flow{ID: b.Version.Flow, State: flowengine.Active, Launched: rt.now(), Newest: b.Version, Versions: []*flowengine.Version{b.Version}}
	set, _, err := flowengine.NewSet(schema, numbers, []*flowengine.Flow{f})
	if err != nil {
		return Estimate{}, err
	}
	e := &estimator{rt: rt, set: set.WithMailing(mailing), tariffs: tariffs, parts: parts, flow: f.ID, sum: NewTally()}
	if b.Selects {
		err = e.persons(ctx)
	}
	if err == nil {
		err = e.named(ctx)
	}
	e.estimate.Cost = e.sum.Cost(nil)
	e.estimate.Cost.Unknown = e.unknown
	return e.estimate, err
}

type estimator struct {
	rt       *Runtime
	set      *flowengine.Set
	tariffs  *tariff.Table
	parts    func(channel, text string) int
	flow     string
	sum      *Tally
	unknown  uint64
	estimate Estimate
	looked   int
}

// persons goes through everybody.
func (e *estimator) persons(ctx context.Context) error {
	for s := range flowengine.Shard(flowengine.Shards) {
		var failed error
		err := e.rt.store.Scan(appendPrefix(nil, s, areaPeople), nil, func(key, value []byte) bool {
			id, yes := isProfile(key)
			if _, elsewhere := readSignpost(value); !yes || elsewhere {
				return true
			}
			if e.looked++; e.looked%1000 == 0 && ctx.Err() != nil {
				failed = ctx.Err()
				return false
			}
			if m, err := e.read(id, value); err == nil { // one that is damaged gets nothing either
				e.play(m, false)
			}
			return true
		})
		if err = firstError(err, failed); err != nil {
			return err
		}
	}
	return nil
}

// named goes through those who are named one by one. Who was found among all
// persons is left out.
func (e *estimator) named(ctx context.Context) error {
	for s := range flowengine.Shard(flowengine.Shards) {
		prefix := namedPrefix(s, e.flow)
		var failed error
		err := e.rt.store.Scan(prefix, nil, func(key, _ []byte) bool {
			if e.looked++; e.looked%1000 == 0 && ctx.Err() != nil {
				failed = ctx.Err()
				return false
			}
			who, err := parseNamed(prefix, key)
			if err != nil {
				failed = err
				return false
			}
			m, err := e.find(who)
			if failed = err; err == nil && m != nil {
				e.playNamed(m)
			}
			return failed == nil
		})
		if err = firstError(err, failed); err != nil {
			return err
		}
	}
	return nil
}

func (e *estimator) playNamed(m *member) {
	probe := *m
	probe.passages = flowengine.Passages{}
	if r := e.step(&probe, false); entered(r) {
		return // counted already
	}
	e.play(m, true)
}

// find looks a person up in the store alone; nil when there is nobody, and nobody
// would be made.
func (e *estimator) find(who Who) (*member, error) {
	id := who.ID
	if id.IsZero() {
		id = flowengine.NewPersonID(who.Address, 0)
	}
	for range 2 { // a signpost leads further, once
		value, err := e.rt.store.Get(personKey(nil, kindPerson, id), nil)
		if isNotFound(err) {
			break
		}
		if err != nil {
			return nil, err
		}
		if leads, is := readSignpost(value); is {
			id = leads
			continue
		}
		m, err := e.read(id, value)
		if err != nil {
			return nil, nil //nolint:nilerr,nilnil // who is damaged gets nothing
		}
		return m, nil
	}
	if !who.Create {
		return nil, nil //nolint:nilnil // nobody is meant
	}
	return &member{person: flowengine.Person{ID: id, Addresses: []flowengine.Address{who.Address}}}, nil
}

func (e *estimator) read(id flowengine.PersonID, value []byte) (*member, error) {
	m := &member{person: flowengine.Person{ID: id}}
	return m, m.decode(value, func() ([]byte, error) { return e.rt.store.Get(personKey(nil, kindPassages, id), nil) })
}

// play lets a person, of whom m is a copy, into the broadcast.
func (e *estimator) play(m *member, named bool) {
	r := e.step(m, named)
	if !entered(r) {
		return
	}
	e.estimate.Recipients++
	if len(r.Sends) == 0 {
		e.estimate.Unreached++
	}
	for i := range r.Sends {
		e.price(&r.Sends[i])
	}
}

func (e *estimator) step(m *member, named bool) *flowengine.Result {
	events := func(name string) (all []flowengine.Happened) {
		_ = e.rt.store.Scan(personKey(nil, kindHappened, m.person.ID), nil, func(_, value []byte) bool {
			var h flowengine.Happened
			if flowengine.DecodeHappened(value, &h) == nil && h.Name == name {
				all = append(all, h)
			}
			return true
		})
		return all
	}
	return e.set.StepWith(&m.person, &m.passages, events, &flowengine.Muster{Flow: e.flow, Entry: flowengine.BroadcastEntry, Named: named}, e.rt.now())
}

func entered(r *flowengine.Result) bool {
	for i := range r.Log {
		if r.Log[i].Kind == flowengine.Entered {
			return true
		}
	}
	return false
}

func (e *estimator) price(s *flowengine.Send) {
	parts := 1
	if e.parts != nil {
		parts = e.parts(s.Channel, s.Text)
	}
	e.estimate.Parts += uint64(parts)
	price, known := e.tariffs.Message(s.Channel, tariff.Outbound, s.To, parts, e.rt.now())
	if !known {
		e.unknown += uint64(parts)
		return
	}
	e.sum.spend(CostKey{Currency: price.Total.Currency}, price.Total.Money)
}
