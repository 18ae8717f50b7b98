package runtime

import (
	"fmt"
	"time"

	"trunkline/flowengine"
	"trunkline/storage"
)

// ParticipantReport tells what became of a participant.
type ParticipantReport struct {
	Index      int
	Identifier flowengine.Address // what the request identified the person by; zero after the person was erased
	Status     Status
	Reason     string // why rejected: Rejected… or flowengine's Refused…
	Detail     string
	Person     flowengine.PersonID // zero: not known yet
}

// OperationReport tells how far an operation is.
type OperationReport struct {
	ID                          OperationID
	Flow, Entry                 string
	Callback                    string
	At                          time.Time           // when the request was accepted
	Pending, Accepted, Rejected int                 // participants
	Participants                []ParticipantReport // in the order of the request
}

// Operation reads how far an operation is, as it is durable. It returns
// ErrNotFound for one that never was or that expired.
func (rt *Runtime) Operation(id OperationID) (*OperationReport, error) {
	view, err := rt.store.Snapshot()
	if err != nil {
		return nil, err
	}
	defer view.Close()
	value, err := view.Get(operationKey(id), nil)
	if isNotFound(err) {
		return nil, fmt.Errorf("%w: there is no operation %s", ErrNotFound, id)
	}
	if err != nil {
		return nil, err
	}
	head, err := decodeOperation(value)
	if err != nil {
		return nil, err
	}
	out := &OperationReport{
		ID: id, Flow: head.Flow, Entry: head.Entry, Callback: head.Callback, At: head.Accepted,
		Participants: make([]ParticipantReport, head.Total),
	}
	for i := range out.Participants {
		out.Participants[i] = ParticipantReport{Index: i, Status: Pending}
	}
	if err := readWaiting(view, id, out.Participants); err != nil {
		return nil, err
	}
	if err := readVerdicts(view, id, out.Participants); err != nil {
		return nil, err
	}
	for i := range out.Participants {
		switch out.Participants[i].Status {
		case Accepted:
			out.Accepted++
		case Rejected:
			out.Rejected++
		default:
			out.Pending++
		}
	}
	return out, nil
}

func readWaiting(view storage.Reader, id OperationID, into []ParticipantReport) error {
	var damaged error
	err := view.Scan(chunkPrefix(id), nil, func(key, value []byte) bool {
		var all []Participant
		all, damaged = decodeParticipants(value)
		for i, first := 0, indexOf(key); i < len(all) && first+i < len(into); i++ {
			if len(all[i].Addresses) > 0 {
				into[first+i].Identifier = all[i].Addresses[0]
			}
		}
		return damaged == nil
	})
	return firstError(err, damaged)
}

func readVerdicts(view storage.Reader, id OperationID, into []ParticipantReport) error {
	var damaged error
	err := view.Scan(operationPart(kindVerdict, id), nil, func(key, value []byte) bool {
		var v *verdict
		v, damaged = decodeVerdict(value)
		if i := indexOf(key); damaged == nil && i < len(into) {
			into[i] = ParticipantReport{Index: i, Identifier: v.Identifier, Status: v.Status, Reason: v.Reason, Detail: v.Detail, Person: v.Person}
		}
		return damaged == nil
	})
	return firstError(err, damaged)
}
