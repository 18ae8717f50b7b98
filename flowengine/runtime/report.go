package runtime

import (
	"bytes"
	"fmt"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
)

// States of a message, as delivery reports tell them.
const (
	StateEnroute       = "enroute"
	StateAccepted      = "accepted"
	StateDelivered     = "delivered"
	StateExpired       = "expired"
	StateDeleted       = "deleted"
	StateUndeliverable = "undeliverable"
	StateRejected      = "rejected"
	StateUnknown       = "unknown"
	// StateComplained: the recipient of a mail calls it spam. It comes after any other.
	StateComplained = flowengine.ReportComplained
)

// earlyMost bounds the reports per shard that wait for their message, and
// earlyShare those of one carrier, which must not crowd out the others. Those that
// come on top are counted, and one in a while is logged: a peer must not fill the
// disk with lines.
const (
	earlyMost    = 1024
	earlyShare   = earlyMost / 4
	crowdedEvery = time.Minute
)

// earlyCounts is how many reports wait for their message, by shard and carrier;
// under no carrier stands the sum of all.
type earlyCounts map[earlyKey]int

type earlyKey struct {
	shard   flowengine.Shard
	carrier string
}

func (c earlyCounts) add(s flowengine.Shard, carrier string, n int) {
	for _, k := range [...]earlyKey{{s, carrier}, {s, ""}} {
		if c[k] += n; c[k] <= 0 {
			delete(c, k)
		}
	}
}

// crowded says whether a carrier's next report finds no room.
func (c earlyCounts) crowded(s flowengine.Shard, carrier string) bool {
	return c[earlyKey{s, ""}] >= earlyMost || c[earlyKey{s, carrier}] >= earlyShare
}

// Delivery is a delivery report as an edge hands it over.
type Delivery struct {
	// Channel is empty for SMS. A report about an e-mail has one key, the mail's
	// reference, and needs no addresses.
	Channel string
	Carrier string
	// Keys are the normalised forms under which the message may be known,
	// likeliest first.
	Keys []string
	// To is the recipient of the message, Other the other address of the report,
	// for peers that swap them. Both are normalised.
	To, Other string
	State     string
	Final     bool // no further report is expected
	Code      string
	At        time.Time
}

// expected is what is known of a message part whose report has yet to come.
type expected struct {
	ID          string
	Origin      flowengine.Origin
	Data        flowengine.Attrs // of the message
	Part, Parts uint8
	Done        bool   // its final report came
	Arrived     []byte // parts delivered so far; only in the record of the first part
	Failed      bool   // a final report other than delivered was told already; likewise
	// Owed is what the whole message costs once it is delivered.
	Owed flowengine.Charge
	// Mail: it is an e-mail, of which much may be said after its server took it. What is
	// known of it is kept as long as reports are. Complained and Failed: that was told.
	Mail, Complained bool
	To               string // recipient of the mail
}

// usualExpected is room for the stored form of an expected report.
const usualExpected = 80

const (
	expID = iota + 1
	expOrigin
	expPart
	expParts
	expDone
	expArrived
	expFailed
	expData
	expMail       = 12 // 9–11 are those of a Charge
	expComplained = 13
	expTo         = 14
)

func (x *expected) append(b []byte) []byte {
	if x.Done && x.Parts == 1 && !x.Mail { // whoever asks again hears that it is done, and nothing else
		return record.AppendBool(b, expDone, true)
	}
	b = appendID(b, expID, x.ID, &x.Origin)
	b = record.AppendNested(b, expOrigin, func(b []byte) []byte { return flowengine.AppendOrigin(b, &x.Origin) })
	b = record.AppendUint(b, expPart, uint64(x.Part))
	b = record.AppendUint(b, expParts, uint64(x.Parts))
	b = record.AppendBool(b, expDone, x.Done)
	if len(x.Arrived) > 0 {
		b = record.AppendBytes(b, expArrived, x.Arrived)
	}
	b = record.AppendBool(b, expFailed, x.Failed)
	b = flowengine.AppendData(b, expData, x.Data)
	b = flowengine.AppendCharge(b, &x.Owed)
	b = record.AppendBool(b, expMail, x.Mail)
	b = record.AppendString(b, expTo, x.To)
	return record.AppendBool(b, expComplained, x.Complained)
}

func decodeExpected(b []byte) (*expected, error) {
	x := new(expected)
	err := record.Decode(b, "expected report", func(f record.Field) (err error) {
		switch f.Num {
		case expID:
			x.ID = string(f.Bytes)
		case expOrigin:
			err = flowengine.DecodeOrigin(f.Bytes, &x.Origin)
		case expPart:
			x.Part = uint8(f.Uint)
		case expParts:
			x.Parts = uint8(f.Uint)
		case expDone:
			x.Done = f.Bool()
		case expArrived:
			x.Arrived = append([]byte(nil), f.Bytes...)
		case expFailed:
			x.Failed = f.Bool()
		case expData:
			err = flowengine.DecodeData(f.Bytes, &x.Data)
		case expMail:
			x.Mail = f.Bool()
		case expComplained:
			x.Complained = f.Bool()
		case expTo:
			x.To = string(f.Bytes)
		default:
			err = flowengine.DecodeCharge(f, &x.Owed)
		}
		return err
	})
	x.ID = wholeID(x.ID, &x.Origin)
	return x, err
}

// expectReport notes a message part. A report that overtook the carrier's
// response takes effect now.
func (tx *txn) expectReport(to flowengine.Address, carrier, key string, x *expected) error {
	k := messageKey(to, kindMessage, carrier, key)
	tx.put(k, x.append(make([]byte, 0, usualExpected)), tx.now.Add(tx.ex.rt.options.Reports))
	if tx.ex.early[earlyKey{to.Shard(), carrier}] == 0 {
		return nil
	}
	early := messageKey(to, kindEarly, carrier, key)
	value, err := tx.get(early)
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	d, err := decodeDelivery(value)
	if err != nil {
		return err
	}
	for _, key := range d.Keys {
		if early := messageKey(to, kindEarly, carrier, key); tx.has(early) {
			tx.delete(early)
			tx.ex.early.add(to.Shard(), carrier, -1)
		}
	}
	return tx.reported(to, carrier, k, x, d)
}

// report looks for the message that a delivery report is about. One that is
// not known, yet, is kept.
func (tx *txn) report(d *Delivery, to flowengine.Address) error {
	for _, key := range d.Keys {
		k := messageKey(to, kindMessage, d.Carrier, key)
		value, err := tx.get(k)
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		x, err := decodeExpected(value)
		if err != nil {
			return err
		}
		return tx.reported(to, d.Carrier, k, x, d)
	}
	if len(d.Keys) == 0 {
		tx.ex.rt.metrics.reports.WithLabelValues("unmatched").Inc()
		return nil
	}
	s := to.Shard()
	d.To = to.Value // of the two addresses that the report names
	if tx.ex.early.crowded(s, d.Carrier) {
		tx.ex.rt.metrics.reports.WithLabelValues("unmatched").Inc()
		if tx.now.Sub(tx.ex.crowded).Abs() >= crowdedEvery {
			tx.ex.crowded = tx.now
			tx.ex.rt.log.Warn("a delivery report matches no message, and too many such wait already", "carrier", d.Carrier, "message_id", d.Keys[0])
		}
		return nil
	}
	for _, key := range d.Keys {
		early := messageKey(to, kindEarly, d.Carrier, key)
		if _, err := tx.get(early); isNotFound(err) {
			tx.ex.early.add(s, d.Carrier, 1)
		}
		tx.put(early, d.append(nil), time.Time{})
	}
	tx.ex.rt.metrics.reports.WithLabelValues("early").Inc()
	return nil
}

// reported lets a report act on its message. A message of several parts is
// delivered when all of them are, and has failed when the first one has.
func (tx *txn) reported(to flowengine.Address, carrier string, k []byte, x *expected, d *Delivery) error {
	count := tx.ex.rt.metrics.reports
	if !x.news(d) {
		count.WithLabelValues("duplicate").Inc()
		return nil
	}
	if !d.Final && d.State != StateComplained {
		count.WithLabelValues("intermediate").Inc()
		return nil
	}
	x.note(d)
	tx.put(k, x.append(nil), tx.now.Add(tx.ex.rt.options.Reports))
	count.WithLabelValues("matched").Inc()
	if err := tx.suppressReported(x, d); err != nil {
		return err
	}
	if x.Parts > 1 {
		whole, err := tx.partReported(to, carrier, x, d.State == StateDelivered)
		if err != nil || !whole {
			return err
		}
	}
	r := &flowengine.Report{
		ID: x.ID, Origin: x.Origin, Carrier: carrier, State: d.State, Delivered: d.State == StateDelivered, Final: true, Code: d.Code,
		Data: x.Data, Owed: x.Owed, Mail: x.Mail,
	}
	if x.Origin.Person.IsZero() { // sent by an operator, not by a flow
		if d.State == StateComplained {
			return nil
		}
		if set := tx.ex.rt.hooks.Load(); set != nil {
			e := flowengine.Event{Kind: flowengine.Reported, Detail: r.State, First: r.Delivered}
			tx.tellHooks(set, to.Shard(), flowengine.PersonID{}, r, []flowengine.Event{e})
		}
		if x.Mail {
			to = letterPlace(channelEmail, x.To)
		}
		return tx.noteLetter(to, &Letter{ID: x.ID, State: r.State, Reported: tx.now})
	}
	if owner := x.Origin.Person.Shard(); !tx.ex.owns(owner) {
		return tx.relay(&relay{Target: owner, Kind: relayReport, Body: appendReport(nil, r)})
	}
	return tx.tellReport(r, r.Origin.Person, time.Time{})
}

// news tells whether a report says something that was not told yet. A mail that its
// server took may come back later, and be complained about at any time; the first
// final report of anything else is the last.
func (x *expected) news(d *Delivery) bool {
	switch {
	case !x.Done:
		return d.State != StateComplained || x.Mail
	case !x.Mail:
		return false
	case d.State == StateComplained:
		return !x.Complained
	}
	return d.Final && d.State != StateDelivered && !x.Failed
}

// note remembers what is told.
func (x *expected) note(d *Delivery) {
	if d.State == StateComplained {
		x.Complained = true
		return
	}
	x.Done = true
	x.Failed = x.Failed || x.Mail && d.State != StateDelivered
}

// tellReport lets the flows of a person know of a delivery report. The person may
// have been merged into the one at whom it is told.
func (tx *txn) tellReport(r *flowengine.Report, at flowengine.PersonID, until time.Time) error {
	return tx.told(at, r.Origin.Person, until, r, func(at flowengine.PersonID, until time.Time) *relay {
		body := record.AppendTime(appendReport(nil, r), 9, until)
		return &relay{Target: at.Shard(), Kind: relayReport, Body: record.AppendBytes(body, 10, at[:])}
	})
}

func appendReport(b []byte, r *flowengine.Report) []byte {
	b = record.AppendString(b, 1, r.ID)
	b = record.AppendNested(b, 2, func(b []byte) []byte { return flowengine.AppendOrigin(b, &r.Origin) })
	b = record.AppendString(b, 3, r.Carrier)
	b = record.AppendString(b, 4, r.State)
	b = record.AppendBool(b, 5, r.Delivered)
	b = record.AppendBool(b, 6, r.Final)
	b = record.AppendString(b, 7, r.Code)
	b = flowengine.AppendData(b, 8, r.Data)
	b = record.AppendBool(b, repMail, r.Mail)
	return record.AppendNested(b, repOwed, func(b []byte) []byte { return flowengine.AppendCharge(b, &r.Owed) })
}

// Fields of a report on its way: what is to be paid, and that it is about a mail.
const (
	repOwed = 11
	repMail = 12
)

func (tx *txn) receiveReport(body []byte) error {
	r := new(flowengine.Report)
	var at flowengine.PersonID
	var until time.Time
	err := record.Decode(body, "report", func(f record.Field) (err error) {
		switch f.Num {
		case 1:
			r.ID = string(f.Bytes)
		case 2:
			err = flowengine.DecodeOrigin(f.Bytes, &r.Origin)
		case 3:
			r.Carrier = string(f.Bytes)
		case 4:
			r.State = string(f.Bytes)
		case 5:
			r.Delivered = f.Bool()
		case 6:
			r.Final = f.Bool()
		case 7:
			r.Code = string(f.Bytes)
		case 8:
			err = flowengine.DecodeData(f.Bytes, &r.Data)
		case 9:
			until = f.Time()
		case 10:
			copy(at[:], f.Bytes)
		case repMail:
			r.Mail = f.Bool()
		case repOwed:
			err = record.Decode(f.Bytes, "price", func(f record.Field) error { return flowengine.DecodeCharge(f, &r.Owed) })
		}
		return err
	})
	if err != nil {
		return err
	}
	if at.IsZero() {
		at = r.Origin.Person
	}
	return tx.tellReport(r, at, until)
}

// partReported adds the report about one part to what is known of the whole
// message, and tells whether the whole message has come to its end with it.
func (tx *txn) partReported(to flowengine.Address, carrier string, part *expected, delivered bool) (whole bool, err error) {
	k := messageKey(to, kindMessage, carrier, "\x00"+part.ID)
	x := &expected{ID: part.ID, Origin: part.Origin, Parts: part.Parts}
	value, err := tx.get(k)
	switch {
	case err == nil:
		if x, err = decodeExpected(value); err != nil {
			return false, err
		}
	case !isNotFound(err):
		return false, err
	}
	if delivered {
		x.Arrived = append(x.Arrived, part.Part)
	}
	whole = !x.Failed && (!delivered || len(x.Arrived) == int(x.Parts))
	x.Failed = x.Failed || !delivered
	tx.put(k, x.append(nil), tx.now.Add(tx.ex.rt.options.Reports))
	return whole, nil
}

// sweepEarly gives up reports that waited too long for their message, and those
// that can't be read. They are counted and logged: a carrier that writes ids in an
// unknown way shows here.
func (tx *txn) sweepEarly(s flowengine.Shard) error {
	if tx.ex.early[earlyKey{s, ""}] == 0 {
		return nil
	}
	oldest := tx.now.Add(-tx.ex.rt.options.Early)
	var dead [][]byte
	err := tx.ex.rt.store.Scan(appendPrefix(nil, s, kindEarly), nil, func(key, value []byte) bool {
		d, err := decodeDelivery(value)
		switch {
		case err != nil:
			dead = append(dead, bytes.Clone(key))
			tx.ex.rt.metrics.reports.WithLabelValues("damaged").Inc()
			tx.ex.rt.log.Error("a delivery report that waits for its message can't be read and is dropped", "carrier", earlyCarrier(key), "error", err)
		case d.At.Before(oldest):
			dead = append(dead, bytes.Clone(key))
			if bytes.Equal(key, messageKey(flowengine.Address{Kind: flowengine.Phone, Value: d.To}, kindEarly, d.Carrier, d.Keys[0])) { // it is kept under each of its keys
				tx.ex.rt.metrics.reports.WithLabelValues("unmatched").Inc()
				tx.ex.rt.log.Warn("a delivery report matches no message", "carrier", d.Carrier, "message_id", d.Keys[0], "state", d.State)
			}
		}
		return len(dead) < 256
	})
	if err != nil {
		return err
	}
	for _, key := range dead {
		if tx.has(key) {
			tx.delete(key)
			tx.ex.early.add(s, earlyCarrier(key), -1)
		}
	}
	return nil
}

const (
	delCarrier = iota + 1
	delKey
	delTo
	delState
	delFinal
	delCode
	delAt
)

func (d *Delivery) append(b []byte) []byte {
	b = record.AppendString(b, delCarrier, d.Carrier)
	for _, k := range d.Keys {
		b = record.AppendString(b, delKey, k)
	}
	b = record.AppendString(b, delTo, d.To)
	b = record.AppendString(b, delState, d.State)
	b = record.AppendBool(b, delFinal, d.Final)
	b = record.AppendString(b, delCode, d.Code)
	return record.AppendTime(b, delAt, d.At)
}

func decodeDelivery(b []byte) (*Delivery, error) {
	d := new(Delivery)
	err := record.Decode(b, "delivery report", func(f record.Field) error {
		switch f.Num {
		case delCarrier:
			d.Carrier = string(f.Bytes)
		case delKey:
			d.Keys = append(d.Keys, string(f.Bytes))
		case delTo:
			d.To = string(f.Bytes)
		case delState:
			d.State = string(f.Bytes)
		case delFinal:
			d.Final = f.Bool()
		case delCode:
			d.Code = string(f.Bytes)
		case delAt:
			d.At = f.Time()
		}
		return nil
	})
	if err == nil && len(d.Keys) == 0 {
		err = fmt.Errorf("%w: a delivery report without message id", record.ErrDamaged)
	}
	return d, err
}
