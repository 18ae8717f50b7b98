package runtime

import (
	"bytes"
	"encoding/binary"
	"time"

	"trunkline/flowengine"
)

// A key is the owner's shard (two bytes, big-endian), the kind of record (one
// byte) and what identifies the record. The kinds:
const (
	areaPeople    = 'p' // person, kind of record → record of the person
	kindAddress   = 'i' // address → person
	kindActive    = 'a' // flow, version, person, number → empty: who is where
	kindTimer     = 't' // due, target → deadline
	kindOutbox    = 'o' // due, sequence → message to send
	kindMessage   = 'm' // carrier, recipient, carrier's message id → origin, for delivery reports
	kindEarly     = 'e' // carrier, recipient, carrier's message id → report that came before its message
	kindTally     = 'c' // flow, day → counters
	kindFragments = 'f' // from, to, reference → parts of a message
	kindDeferred  = 'd' // message id → due time of a message that waits for its schedule
	kindSeen      = 'r' // id of a relay that acted
	kindOperation = 'n' // operation → what was asked for; with a suffix, how far it is
	kindChunk     = 'b' // operation, index → participants that wait for their turn
	kindVerdict   = 'v' // operation, index → what became of a participant
	kindMark      = 'y' // person, operation, index → the participant's verdict: it has been here
	kindOnce      = 'k' // digest of an idempotency key → digest of the request, and its answer
	kindJob       = 'j' // id of a job → where its next page begins; in metaShard: what it does
	kindDead      = 'z' // time, sequence → webhook that could not be delivered
	kindLink      = 'u' // token → short link
	kindIndex     = 'w' // kind of index, name, person → empty: who has a tag, is in a segment, …
	kindRoll      = 'q' // person → empty: who there is
	kindCount     = 'g' // what → how many, in the first shard of an executor
	kindPace      = 's' // lane → first turn that is free
	kindNamed     = 'l' // broadcast's flow, recipient → empty: who was named one by one
	kindHeld      = 'h' // broadcast's flow, due, sequence → message that waits until it goes on
	kindIntake    = 'I' // operation → import that comes in pieces; with a suffix, line and number: what is wrong with a row
	kindCall      = 'D' // when it was written, call, leg → record of a leg that is over
	kindOpenCall  = 'O' // call, leg → record of a leg that stands
	kindCalls     = 'C' // person → empty: a run of the person has a call
	kindCursor    = 'x' // kind of queue → low-water mark of its due times
)

// Kinds of records of mail that goes out.
const (
	kindSuppressed = 'S' // address → why no mail goes there
	kindLetter     = 'L' // message id → what became of it, and each attempt
	kindLetterOf   = 'A' // address, message id → empty: messages to the address that no flow sent
	kindSent       = 'W' // day, domain → mails that went out, in the first shard of an executor
)

// Kinds of records in areaPeople. A person's records lie together, because most
// steps write several of them; the profile is the first.
const (
	kindPerson   = '0' // → profile, or a signpost
	kindPassages = '1' // → what flows remember of the person
	kindPlace    = '2' // → segments that the person is in; also the value of the timer that looks at them
	kindHappened = 'h' // time, sequence → People event
	kindLog      = 'l' // time, sequence → history
	kindLinkOf   = 'u' // message, token → empty: the short links of a message

	kindSuccession = 's' // of a person who was merged → how records go on to the survivor
)

// metaShard holds what belongs to no person; it is beyond the persons' shards.
const metaShard = flowengine.Shard(0xFFFF)

// Kinds of records in metaShard.
const (
	kindFlow    = 'f' // flow → state and list of versions
	kindVersion = 'v' // flow, ordinal → definition
	kindBoot    = 'b' // number of starts
	kindSegment = 'm' // segment → what is kept of it
	kindIndexed = 'i' // empty: the indexes have everybody
	kindLastJob = 'l' // kind, flow and entry of a job → the last one that began
	kindSecret  = 's' // → what the tokens of short links are made with

	kindBroadcast = 'w' // broadcast → definition and state
	kindAlive     = 'a' // executor → start, and until when its open legs stood for certain
	kindAsked     = 'q' // broadcast → empty: an element has asked for its start
)

func appendPrefix(b []byte, s flowengine.Shard, kind byte) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(s)), kind)
}

func personKey(b []byte, kind byte, id flowengine.PersonID) []byte {
	return append(append(appendPrefix(b, id.Shard(), areaPeople), id[2:]...), kind)
}

// kindAt is where the kind of record stands in a key of areaPeople.
const kindAt = 3 + 14

// isProfile says whether a key of areaPeople is that of a profile, and whose.
func isProfile(key []byte) (id flowengine.PersonID, yes bool) {
	if len(key) != kindAt+1 || key[kindAt] != kindPerson {
		return id, false
	}
	copy(id[:2], key)
	copy(id[2:], key[3:])
	return id, true
}

// A signpost stands in place of the profile of the person whom an address would
// make, and names the person to whom the address leads instead. So one look
// tells of an address that nobody has written from that it is new.
const signpostMark = 0xFF // no record begins like this

func signpost(id flowengine.PersonID) []byte { return append([]byte{signpostMark}, id[:]...) }

// readSignpost reads a signpost; ok is false for a profile.
func readSignpost(value []byte) (id flowengine.PersonID, ok bool) {
	if len(value) < 1+len(id) || len(value) > 2+len(id) || value[0] != signpostMark {
		return id, false
	}
	copy(id[:], value[1:])
	return id, true
}

// isGrave tells a grave from the signpost of an address.
func isGrave(value []byte) bool { return len(value) == 2+len(flowengine.PersonID{}) }

func addressKey(a flowengine.Address) []byte {
	b := append(appendPrefix(nil, a.Shard(), kindAddress), byte(a.Kind))
	return append(b, a.Value...)
}

func activePrefix(b []byte, s flowengine.Shard, flow string, version uint32) []byte {
	b = append(append(appendPrefix(b, s, kindActive), flow...), 0)
	if version == 0 {
		return b
	}
	return binary.BigEndian.AppendUint32(b, version)
}

func activeKey(b []byte, id flowengine.PersonID, k flowengine.RunKey) []byte {
	b = activePrefix(b, id.Shard(), k.Flow, k.Version)
	return binary.BigEndian.AppendUint32(append(b, id[2:]...), k.Number)
}

// activePerson reads the person out of an activeKey.
func activePerson(s flowengine.Shard, key []byte) (id flowengine.PersonID, ok bool) {
	const tail = 14 + 4
	if len(key) < tail {
		return id, false
	}
	binary.BigEndian.PutUint16(id[:2], uint16(s))
	copy(id[2:], key[len(key)-tail:])
	return id, true
}

// activeVersion reads the version out of an activeKey with that prefix of its flow.
func activeVersion(prefix, key []byte) (version uint32, ok bool) {
	if len(key) < len(prefix)+4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(key[len(prefix):]), true
}

func logKey(b []byte, id flowengine.PersonID, at time.Time, seq uint32) []byte {
	b = personKey(b, kindLog, id)
	b = binary.BigEndian.AppendUint64(b, uint64(at.UnixMilli()))
	return binary.BigEndian.AppendUint32(b, seq)
}

func happenedKey(b []byte, id flowengine.PersonID, at time.Time, seq uint32) []byte {
	b = personKey(b, kindHappened, id)
	b = binary.BigEndian.AppendUint64(b, uint64(max(at.UnixMilli(), 0)))
	return binary.BigEndian.AppendUint32(b, seq)
}

// dueKey is the key of an entry of a due queue.
func dueKey(b []byte, s flowengine.Shard, kind byte, due time.Time, id []byte) []byte {
	b = binary.BigEndian.AppendUint64(appendPrefix(b, s, kind), uint64(max(due.UnixMilli(), 0)))
	return append(b, id...)
}

// dueOf reads the due time, in Unix milliseconds, out of a dueKey.
func dueOf(key []byte) int64 { return int64(binary.BigEndian.Uint64(key[3:11])) }

// timerID identifies a run's deadline within its shard.
func timerID(b []byte, id flowengine.PersonID, d flowengine.Deadline) []byte {
	b = append(b, id[2:]...)
	b = binary.BigEndian.AppendUint32(b, d.Number)
	b = binary.BigEndian.AppendUint32(b, d.Seq)
	return append(b, d.Flow...)
}

// messageKey is under what a message part, or an early report, is kept until the
// other comes. The recipient is part of it: the same id may be read in several
// ways (decimal, hexadecimal), and must not be taken for that of another message.
func messageKey(to flowengine.Address, kind byte, carrier, key string) []byte {
	b := make([]byte, 0, 3+len(carrier)+1+len(to.Value)+1+len(key))
	b = append(append(appendPrefix(b, to.Shard(), kind), carrier...), 0)
	b = append(append(b, to.Value...), 0)
	return append(b, key...)
}

// earlyCarrier reads the carrier out of a messageKey.
func earlyCarrier(key []byte) string {
	carrier, _, _ := bytes.Cut(key[3:], []byte{0})
	return string(carrier)
}

func tallyKey(b []byte, s flowengine.Shard, flow string, day uint32) []byte {
	b = append(append(appendPrefix(b, s, kindTally), flow...), 0)
	return binary.BigEndian.AppendUint32(b, day)
}

func cursorKey(b []byte, s flowengine.Shard, kind byte) []byte {
	return append(appendPrefix(b, s, kindCursor), kind)
}

// successor is the smallest key above key.
func successor(key []byte) []byte { return append(append([]byte{}, key...), 0) }

// runTimerKey is the key of a run's deadline in the timers.
func runTimerKey(b []byte, id flowengine.PersonID, d flowengine.Deadline) []byte {
	b = dueKey(b, id.Shard(), kindTimer, d.Due, nil)
	return timerID(b, id, d)
}

// parseRunTimer reads what runTimerKey wrote.
func parseRunTimer(key []byte) (id flowengine.PersonID, t flowengine.Timer, ok bool) {
	const head, tail = 3 + 8, 14 + 4 + 4
	if len(key) < head+tail {
		return id, t, false
	}
	copy(id[:2], key)
	rest := key[head:]
	copy(id[2:], rest)
	t.Number = binary.BigEndian.Uint32(rest[14:])
	t.Seq = binary.BigEndian.Uint32(rest[18:])
	t.Flow = string(rest[22:])
	return id, t, true
}

// shardOf reads the owner out of a key.
func shardOf(key []byte) flowengine.Shard {
	return flowengine.Shard(binary.BigEndian.Uint16(key))
}

func deferredKey(carrier string, from flowengine.Address, id string) []byte {
	b := append(append(appendPrefix(nil, from.Shard(), kindDeferred), carrier...), 0)
	return append(b, id...)
}
