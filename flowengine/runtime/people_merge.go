package runtime

import (
	"fmt"
	"slices"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
)

// Several persons who turned out to be one become one (rule A2); the oldest
// survives. Persons live in shards of different executors, so this goes step by
// step, each of them one batch, each next one a durable relay:
//
//  1. A merger visits the persons, each in its shard, and finds the oldest.
//  2. It visits the others. Each of them dissolves: a signpost takes the place of
//     the profile, and all that was the person travels to the survivor.
//  3. The survivor absorbs it, and its addresses lead to the survivor.
//  4. History and events follow page by page, told apart by the succession.
//
// What is addressed to a dissolved person follows the signpost; what arrives at
// the survivor before the person did waits.
type merger struct {
	People     []flowengine.PersonID
	At         int
	Dissolving bool
	Oldest     flowengine.PersonID
	Since      time.Time
	All        measure
	// Then is what happens in the survivor's shard after the last one has arrived.
	Then *relay
}

// measure is how much is known of persons.
type measure struct {
	Of              map[flowengine.AddressKind]int
	Profile, Inside int // bytes of profiles, and of what flows remember
}

func (s *measure) add(m *member) {
	if s.Of == nil {
		s.Of = map[flowengine.AddressKind]int{}
	}
	for _, a := range m.person.Addresses {
		s.Of[a.Kind]++
	}
	s.Profile += len(flowengine.AppendPerson(nil, &m.person))
	s.Inside += len(flowengine.AppendPassages(nil, &m.passages))
}

// err tells why one person can't have all of it.
func (s *measure) err() error {
	for k := flowengine.Phone; k <= flowengine.External; k++ {
		if s.Of[k] > flowengine.MaxOfKind {
			return fmt.Errorf("%w: merged, the person would have %d addresses of kind %s, of at most %d", ErrTooLarge, s.Of[k], k, flowengine.MaxOfKind)
		}
	}
	if s.Profile > profileBytes || s.Inside > profileBytes {
		return fmt.Errorf("%w: merged, the person would have more than %d bytes", ErrTooLarge, profileBytes)
	}
	return nil
}

// notYet is how long something waits that came to a survivor before the person
// whom it concerns, and notYetMost how often that may be.
const (
	notYet     = 50 * time.Millisecond
	notYetMost = time.Hour
)

// errMerging refuses what comes by the address of a person who is on the way to
// the survivor: there, nobody would know of the person's runs yet.
var errMerging = fmt.Errorf("%w: the person is being merged; try again", ErrOverload)

// merge takes a merger as far as this executor's shards reach.
func (tx *txn) merge(g *merger) error {
	for g.At < len(g.People) {
		id := g.People[g.At]
		if !tx.ex.owns(id.Shard()) {
			return tx.relay(&relay{Target: id.Shard(), Kind: relayMerge, Body: g.append(nil)})
		}
		m, err := tx.member(id)
		if err != nil {
			return err
		}
		switch {
		case m.moved:
			g.replace(m.leads)
		case !m.exists:
			g.People = slices.Delete(g.People, g.At, g.At+1)
			g.again()
		case g.Dissolving && id != g.Oldest:
			g.At++
			return tx.leave(m, g.Oldest, g.rest())
		case g.Dissolving:
			g.At++
		default:
			if err := g.look(m); err != nil {
				return tx.mergeRefused(g, err)
			}
		}
	}
	if g.Then == nil {
		return nil
	}
	return tx.relay(g.Then)
}

// look notes a person, and turns to the second round after the last one.
func (g *merger) look(m *member) error {
	if g.Oldest.IsZero() || older(&m.person, g.Since, g.Oldest) {
		g.Oldest, g.Since = m.person.ID, m.person.Created
	}
	g.All.add(m)
	g.At++
	if g.At < len(g.People) || len(g.People) == 1 {
		return nil
	}
	g.At, g.Dissolving = 0, true
	return g.All.err()
}

// older orders persons: by when they became known, and then by id, so that
// mergers of the same persons agree.
func older(p *flowengine.Person, since time.Time, than flowengine.PersonID) bool {
	if c := p.Created.Compare(since); c != 0 {
		return c < 0
	}
	return slices.Compare(p.ID[:], than[:]) < 0
}

// replace puts the one into whom a person was merged in the place of the person.
func (g *merger) replace(by flowengine.PersonID) {
	g.People[g.At] = by
	if slices.Contains(g.People[:g.At], by) || slices.Contains(g.People[g.At+1:], by) {
		g.People = slices.Delete(g.People, g.At, g.At+1)
	}
	g.again()
}

func (g *merger) again() {
	g.At, g.Dissolving, g.Oldest, g.Since, g.All = 0, false, flowengine.PersonID{}, time.Time{}, measure{}
}

// rest is what is left to do after the person before At has arrived.
func (g *merger) rest() *relay {
	for _, id := range g.People[g.At:] {
		if id != g.Oldest {
			return &relay{Target: g.People[g.At].Shard(), Kind: relayMerge, Body: g.append(nil)}
		}
	}
	return g.Then
}

// mergeRefused ends a merger before anybody dissolved.
func (tx *txn) mergeRefused(g *merger, why error) error {
	tx.ex.rt.log.Warn("persons were not merged", "person", g.Oldest.String(), "error", why)
	if g.Then == nil || g.Then.Kind != relayAdmission {
		return nil
	}
	w, err := decodeAdmission(g.Then.Body)
	if err != nil {
		return err
	}
	return tx.tell(w, Rejected, RejectedContact, why.Error())
}

// leave sends all that is a person to the survivor. It is durable in the same
// batch as the signpost that takes the person's place.
func (tx *txn) leave(m *member, survivor flowengine.PersonID, then *relay) error {
	id, w := m.person.ID, &tx.batch.writes
	for i := range m.passages.Runs {
		run := &m.passages.Runs[i]
		if !run.Deadline.IsZero() {
			d := flowengine.Deadline{Due: run.Deadline, Flow: run.Flow, Number: run.Number, Seq: run.Seq}
			tx.ex.timers.remove(id.Shard(), runTimerKey(nil, id, d), w)
		}
		w.Delete(activeKey(tx.ex.scratch[:0], id, flowengine.RunKey{Flow: run.Flow, Version: run.Version, Number: run.Number}))
	}
	if err := tx.unlist(m); err != nil {
		return err
	}
	w.Put(personKey(tx.ex.scratch[:0], kindPerson, id), grave(survivor))
	w.Delete(personKey(tx.ex.scratch[:0], kindPassages, id))
	tx.ex.people.put(id, &member{person: flowengine.Person{ID: id}, leads: survivor, moved: true})
	for _, a := range m.person.Addresses {
		if flowengine.NewPersonID(a, 0) == id { // the address was found by the profile
			if err := tx.lead(a, survivor); err != nil {
				return err
			}
		}
	}
	body := record.AppendBytes(nil, 1, survivor[:])
	body = record.AppendBytes(body, 2, id[:])
	body = record.AppendNested(body, 3, func(b []byte) []byte { return flowengine.AppendPerson(b, &m.person) })
	body = record.AppendNested(body, 4, func(b []byte) []byte { return flowengine.AppendPassages(b, &m.passages) })
	if then != nil {
		body = record.AppendNested(body, 5, then.append)
	}
	tx.post(&relay{Target: survivor.Shard(), Kind: relayAbsorb, Body: body}, tx.now)
	return nil
}

// receiveAbsorb lets the survivor take over a person.
func (tx *txn) receiveAbsorb(body []byte) error {
	var survivor flowengine.PersonID
	c := new(flowengine.Absorb)
	var then *relay
	err := record.Decode(body, "merged person", func(f record.Field) (err error) {
		switch f.Num {
		case 1:
			copy(survivor[:], f.Bytes)
		case 2:
			copy(c.Person.ID[:], f.Bytes)
		case 3:
			err = flowengine.DecodePerson(f.Bytes, &c.Person, nil)
		case 4:
			err = flowengine.DecodePassages(f.Bytes, &c.Passages)
		case 5:
			then, err = decodeRelay(f.Bytes)
		}
		return err
	})
	if err != nil {
		return err
	}
	m, err := tx.member(survivor)
	switch {
	case err != nil:
		return err
	case m.moved: // merged again meanwhile
		again := record.AppendBytes(nil, 1, m.leads[:])
		tx.post(&relay{Target: m.leads.Shard(), Kind: relayAbsorb, Body: append(again, body[len(again):]...)}, tx.now)
		return nil
	case !m.exists: // erased meanwhile
		err = tx.forgetAbsorbed(survivor, &c.Person)
	default:
		if s := tx.step(m, c).Succession; s != nil {
			tx.succeed(survivor, c.Person.ID, s)
		}
	}
	if err != nil || then == nil {
		return err
	}
	tx.post(then, tx.now)
	return nil
}

// forgetAbsorbed erases a person whose survivor was erased before the person
// arrived there.
func (tx *txn) forgetAbsorbed(survivor flowengine.PersonID, p *flowengine.Person) error {
	for _, id := range append([]flowengine.PersonID{p.ID}, p.Merged...) {
		if err := tx.forgetMerged(id); err != nil {
			return err
		}
	}
	for _, a := range p.Addresses {
		if err := firstError(tx.unalias(a, p.ID), tx.unalias(a, survivor)); err != nil {
			return err
		}
	}
	return nil
}

// forgetMerged removes what is left where a person was who merged into another one.
func (tx *txn) forgetMerged(id flowengine.PersonID) error {
	return tx.relay(&relay{Target: id.Shard(), Kind: relayForgetMerged, Body: id[:]})
}

func (tx *txn) receiveForgetMerged(body []byte) error {
	id := flowengine.PersonID(body)
	m, err := tx.member(id)
	if err != nil || !m.moved {
		return err
	}
	if _, _, err := tx.withdraw(id.Shard(), "", 0, func(row *Message) bool { return row.Relay == nil && row.Origin.Person == id }); err != nil {
		return err
	}
	tx.batch.writes.Delete(personKey(tx.ex.scratch[:0], kindPerson, id))
	tx.delete(personKey(nil, kindSuccession, id))
	tx.ex.people.put(id, &member{person: flowengine.Person{ID: id}})
	for _, kind := range personal {
		if _, err := tx.erasePage(id, kind, 2*erasePage); err != nil {
			return err
		}
	}
	return tx.forgetLettersOf(id)
}

// grave is the signpost that stands in place of the profile of a person who was
// merged into another one. Unlike one that stands for an address, it says nothing
// of the address that the person was once made of.
func grave(survivor flowengine.PersonID) []byte { return append(signpost(survivor), graveMark) }

const graveMark = 1

// resolve follows the signposts of persons who were merged. A person of another
// executor is returned by id alone.
func (tx *txn) resolve(m *member) (*member, error) {
	for m.moved {
		if !tx.ex.owns(m.leads.Shard()) {
			return &member{person: flowengine.Person{ID: m.leads}}, nil
		}
		var err error
		if m, err = tx.member(m.leads); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// told lets a cause that names a person by a message's origin act on the person,
// or on the one into whom the person was merged. A cause that comes there before
// the person did waits; body makes the relay that it waits as.
func (tx *txn) told(at flowengine.PersonID, origin flowengine.PersonID, until time.Time, c flowengine.Cause, later func(at flowengine.PersonID, until time.Time) *relay) error {
	m, err := tx.member(at)
	if err != nil {
		return err
	}
	if until.IsZero() {
		until = tx.now.Add(notYetMost)
	}
	switch {
	case m.moved:
		tx.post(later(m.leads, until), tx.now)
	case !m.exists:
	case at == origin || slices.Contains(m.person.Merged, origin):
		tx.step(m, c)
	case tx.now.Before(until):
		tx.post(later(at, until), tx.now.Add(notYet))
	}
	return nil
}

func (g *merger) append(b []byte) []byte {
	for i := range g.People {
		b = record.AppendBytes(b, 1, g.People[i][:])
	}
	b = record.AppendUint(b, 2, uint64(g.At))
	b = record.AppendBool(b, 3, g.Dissolving)
	if !g.Oldest.IsZero() {
		b = record.AppendBytes(b, 4, g.Oldest[:])
	}
	b = record.AppendTime(b, 5, g.Since)
	for k := flowengine.Phone; k <= flowengine.External; k++ {
		b = record.AppendUint(b, 6, uint64(g.All.Of[k])<<8|uint64(k))
	}
	b = record.AppendUint(b, 7, uint64(g.All.Profile))
	b = record.AppendUint(b, 8, uint64(g.All.Inside))
	if g.Then != nil {
		b = record.AppendNested(b, 9, g.Then.append)
	}
	return b
}

func (tx *txn) receiveMerge(body []byte) error {
	g := &merger{All: measure{Of: map[flowengine.AddressKind]int{}}}
	err := record.Decode(body, "merger", func(f record.Field) (err error) {
		switch f.Num {
		case 1:
			var id flowengine.PersonID
			copy(id[:], f.Bytes)
			g.People = append(g.People, id)
		case 2:
			g.At = int(f.Uint)
		case 3:
			g.Dissolving = f.Bool()
		case 4:
			copy(g.Oldest[:], f.Bytes)
		case 5:
			g.Since = f.Time()
		case 6:
			g.All.Of[flowengine.AddressKind(f.Uint)] = int(f.Uint >> 8)
		case 7:
			g.All.Profile = int(f.Uint)
		case 8:
			g.All.Inside = int(f.Uint)
		case 9:
			g.Then, err = decodeRelay(f.Bytes)
		}
		return err
	})
	if err != nil {
		return err
	}
	return tx.merge(g)
}
