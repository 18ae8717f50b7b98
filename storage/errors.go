package storage

import "errors"

// The errors that a caller decides on. Implementations wrap them with what was
// tried and what to do; compare with [errors.Is].
var (
	// ErrNotFound says that the key is not in the store.
	ErrNotFound = errors.New("key not found")
	// ErrClosed says that the store or snapshot has been closed.
	ErrClosed = errors.New("store is closed")
	// ErrInvalidKey says that a key is empty or reserved by the implementation.
	ErrInvalidKey = errors.New("invalid key")
	// ErrTooLarge says that a key, a value or a batch is over the limits.
	ErrTooLarge = errors.New("over the size limit")
	// ErrFull says that the medium has no room. Nothing was written; the store
	// accepts batches again once there is room.
	ErrFull = errors.New("no space left for the store")
	// ErrReadOnly says that the medium can't be written to.
	ErrReadOnly = errors.New("store is read-only")
	// ErrLocked says that another process has the store open.
	ErrLocked = errors.New("store is in use by another process")
	// ErrCorrupt says that stored data is damaged.
	ErrCorrupt = errors.New("data is damaged")
	// ErrFormat says that the data has a format which this version of the
	// program does not know, usually because a newer version wrote it.
	ErrFormat = errors.New("unknown data format")
	// ErrKey says that the encryption key is wrong, missing or superfluous.
	ErrKey = errors.New("wrong encryption key")
	// ErrNotEmpty says that a restore was asked to write over existing data.
	ErrNotEmpty = errors.New("store is not empty")
	// ErrFailed says that an earlier batch failed in a way that leaves the
	// state of the medium unknown; the store must be opened again.
	ErrFailed = errors.New("store has failed")
)
