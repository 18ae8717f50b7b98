// Package storage is the contract between the flow runtime and the place where
// its state lives: an ordered key-value store that takes atomic, durable batches.
//
// It owns the interfaces, the batch and its encoding, the errors that a caller
// decides on, and the backup stream. It refuses to know what keys and values
// mean, how many shards there are and which engine is behind the interface:
// packages badger and memory implement it, package conformance proves that they
// do the same thing.
//
// # Keys
//
// By convention a key begins with the two-byte big-endian number of the shard
// that owns it, so that a shard's data lies together and can be copied or moved
// with one prefix scan. The store orders keys as bytes and interprets nothing.
//
// # Owners
//
// A key has one writer at a time. Under that rule [Store.Apply] may run
// concurrently without locks or conflict detection, [Store.Get] of one's own
// keys is always exact, and only a reader of somebody else's keys has to think:
// it takes a [Snapshot], which is never in the middle of a batch.
package storage

// Limits of the contract. Every implementation accepts anything up to them and
// refuses anything above them with [ErrTooLarge], so that a batch that works in
// a simulation also works on disk.
const (
	// MaxKeyBytes is the length of the longest key. Keys are never empty.
	MaxKeyBytes = 4 << 10
	// MaxValueBytes is the length of the longest value.
	MaxValueBytes = 512 << 10
	// MaxBatchBytes is the size of the largest batch, by [Batch.Bytes].
	MaxBatchBytes = 2 << 20
	// MaxBatchOps is the number of operations in the longest batch.
	MaxBatchOps = 16 << 10
)

// Reader is what a store and a snapshot have in common.
type Reader interface {
	// Get appends the value of key to dst[:0] and returns it, so a caller that
	// passes the previous result back reads without allocating. It returns
	// [ErrNotFound] if there is no such key.
	Get(key, dst []byte) (value []byte, err error)

	// Scan calls fn for every entry whose key begins with prefix, ascending,
	// starting at from where from is greater than prefix. An empty prefix means
	// all keys; a nil from means the start of the prefix. It stops when fn
	// returns false. Key and value are valid only until fn returns and must not
	// be changed; fn must not call Apply or Close.
	//
	// A reader that consumes a queue remembers where it stopped and passes that
	// as from (the last key with a zero byte appended is the next possible key):
	// starting from the prefix again walks over everything deleted since.
	Scan(prefix, from []byte, fn func(key, value []byte) (more bool)) error
}

// Store is an ordered key-value store with atomic durable batches. All methods
// may be called concurrently. After Close every method returns [ErrClosed].
type Store interface {
	// Get sees every batch whose Apply has returned; see [Reader.Get]. It may
	// also see a batch that is being applied, which the owner of a key never
	// notices.
	//
	// Scan sees at least what had been applied when it began. Over keys of
	// other owners it can see part of a batch that is being applied: take a
	// Snapshot where that matters.
	Reader

	// Apply makes the whole batch visible and durable (it survives the loss of
	// power) before it returns, or returns an error and makes none of it
	// visible. Calls may run concurrently for batches that share no key. Within
	// a batch the last operation on a key wins. The batch is the caller's again
	// when Apply returns. Applying an empty batch does nothing.
	//
	// It returns [ErrTooLarge] or [ErrInvalidKey] for a batch outside the limits
	// and [ErrFull] when the medium has no room; both leave the store as it was
	// and usable. Any other failure is final, because it is unknown what reached
	// the medium: from then on Apply returns the same error and so does Health,
	// and the batch may or may not be there after the store is opened again.
	Apply(b *Batch) error

	// Snapshot returns a view of every batch whose Apply had returned, each of
	// them whole, that later batches don't change. It must be closed: an open
	// snapshot keeps old values on the medium.
	Snapshot() (Snapshot, error)

	// Health returns nil while the store accepts batches, and otherwise the
	// error with which it refuses them.
	Health() error

	// Close waits for calls in progress and releases the medium. Snapshots must
	// be closed before. A second Close returns [ErrClosed].
	Close() error
}

// Snapshot is a consistent, unchanging view of a store. Its methods may be
// called concurrently.
type Snapshot interface {
	Reader

	// Entries is Scan with the whole entry: each Op is a put with its expiry.
	// Backup and the moving of a shard use it.
	Entries(prefix, from []byte, fn func(op Op) (more bool)) error

	// Close lets go of the view. A second Close returns [ErrClosed].
	Close() error
}
