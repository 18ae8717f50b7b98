package storage

import (
	"encoding/binary"
	"fmt"
	"iter"
	"time"
)

// OpKind says what an operation does. The values are part of the encoding.
type OpKind uint8

const (
	// OpPut sets a key to a value for good.
	OpPut OpKind = 1
	// OpPutUntil sets a key to a value that the store may drop when it expires.
	OpPutUntil OpKind = 2
	// OpDelete removes a key. It is no error if there is none.
	OpDelete OpKind = 3
)

// Op is one operation of a batch, or one entry of a snapshot.
type Op struct {
	Kind    OpKind
	Key     []byte
	Value   []byte // nil for OpDelete
	Expires int64  // seconds since 1970, only for OpPutUntil
}

// Batch is a list of operations to be applied together. It lives in one buffer
// that Reset keeps, so a batch that is reused allocates nothing once it has
// reached its working size. The zero value is empty and ready to use. A Batch is
// not safe for concurrent use.
//
// The buffer is also the batch's stable encoding: for every operation its kind
// (one byte), the expiry for OpPutUntil (unsigned varint), the key's length
// (unsigned varint) and bytes, and for the puts the value's length and bytes.
type Batch struct {
	buf []byte
	n   int
	err error // first operation that was outside the limits
}

// Put sets key to value. Both are copied.
func (b *Batch) Put(key, value []byte) {
	if !b.admit(key, value) {
		return
	}
	b.buf = append(b.buf, byte(OpPut))
	b.append(key)
	b.append(value)
}

// PutUntil sets key to value and allows the store to drop the entry at any time
// after expires (whole seconds; not before 1970). It is a permission to clean
// up, no clock: a reader for whom the exact moment matters keeps the time in the
// value as well.
func (b *Batch) PutUntil(key, value []byte, expires time.Time) {
	b.putUntil(key, value, expires.Unix())
}

func (b *Batch) putUntil(key, value []byte, expires int64) {
	if !b.admit(key, value) {
		return
	}
	b.buf = append(b.buf, byte(OpPutUntil))
	b.buf = binary.AppendUvarint(b.buf, uint64(max(expires, 1)))
	b.append(key)
	b.append(value)
}

// Delete removes key.
func (b *Batch) Delete(key []byte) {
	if !b.admit(key, nil) {
		return
	}
	b.buf = append(b.buf, byte(OpDelete))
	b.append(key)
}

// Add appends a copy of op, which may come from another batch or a snapshot.
func (b *Batch) Add(op Op) {
	switch op.Kind {
	case OpPut:
		b.Put(op.Key, op.Value)
	case OpPutUntil:
		b.putUntil(op.Key, op.Value, op.Expires)
	case OpDelete:
		b.Delete(op.Key)
	default:
		panic(fmt.Sprintf("storage: operation of kind %d does not exist", op.Kind))
	}
}

// Reset empties the batch and keeps its buffer.
func (b *Batch) Reset() { b.buf, b.n, b.err = b.buf[:0], 0, nil }

// Len returns the number of operations.
func (b *Batch) Len() int { return b.n }

// Bytes returns the encoding. It is valid until the batch is changed.
func (b *Batch) Bytes() []byte { return b.buf }

// Check returns [ErrInvalidKey] or [ErrTooLarge] if the batch is outside the
// limits of the contract. Implementations call it first in Apply.
func (b *Batch) Check() error {
	switch {
	case b.err != nil:
		return b.err
	case len(b.buf) > MaxBatchBytes:
		return fmt.Errorf("batch of %d bytes exceeds %d: split it: %w", len(b.buf), MaxBatchBytes, ErrTooLarge)
	case b.n > MaxBatchOps:
		return fmt.Errorf("batch of %d operations exceeds %d: split it: %w", b.n, MaxBatchOps, ErrTooLarge)
	}
	return nil
}

// Ops goes through the operations in the order in which they were added. The
// slices point into the batch: they must not be changed and are valid until the
// batch is.
func (b *Batch) Ops() iter.Seq[Op] {
	return func(yield func(Op) bool) {
		for rest := b.buf; len(rest) > 0; {
			op, n := decodeOp(rest)
			if n == 0 {
				panic("storage: batch encoding is broken") // unreachable: Put, Delete and Load write it
			}
			if !yield(op) {
				return
			}
			rest = rest[n:]
		}
	}
}

// Load replaces the batch's contents by a copy of data, which Bytes returned.
// It returns [ErrCorrupt], and leaves the batch empty, if data is not such an
// encoding, and what Check returns if it is over the limits.
func (b *Batch) Load(data []byte) error {
	b.Reset()
	if len(data) > MaxBatchBytes {
		return fmt.Errorf("batch of %d bytes exceeds %d: %w", len(data), MaxBatchBytes, ErrTooLarge)
	}
	n := 0
	for rest := data; len(rest) > 0; n++ {
		op, size := decodeOp(rest)
		if size == 0 || !validKey(op.Key) || len(op.Value) > MaxValueBytes {
			return fmt.Errorf("batch encoding, operation %d at byte %d: %w", n, len(data)-len(rest), ErrCorrupt)
		}
		rest = rest[size:]
	}
	b.buf, b.n = append(b.buf, data...), n
	return b.Check()
}

// admit counts an operation and notes whether it is within the limits. What is
// outside is left out: the batch can't be applied any more.
func (b *Batch) admit(key, value []byte) bool {
	b.n++
	switch {
	case len(key) == 0:
		b.refuse(fmt.Errorf("operation %d has an empty key: %w", b.n-1, ErrInvalidKey))
		return false
	case len(key) > MaxKeyBytes:
		b.refuse(fmt.Errorf("operation %d: key of %d bytes exceeds %d: %w", b.n-1, len(key), MaxKeyBytes, ErrTooLarge))
		return false
	case len(value) > MaxValueBytes:
		b.refuse(fmt.Errorf("operation %d: value of %d bytes exceeds %d: %w", b.n-1, len(value), MaxValueBytes, ErrTooLarge))
		return false
	}
	return true
}

func (b *Batch) refuse(err error) {
	if b.err == nil {
		b.err = err
	}
}

func (b *Batch) append(field []byte) {
	b.buf = binary.AppendUvarint(b.buf, uint64(len(field)))
	b.buf = append(b.buf, field...)
}

func validKey(key []byte) bool { return len(key) > 0 && len(key) <= MaxKeyBytes }

// decodeOp reads the first operation of data and returns its length there, or 0
// if data does not begin with one.
func decodeOp(data []byte) (op Op, size int) {
	rest := data[1:]
	op.Kind = OpKind(data[0])
	switch op.Kind {
	case OpPut, OpDelete:
	case OpPutUntil:
		expires, n := binary.Uvarint(rest)
		if n <= 0 || expires == 0 || expires > 1<<62 {
			return Op{}, 0
		}
		op.Expires, rest = int64(expires), rest[n:]
	default:
		return Op{}, 0
	}
	var ok bool
	if op.Key, rest, ok = decodeField(rest); !ok {
		return Op{}, 0
	}
	if op.Kind != OpDelete {
		if op.Value, rest, ok = decodeField(rest); !ok {
			return Op{}, 0
		}
	}
	return op, len(data) - len(rest)
}

// decodeField cuts a length and that many bytes off data. The field's capacity
// ends with it, so that appending to a key can't overwrite its neighbour.
func decodeField(data []byte) (field, rest []byte, ok bool) {
	size, n := binary.Uvarint(data)
	if n <= 0 || size > uint64(len(data)-n) {
		return nil, nil, false
	}
	end := n + int(size)
	return data[n:end:end], data[end:], true
}
