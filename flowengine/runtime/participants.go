package runtime

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
)

// Bounds of a person, so that no record outgrows what the store takes.
const (
	// MaxContacts is the most addresses of a participant.
	MaxContacts = 20

	participantBytes = 64 << 10  // of one participant
	profileBytes     = 256 << 10 // of a stored profile, and of what flows remember of a person
)

// Participant is one person whom a request wants in a flow.
type Participant struct {
	// Addresses lead to the person; the first is what the request identifies the
	// person by. Someone whom none of them leads to is made (rule A2).
	Addresses []flowengine.Address
	Attrs     flowengine.Attrs // to be written to the profile
	Unset     []string         // attributes to be removed
	Tags      []flowengine.Tag // to be added
	Vars      flowengine.Attrs // of the run
	// Rejected says why the participant is not let in; Detail tells more.
	Rejected, Detail string
}

// admission is a participant on the way into a flow. Each of the shards that
// own one of its addresses is asked, last that of the identifying one, whom it
// leads to; then addresses that lead to nobody are claimed for the person, and
// then the person enters. From shard to shard the admission goes as a relay.
type admission struct {
	Operation   OperationID
	Index       int
	Flow, Entry string
	Expires     time.Time // of what is kept of the operation
	Participant Participant

	Stage   admissionStage
	At      int                 // address in question
	Person  flowengine.PersonID // zero: nobody yet
	Missing uint32              // bit i: address i leads to nobody
	// Others are persons to whom addresses lead besides Person; they are merged
	// (rule A2), unless Reject says that this is an error.
	Others []flowengine.PersonID
	Reject bool
}

type admissionStage uint8

// The stages. The numbers are stored.
const (
	lookingUp admissionStage = 0
	claiming  admissionStage = 1
	entering  admissionStage = 2
)

func (w *admission) shard() flowengine.Shard {
	if w.Stage == entering {
		return w.Person.Shard()
	}
	return w.Participant.Addresses[w.At].Shard()
}

// admit takes an admission as far as this executor's shards reach.
func (tx *txn) admit(w *admission) error {
	for {
		if s := w.shard(); !tx.ex.owns(s) {
			return tx.relay(&relay{Target: s, Kind: relayAdmission, Body: w.append()})
		}
		var settled bool
		var err error
		switch w.Stage {
		case lookingUp:
			settled, err = tx.lookUp(w)
		case claiming:
			settled, err = tx.claimFor(w)
		default:
			return tx.enter(w)
		}
		if errors.Is(err, errMerging) {
			tx.post(&relay{Target: w.shard(), Kind: relayAdmission, Body: w.append()}, tx.now.Add(notYet))
			return nil
		}
		if settled || err != nil {
			return err
		}
	}
}

// lookUp finds whom the address in question leads to. Persons to whom several
// addresses lead are merged after that (rule A2).
func (tx *txn) lookUp(w *admission) (settled bool, err error) {
	a := w.Participant.Addresses[w.At]
	id, err := tx.leadsTo(a)
	if err != nil {
		return false, err
	}
	switch {
	case id.IsZero():
		w.Missing |= 1 << w.At
	case w.Person.IsZero():
		w.Person = id
	case w.Person == id || slices.Contains(w.Others, id):
	case w.Reject:
		return true, tx.tell(w, Rejected, RejectedContact, "the contacts are those of several persons")
	default:
		w.Others = append(w.Others, id)
	}
	if w.At > 0 {
		w.At--
		return false, nil
	}
	if w.Person.IsZero() {
		m, err := tx.personAt(a)
		if err != nil {
			return false, err
		}
		w.Person = m.person.ID
		w.Missing &^= 1
		if _, ok := tx.attempt(w.Person, &flowengine.Change{Source: sourceFlowAPI}); !ok {
			return true, tx.tell(w, Rejected, RejectedError, "the person could not be made")
		}
	}
	w.Stage = claiming
	w.nextMissing()
	if len(w.Others) == 0 {
		return false, nil
	}
	g := &merger{People: append([]flowengine.PersonID{w.Person}, w.Others...)}
	w.Others = nil
	g.Then = &relay{Target: w.shard(), Kind: relayAdmission, Body: w.append()}
	return true, tx.merge(g)
}

// nextMissing finds the next address to claim; without one, the person enters.
func (w *admission) nextMissing() {
	for i := range w.Participant.Addresses {
		if w.Missing&(1<<i) != 0 {
			w.At = i
			return
		}
	}
	w.Stage = entering
}

// claimFor makes the address in question lead to the person.
func (tx *txn) claimFor(w *admission) (settled bool, err error) {
	free, err := tx.claim(w.Participant.Addresses[w.At], w.Person)
	if err != nil {
		return false, err
	}
	if !free {
		return true, tx.tell(w, Rejected, RejectedContact, "a contact became another person's at the same time")
	}
	w.Missing &^= 1 << w.At
	w.nextMissing()
	return false, nil
}

// leadsTo finds whom an address of one of the executor's shards leads to; zero
// when to nobody.
func (tx *txn) leadsTo(a flowengine.Address) (id flowengine.PersonID, err error) {
	m, err := tx.personAt(a)
	if err != nil || !m.exists && tx.ex.owns(m.person.ID.Shard()) {
		return id, err
	}
	return m.person.ID, nil
}

// claim makes an address lead to a person, unless it leads to another one.
func (tx *txn) claim(a flowengine.Address, person flowengine.PersonID) (free bool, err error) {
	id, err := tx.leadsTo(a)
	if err != nil || !id.IsZero() && id != person {
		return false, err
	}
	return true, tx.lead(a, person)
}

// sourceFlowAPI names in a person's history who wrote to the profile.
const sourceFlowAPI = "flow_api"

// enter writes to the profile and lets the person in. It runs in the person's
// shard, and the mark that keeps a repetition out is in the same batch (rule E7).
func (tx *txn) enter(w *admission) error {
	m, err := tx.member(w.Person)
	if err != nil {
		return err
	}
	if m.moved {
		w.Person = m.leads
		tx.post(&relay{Target: w.shard(), Kind: relayAdmission, Body: w.append()}, tx.now)
		return nil
	}
	mark := markKey(w.Person, w.Operation, w.Index)
	if value, err := tx.get(mark); err == nil {
		v, err := decodeVerdict(value)
		if err != nil {
			return err
		}
		return tx.tell(w, v.Status, v.Reason, v.Detail)
	}
	if !m.exists {
		return tx.tell(w, Rejected, RejectedError, "the person was erased")
	}
	v := tx.verdictOn(w, m)
	tx.put(mark, v.append(nil), w.Expires)
	return tx.tell(w, v.Status, v.Reason, v.Detail)
}

func (tx *txn) verdictOn(w *admission, m *member) *verdict {
	p := &w.Participant
	change := &flowengine.Change{Source: sourceFlowAPI, Set: p.Attrs, AddTags: p.Tags, AddAddresses: p.Addresses}
	for _, name := range p.Unset {
		change.Set = append(change.Set[:len(change.Set):len(change.Set)], flowengine.Attr{Name: name})
	}
	if err := roomFor(m, change, p.Vars); err != nil {
		return &verdict{Status: Rejected, Reason: RejectedAttribute, Detail: err.Error()}
	}
	if changes(change) {
		if _, ok := tx.attempt(w.Person, change); !ok {
			return &verdict{Status: Rejected, Reason: RejectedError, Detail: "the profile could not be written"}
		}
	}
	r, ok := tx.attempt(w.Person, &flowengine.Start{Flow: w.Flow, Entry: w.Entry, Vars: p.Vars})
	switch {
	case !ok:
		return &verdict{Status: Rejected, Reason: RejectedError, Detail: "the flow could not be entered"}
	case r.Refused != "":
		return &verdict{Status: Rejected, Reason: r.Refused}
	}
	return &verdict{Status: Accepted}
}

func changes(c *flowengine.Change) bool {
	return len(c.Set)+len(c.AddTags)+len(c.RemoveTags)+len(c.Block)+len(c.Unblock)+len(c.AddAddresses)+len(c.DropAddresses) > 0
}

// attempt is step for a cause that came from outside and is one of several in
// its task: a panic in it is its own result, and does not reach the others.
// Set.Step writes nothing, so what it panics in leaves no half of a step.
func (tx *txn) attempt(id flowengine.PersonID, c flowengine.Cause) (r *flowengine.Result, ok bool) {
	mark := tx.batch.writes.Len()
	defer func() {
		if p := recover(); p != nil {
			if tx.batch.writes.Len() != mark {
				panic(p)
			}
			tx.ex.rt.metrics.panics.Inc()
			tx.ex.rt.log.Error("a step panicked", "task", "participant", "person", id.String(), "panic", p, "stack", string(debug.Stack()))
			tx.forget()
			r, ok = nil, false
		}
	}()
	m, err := tx.member(id)
	if err != nil {
		return nil, false
	}
	return tx.step(m, c), true
}

// roomFor tells why a change and the variables of a run must not be written:
// the person's records would outgrow what the store takes, or the person would
// have more addresses than are kept.
func roomFor(m *member, c *flowengine.Change, vars flowengine.Attrs) error {
	if c != nil {
		if k := m.person.Crowded(c.AddAddresses); k != 0 {
			return fmt.Errorf("%w: a person has at most %d addresses of kind %s", ErrTooLarge, flowengine.MaxOfKind, k)
		}
	}
	profile := len(flowengine.AppendPerson(nil, &m.person))
	passages := len(flowengine.AppendPassages(nil, &m.passages))
	if c != nil {
		profile += attrBytes(c.Set)
		for _, t := range c.AddTags {
			profile += len(t.Fold) + len(t.Name) + 8
		}
		for _, a := range c.AddAddresses {
			profile += len(a.Value) + 8
		}
	}
	if profile > profileBytes || passages+attrBytes(vars) > profileBytes {
		return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, profileBytes)
	}
	return nil
}

func attrBytes(all flowengine.Attrs) (n int) {
	for i := range all {
		n += len(all[i].Name) + len(all[i].Value.Str) + 24
	}
	return n
}

// tell lets the operation know what became of a participant.
func (tx *txn) tell(w *admission, s Status, reason, detail string) error {
	v := &verdict{Status: s, Reason: reason, Detail: detail, Person: w.Person}
	if tx.ex.owns(w.Operation.shard()) {
		return tx.participantSettled(w.Operation, w.Index, v)
	}
	body := record.AppendBytes(nil, 1, w.Operation[:])
	body = record.AppendUint(body, 2, uint64(w.Index))
	return tx.relay(&relay{Target: w.Operation.shard(), Kind: relayVerdict, Body: record.AppendNested(body, 3, v.append)})
}

func (tx *txn) receiveVerdict(body []byte) error {
	var id OperationID
	var v *verdict
	index := 0
	err := record.Decode(body, "verdict", func(f record.Field) (err error) {
		switch f.Num {
		case 1:
			copy(id[:], f.Bytes)
		case 2:
			index = int(f.Uint)
		case 3:
			v, err = decodeVerdict(f.Bytes)
		}
		return err
	})
	if err != nil || v == nil {
		return err
	}
	return tx.participantSettled(id, index, v)
}

func (w *admission) append() []byte {
	b := record.AppendBytes(nil, 1, w.Operation[:])
	b = record.AppendUint(b, 2, uint64(w.Index))
	b = record.AppendString(b, 3, w.Flow)
	b = record.AppendString(b, 4, w.Entry)
	b = record.AppendTime(b, 5, w.Expires)
	b = record.AppendNested(b, 6, w.Participant.append)
	b = record.AppendUint(b, 7, uint64(w.Stage))
	b = record.AppendUint(b, 8, uint64(w.At))
	if !w.Person.IsZero() {
		b = record.AppendBytes(b, 9, w.Person[:])
	}
	b = record.AppendUint(b, 10, uint64(w.Missing))
	for i := range w.Others {
		b = record.AppendBytes(b, 11, w.Others[i][:])
	}
	return record.AppendBool(b, 12, w.Reject)
}

// receiveAdmission goes on with an admission that another executor sent.
func (tx *txn) receiveAdmission(body []byte) error {
	w, err := decodeAdmission(body)
	if err != nil {
		return err
	}
	return tx.admit(w)
}

func decodeAdmission(body []byte) (*admission, error) {
	w := new(admission)
	err := record.Decode(body, "admission", func(f record.Field) (err error) {
		switch f.Num {
		case 1:
			copy(w.Operation[:], f.Bytes)
		case 2:
			w.Index = int(f.Uint)
		case 3:
			w.Flow = string(f.Bytes)
		case 4:
			w.Entry = string(f.Bytes)
		case 5:
			w.Expires = f.Time()
		case 6:
			w.Participant, err = decodeParticipant(f.Bytes)
		case 7:
			w.Stage = admissionStage(f.Uint)
		case 8:
			w.At = int(f.Uint)
		case 9:
			copy(w.Person[:], f.Bytes)
		case 10:
			w.Missing = uint32(f.Uint)
		case 11:
			var id flowengine.PersonID
			copy(id[:], f.Bytes)
			w.Others = append(w.Others, id)
		case 12:
			w.Reject = f.Bool()
		}
		return err
	})
	if err == nil && w.At >= len(w.Participant.Addresses) {
		err = fmt.Errorf("%w: an admission at address %d of %d", record.ErrDamaged, w.At, len(w.Participant.Addresses))
	}
	return w, err
}
