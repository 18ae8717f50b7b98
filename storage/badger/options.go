package badger

import (
	"fmt"
	"log/slog"
	"strings"

	engine "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// Defaults of Options.
const (
	DefaultReserveBytes = 512 << 20
	DefaultVerifyBytes  = 256 << 20
)

// tuned returns the engine's options.
func tuned(opts Options) engine.Options {
	tune := engine.DefaultOptions(opts.Dir).
		// Every batch is synced before it is acknowledged, but not by the engine:
		// see logSync.
		WithSyncWrites(false).
		// A key has one writer: there are no conflicts to detect, and nobody
		// reads a version older than the oldest snapshot.
		WithDetectConflicts(false).
		WithNumVersionsToKeep(1).
		// The largest batch must fit into 15 % of a memtable.
		WithMemTableSize(memTableBytes).
		WithNumMemtables(3).
		// Values never leave the tree: the contract's largest is below this. The
		// value log stays an empty file of twice this size on paper.
		WithValueThreshold(1 << 20).
		WithValueLogFileSize(1 << 20).
		// Small tables, since the pace holds merges between two of them.
		WithBaseTableSize(2 << 20).
		// Few and large merges: a write costs half of what it does with the engine's
		// defaults.
		WithBaseLevelSize(256 << 20).
		WithNumLevelZeroTables(mergeTables).
		WithNumLevelZeroTablesStall(stallTables).
		WithNumCompactors(2).
		// Not compressed, a table takes about 1.7 times the room, and a merge half of
		// the memory and no more CPU time (BenchmarkRoundTrips); blocks are read from
		// the mapped file, without a copy in the cache.
		WithCompression(options.None).
		WithBlockSize(4 << 10).
		WithBlockCacheSize(blockCache(opts)).
		// Encrypted indexes can't be read from the mapped file; without room for
		// them each lookup would decrypt one. A store that is not encrypted any
		// more has tables from before. Clear indexes take no room here.
		WithIndexCacheSize(64 << 20).
		// A look for what is not there, which every message of somebody new is, asks
		// the filter of each table of level 0; one that errs costs as much as twenty.
		WithBloomFalsePositive(0.001).
		WithChecksumVerificationMode(options.OnBlockRead).
		WithMetricsEnabled(false).
		WithNumGoroutines(1)
	if len(opts.EncryptionKey) > 0 {
		tune = tune.WithEncryptionKey(opts.EncryptionKey)
	}
	return tune
}

// blockCache is the room for blocks that can't be read from the mapped file:
// encrypted ones, and compressed ones that an earlier version wrote.
func blockCache(opts Options) int64 {
	if len(opts.EncryptionKey) > 0 {
		return 32 << 20
	}
	return 8 << 20
}

// memTableBytes is the size at which a memtable is written to a table. It is
// also the step in which memory is used: up to NumMemtables+1 of them exist, and
// the engine keeps eight buffers of up to twice that size for making tables.
const memTableBytes = 16 << 20

// Tables of level 0, which are memtables as they were: at so many a merge of them
// begins, and at so many writers have to wait for it.
const (
	mergeTables = 10
	stallTables = 20
)

// logger hands the engine's lines to slog. What it calls information is of use
// only to somebody who debugs the engine.
type logger struct {
	log  *slog.Logger
	pace *pace
}

func (l logger) Errorf(format string, args ...any) { l.log.Error("storage engine", text(format, args)) }
func (l logger) Warningf(format string, args ...any) {
	l.log.Warn("storage engine", text(format, args))
}
func (l logger) Infof(format string, args ...any) { l.log.Debug("storage engine", text(format, args)) }

// Debugf drops the line, of which there is one per batch: it is for the pace only.
func (l logger) Debugf(format string, args ...any) { l.pace.hear(format, args) }

func text(format string, args []any) slog.Attr {
	return slog.String("text", strings.TrimSpace(fmt.Sprintf(format, args...)))
}
