package runtime

import (
	"fmt"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
)

// BroadcastState is a broadcast's place in its life (rule B1).
type BroadcastState uint8

// The states. The numbers are stored.
const (
	BroadcastDraft     BroadcastState = 1
	BroadcastAwaiting  BroadcastState = 2 // for somebody else than its creator to agree
	BroadcastScheduled BroadcastState = 3 // for its time, or for somebody to start it
	BroadcastRunning   BroadcastState = 4
	BroadcastPaused    BroadcastState = 5 // nothing is sent meanwhile
	BroadcastFinished  BroadcastState = 6
	BroadcastCancelled BroadcastState = 7
)

var broadcastStates = [...]string{
	BroadcastDraft: "draft", BroadcastAwaiting: "awaiting_approval", BroadcastScheduled: "scheduled", BroadcastRunning: "running",
	BroadcastPaused: "paused", BroadcastFinished: "finished", BroadcastCancelled: "cancelled",
}

// String gives the word used in API and command line.
func (s BroadcastState) String() string {
	if int(s) < len(broadcastStates) && broadcastStates[s] != "" {
		return broadcastStates[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// broadcastRecord is the stored form of a broadcast.
type broadcastRecord struct {
	id                string
	name              string
	state             BroadcastState
	definition        []byte
	creator, approver string
	approval          bool // it needs an approver, by its definition or by the configuration
	asked             bool // to be started, at startAt
	closing           bool // a job takes back what is left of it
	selects           bool // recipients are sought among all persons
	named             uint64
	created           time.Time
	startAt           time.Time // zero: as soon as it is asked for
	launched, ended   time.Time

	version *flowengine.Version // while it is loaded
}

func (r *broadcastRecord) clone() *broadcastRecord {
	c := *r
	return &c
}

// loaded says that the engine knows of the broadcast: persons may be inside.
func (r *broadcastRecord) loaded() bool {
	return r.state == BroadcastRunning || r.state == BroadcastPaused || r.state == BroadcastCancelled && r.closing && !r.launched.IsZero()
}

// prepared says that somebody may start it.
func (r *broadcastRecord) prepared() bool {
	return r.state == BroadcastScheduled || r.state == BroadcastDraft && (!r.approval || r.approver != "")
}

// flow is the broadcast as the engine sees it.
func (r *broadcastRecord) flow() *flowengine.Flow {
	state := flowengine.Active
	switch r.state {
	case BroadcastPaused:
		state = flowengine.Paused
	case BroadcastCancelled:
		state = flowengine.Cancelled
	}
	return &flowengine.Flow{ID: r.version.Flow, State: state, Launched: r.launched, Newest: r.version, Versions: []*flowengine.Version{r.version}}
}

func broadcastKey(id string) []byte {
	return append(appendPrefix(nil, metaShard, kindBroadcast), id...)
}

// askedKey notes that an element has asked for the start of a broadcast.
func askedKey(id string) []byte { return append(appendPrefix(nil, metaShard, kindAsked), id...) }

func (r *broadcastRecord) append(b []byte) []byte {
	b = record.AppendUint(b, 1, uint64(r.state))
	b = record.AppendBytes(b, 2, r.definition)
	b = record.AppendString(b, 3, r.creator)
	b = record.AppendString(b, 4, r.approver)
	b = record.AppendBool(b, 5, r.approval)
	b = record.AppendBool(b, 6, r.asked)
	b = record.AppendBool(b, 7, r.closing)
	b = record.AppendBool(b, 8, r.selects)
	b = record.AppendUint(b, 9, r.named)
	b = record.AppendTime(b, 10, r.created)
	b = record.AppendTime(b, 11, r.startAt)
	b = record.AppendTime(b, 12, r.launched)
	b = record.AppendTime(b, 13, r.ended)
	return record.AppendString(b, 14, r.name)
}

func decodeBroadcast(id string, b []byte) (*broadcastRecord, error) {
	r := &broadcastRecord{id: id}
	return r, record.Decode(b, "broadcast "+id, func(f record.Field) error {
		switch f.Num {
		case 1:
			r.state = BroadcastState(f.Uint)
		case 2:
			r.definition = append([]byte(nil), f.Bytes...)
		case 3:
			r.creator = string(f.Bytes)
		case 4:
			r.approver = string(f.Bytes)
		case 5:
			r.approval = f.Bool()
		case 6:
			r.asked = f.Bool()
		case 7:
			r.closing = f.Bool()
		case 8:
			r.selects = f.Bool()
		case 9:
			r.named = f.Uint
		case 10:
			r.created = f.Time()
		case 11:
			r.startAt = f.Time()
		case 12:
			r.launched = f.Time()
		case 13:
			r.ended = f.Time()
		case 14:
			r.name = string(f.Bytes)
		}
		return nil
	})
}

// storedBroadcast reads a broadcast.
func (rt *Runtime) storedBroadcast(id string) (*broadcastRecord, error) {
	value, err := rt.store.Get(broadcastKey(id), nil)
	if isNotFound(err) {
		return nil, fmt.Errorf("%w: there is no broadcast %q; `trunkline broadcast list` shows all", ErrNotFound, id)
	}
	if err != nil {
		return nil, err
	}
	return decodeBroadcast(id, value)
}

// scanBroadcasts reads all broadcasts, by id, beginning after one.
func (rt *Runtime) scanBroadcasts(after string, each func(r *broadcastRecord) (more bool)) error {
	prefix := appendPrefix(nil, metaShard, kindBroadcast)
	var from []byte
	if after != "" {
		from = successor(broadcastKey(after))
	}
	var damaged error
	err := rt.store.Scan(prefix, from, func(key, value []byte) bool {
		var r *broadcastRecord
		if r, damaged = decodeBroadcast(string(key[len(prefix):]), value); damaged != nil {
			return false
		}
		return each(r)
	})
	return firstError(err, damaged)
}
