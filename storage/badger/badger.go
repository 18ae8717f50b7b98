// Package badger is the storage contract on disk, over Badger in managed mode.
// It is what the daemon uses unless told otherwise.
//
// It owns the store's folder: its lock, its format, what may be damaged in it,
// how much room must be left on the disk, and the engine's tuning. It refuses to
// know what is stored.
//
// # Timestamps
//
// In its ordinary mode Badger makes every new reader wait for the commits in
// flight, which would stop the runtime from computing a batch while the one
// before it syncs. In managed mode the commit timestamps are ours. A batch gets
// its timestamp and its place in the engine's queue under one lock, and batches
// are settled (acknowledged, or failed) in that order. So there is always one
// timestamp, the newest settled one, of which holds: every batch up to it is
// whole and durable, and no acknowledged batch lies beyond it. Scans and
// snapshots read there. Get reads at the newest version of all, which the owner
// of a key can't tell from it and which needs no bookkeeping.
//
// # Value log
//
// Badger can move big values out of its tree into a value log that needs garbage
// collection. The contract's values are small enough to stay in the tree, so the
// value log is always empty and there is nothing to collect; old versions go
// away in compactions, which read only the tree.
package badger

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"sync"
	"sync/atomic"

	engine "github.com/dgraph-io/badger/v4"

	"trunkline/storage"
)

// Options says where a store is and how it is kept. Only Dir is required.
type Options struct {
	// Dir is the store's folder. It is created with mode 0700 if there is none;
	// its parent too. Nothing else may be kept in it.
	Dir string
	// EncryptionKey encrypts everything at rest with AES-128, -192 or -256, by
	// its length of 16, 24 or 32 bytes. A store is created with or without a key
	// and stays so until Rekey.
	EncryptionKey []byte
	// ReserveBytes is how much room must be left on the disk for a batch to be
	// accepted: the engine rewrites files in the background and has no way back
	// when one doesn't fit. Default DefaultReserveBytes.
	ReserveBytes uint64
	// VerifyBytes is how much table data Open checks block by block, the newest
	// first, before it lets the engine touch it; Run checks the rest in the
	// background. Headers, indexes and logs are always checked. Default
	// DefaultVerifyBytes.
	VerifyBytes uint64
	// Log receives what the engine has to say. Default slog.Default.
	Log *slog.Logger
}

// Store is a [storage.Store] in a folder.
type Store struct {
	db    *engine.DB
	dir   string
	log   *slog.Logger
	lock  *os.File
	tune  engine.Options
	pace  *pace
	calls calls
	pins  pins
	space space
	logs  *logSync
	// places are for batches that are written and not synced yet.
	places chan struct{}

	// order makes "take the next timestamp" and "enter the engine's queue" one
	// step.
	order sync.Mutex
	next  uint64

	// settled is the newest timestamp whose batch is settled; see the package
	// comment. It is written under turn.
	turn    sync.Mutex
	turned  sync.Cond
	settled atomic.Uint64

	failed  atomic.Pointer[error] // the first final failure of a batch
	damaged atomic.Pointer[error] // what the background check found
	txns    sync.Pool
}

// Open opens the store in opts.Dir, and creates it if the folder is empty or
// does not exist. It returns [storage.ErrLocked], [storage.ErrReadOnly],
// [storage.ErrFull], [storage.ErrFormat], [storage.ErrKey] or
// [storage.ErrCorrupt] with what it found and what to do. In all of these cases
// the folder's data is as it was.
func Open(opts Options) (*Store, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s, err := open(opts, tuned(opts))
	if err != nil {
		return nil, fmt.Errorf("opening the store in %q: %w", opts.Dir, err)
	}
	return s, nil
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("opening a store: no folder given")
	}
	switch len(o.EncryptionKey) {
	case 0, 16, 24, 32:
	default:
		return o, fmt.Errorf("opening the store in %q: the key has %d bytes, AES needs 16, 24 or 32: %w",
			o.Dir, len(o.EncryptionKey), storage.ErrKey)
	}
	if o.ReserveBytes == 0 {
		o.ReserveBytes = DefaultReserveBytes
	}
	if o.VerifyBytes == 0 {
		o.VerifyBytes = DefaultVerifyBytes
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o, nil
}

func open(opts Options, tune engine.Options) (_ *Store, err error) {
	// Looked at before the lock too, since the lock is a file: a folder that is
	// none of ours stays as it is.
	if _, err := readFormat(opts.Dir); err != nil {
		return nil, err
	}
	lock, err := lockFolder(opts.Dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			lock.Close()
		}
	}()

	format, err := readFormat(opts.Dir)
	if err != nil {
		return nil, err
	}
	pace := newPace()
	s := &Store{
		dir: opts.Dir, log: opts.Log, lock: lock,
		tune:  tune.WithLogger(logger{opts.Log, pace}),
		pace:  pace,
		space: space{dir: opts.Dir, reserve: opts.ReserveBytes, free: freeBytes},

		places: make(chan struct{}, unsyncedMost),
	}
	s.turned.L = &s.turn
	s.calls.idle = make(chan struct{}, 1)
	if err := s.space.admit(0); err != nil {
		return nil, err
	}
	if format == formatCreating {
		if err := writeFormat(opts.Dir, formatCreating); err != nil {
			return nil, err
		}
	} else if err := inspect(s.tune, opts.VerifyBytes); err != nil {
		return nil, err
	}

	if err := removeEmptyLogs(opts.Dir); err != nil {
		return nil, err
	}
	if s.db, err = openEngine(s.tune); err != nil {
		return nil, err
	}
	pace.follow(s.backlog)
	if s.logs, err = newLogSync(opts.Dir); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	newest := s.db.MaxVersion()
	s.next = newest + 1
	s.settled.Store(newest)
	s.pins.settled = &s.settled
	s.pins.discard = s.db.SetDiscardTs
	s.pins.advance() // nobody reads what was overwritten before

	if err := s.migrate(format, migrations); err != nil {
		return nil, errors.Join(err, s.db.Close(), s.logs.close())
	}
	return s, nil
}

// openEngine opens Badger and turns a panic on its way into an error. What it
// does in goroutines of its own can't be caught; inspect has made sure that they
// find nothing to panic about.
func openEngine(tune engine.Options) (db *engine.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("the engine gave up with %q: restore a backup: %w", fmt.Sprint(p), storage.ErrCorrupt)
		}
	}()
	db, err = engine.OpenManaged(tune)
	if err != nil {
		return nil, translate(err)
	}
	return db, nil
}

// Health implements [storage.Store].
func (s *Store) Health() error {
	if s.calls.closing.Load() {
		return storage.ErrClosed
	}
	if err := s.failed.Load(); err != nil {
		return *err
	}
	if err := s.damaged.Load(); err != nil {
		return *err
	}
	return s.space.admit(0)
}

// backlog is how far merging is behind: 0 while no more tables wait for a merge
// than one takes, 1 when writers have to wait.
func (s *Store) backlog() float64 {
	return float64(s.db.Levels()[0].NumTables-mergeTables) / float64(stallTables-1-mergeTables)
}

// Close implements [storage.Store]. It writes what is in memory into tables, so
// that the next Open has no log to replay.
func (s *Store) Close() error {
	if !s.calls.close() {
		return storage.ErrClosed
	}
	s.pace.end()
	err := errors.Join(s.db.Close(), s.logs.close())
	if lockErr := s.lock.Close(); err == nil {
		err = lockErr
	}
	if err != nil {
		return fmt.Errorf("closing the store in %q: %w", s.dir, translate(err))
	}
	return nil
}

// Stats is what the store takes up.
type Stats struct {
	DiskBytes  int64  // size of the tables
	Tables     int    // number of tables, each of which holds a file open
	Batches    uint64 // batches settled in the lifetime of the store
	FreeBytes  uint64 // room on the disk for anybody
	CacheBytes uint64 // decoded blocks kept in memory
}

// Stats returns the current figures, or [storage.ErrClosed].
func (s *Store) Stats() (Stats, error) {
	if !s.calls.enter() {
		return Stats{}, storage.ErrClosed
	}
	defer s.calls.leave()
	free, err := s.space.free(s.dir)
	if err != nil {
		return Stats{}, err
	}
	stats := Stats{Batches: s.settled.Load(), FreeBytes: free}
	for _, table := range s.db.Tables() {
		stats.DiskBytes += int64(table.OnDiskSize)
		stats.Tables++
	}
	if cache := s.db.BlockCacheMetrics(); cache != nil {
		stats.CacheBytes = cache.CostAdded() - cache.CostEvicted()
	}
	return stats, nil
}

// newest reads the newest version of every key, whatever its timestamp.
const newest = math.MaxUint64

// calls counts the calls in progress, so that Close can wait for them and those
// that come later are turned away. A call may be made inside another.
type calls struct {
	n       atomic.Int64
	closing atomic.Bool
	idle    chan struct{} // buffered, one
}

func (c *calls) enter() bool {
	c.n.Add(1)
	if c.closing.Load() {
		c.leave()
		return false
	}
	return true
}

func (c *calls) leave() {
	if c.n.Add(-1) == 0 && c.closing.Load() {
		select {
		case c.idle <- struct{}{}:
		default:
		}
	}
}

// close turns away later calls and waits for those in progress. It returns false
// if it was called before.
func (c *calls) close() bool {
	if c.closing.Swap(true) {
		return false
	}
	for c.n.Load() != 0 {
		<-c.idle
	}
	return true
}
