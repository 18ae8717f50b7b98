package runtime

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
)

// The suppression list has the addresses to which no mail is sent any more, whoever has
// them: those that take none, those whose owners complained or opted out, and those that
// an operator put there. A message to one of them is refused before its channel sees it.

// Reasons of suppression.
const (
	SuppressedBounce    = "hard_bounce"
	SuppressedComplaint = "complaint"
	SuppressedOptOut    = "opt_out"
	SuppressedOperator  = "operator"
)

// codeSuppressed is the code of a message that is refused for the list.
const codeSuppressed = "suppressed"

// Suppression is an entry of the list.
type Suppression struct {
	Address string
	Reason  string
	Code    string // what the server said
	Message string // id of the message that it said it of
	At      time.Time
}

const (
	supAddress = iota + 1
	supReason
	supCode
	supMessage
	supAt
)

func (s *Suppression) append(b []byte) []byte {
	b = record.AppendString(b, supAddress, s.Address)
	b = record.AppendString(b, supReason, s.Reason)
	b = record.AppendString(b, supCode, s.Code)
	b = record.AppendString(b, supMessage, s.Message)
	return record.AppendTime(b, supAt, s.At)
}

func decodeSuppression(b []byte) (*Suppression, error) {
	s := new(Suppression)
	return s, record.Decode(b, "suppression", func(f record.Field) error {
		switch f.Num {
		case supAddress:
			s.Address = string(f.Bytes)
		case supReason:
			s.Reason = string(f.Bytes)
		case supCode:
			s.Code = string(f.Bytes)
		case supMessage:
			s.Message = string(f.Bytes)
		case supAt:
			s.At = f.Time()
		}
		return nil
	})
}

// suppressionOf is the place of an address on the list. Hardly a server tells addresses
// apart by the case of their letters, so the list does not.
func suppressionOf(value string) (s flowengine.Shard, key []byte) {
	a := flowengine.Address{Kind: flowengine.Email, Value: strings.ToLower(strings.TrimSpace(value))}
	return a.Shard(), append(appendPrefix(nil, a.Shard(), kindSuppressed), a.Value...)
}

// suppressed tells whether a message goes to an address on the list. The list is read as
// it is in the store: an entry that is being written counts from the next message on.
func (ex *executor) suppressed(m *Message) bool {
	if m.Channel != channelEmail || m.Receipt != nil {
		return false
	}
	s, key := suppressionOf(m.To)
	if ex.owns(s) {
		if v, ok := ex.recent.get(string(key)); ok {
			return v != nil
		}
	}
	_, err := ex.rt.store.Get(key, ex.value)
	return err == nil
}

// suppress puts an address on the list. One that is there keeps its first reason.
func (tx *txn) suppress(s *Suppression) error {
	shard, key := suppressionOf(s.Address)
	if !tx.ex.owns(shard) {
		return tx.relay(&relay{Target: shard, Kind: relaySuppress, Body: s.append(nil)})
	}
	if !tx.has(key) {
		tx.put(key, s.append(nil), time.Time{})
		tx.ex.rt.metrics.suppressed.WithLabelValues(s.Reason).Inc()
	}
	return nil
}

func (tx *txn) receiveSuppression(body []byte) error {
	s, err := decodeSuppression(body)
	if err != nil {
		return err
	}
	return tx.suppress(s)
}

// suppressDead puts the recipient of a mail on the list of whom the server said that it
// takes none.
func (tx *txn) suppressDead(m *Message, code string) error {
	if m.Channel != channelEmail {
		return nil
	}
	return tx.suppress(&Suppression{Address: m.To, Reason: SuppressedBounce, Code: code, Message: m.ID, At: tx.now})
}

// suppressReported puts the recipient of a mail on the list who complains of it, or whose
// address does not exist as a bounce says (RFC 3463 §3.2 and §3.3).
func (tx *txn) suppressReported(x *expected, d *Delivery) error {
	reason := ""
	switch {
	case !x.Mail || x.To == "":
	case d.State == StateComplained:
		reason = SuppressedComplaint
	case d.State == StateUndeliverable && slices.Contains(deadCodes[:], d.Code):
		reason = SuppressedBounce
	}
	if reason == "" {
		return nil
	}
	return tx.suppress(&Suppression{Address: x.To, Reason: reason, Code: d.Code, Message: x.ID, At: tx.now})
}

// deadCodes are those of addresses that take no mail and will not.
var deadCodes = [...]string{"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"}

// Suppress puts an address on the list.
func (rt *Runtime) Suppress(ctx context.Context, s Suppression) error {
	a, err := flowengine.ReadAddress(flowengine.Email, s.Address)
	if err != nil {
		return err
	}
	s.Address = a.Value
	shard, _ := suppressionOf(s.Address)
	return rt.do(ctx, rt.owner(shard), "suppress", func(tx *txn) error {
		if s.At.IsZero() {
			s.At = tx.now
		}
		return tx.suppress(&s)
	})
}

// Unsuppress takes an address off the list. ErrNotFound: it is not there.
func (rt *Runtime) Unsuppress(ctx context.Context, address string) error {
	shard, key := suppressionOf(address)
	return rt.do(ctx, rt.owner(shard), "unsuppress", func(tx *txn) error {
		if !tx.has(key) {
			return fmt.Errorf("%w: %s is not on the suppression list", ErrNotFound, address)
		}
		tx.delete(key)
		return nil
	})
}

// Suppression tells why an address is on the list. ErrNotFound: it is not there.
func (rt *Runtime) Suppression(address string) (*Suppression, error) {
	_, key := suppressionOf(address)
	value, err := rt.store.Get(key, nil)
	if isNotFound(err) {
		return nil, fmt.Errorf("%w: %s is not on the suppression list", ErrNotFound, address)
	}
	if err != nil {
		return nil, err
	}
	return decodeSuppression(value)
}

// Suppressions lists addresses of the list, limit at most, and counts all; reason "" is any.
func (rt *Runtime) Suppressions(reason string, limit int) (all []Suppression, total int, err error) {
	for s := range flowengine.Shard(flowengine.Shards) {
		var damaged error
		err = rt.store.Scan(appendPrefix(nil, s, kindSuppressed), nil, func(_, value []byte) bool {
			var x *Suppression
			if x, damaged = decodeSuppression(bytes.Clone(value)); damaged != nil {
				return false
			}
			if reason == "" || reason == x.Reason {
				if total++; len(all) < limit {
					all = append(all, *x)
				}
			}
			return true
		})
		if err = firstError(err, damaged); err != nil {
			return nil, 0, err
		}
	}
	return all, total, nil
}
