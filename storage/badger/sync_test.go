package badger

import (
	"log/slog"
	"os"
	"sync"
	"testing"

	"trunkline/storage"
)

// Whatever the engine begins while batches are written, the log that is synced is
// the newest when they end, and the ones before it were synced.
func TestSyncFollowsTheNewestLog(t *testing.T) {
	s, err := Open(Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for writer := range 4 {
		writers.Go(func() {
			value := make([]byte, storage.MaxValueBytes-1)
			for n := range 20 { // more than two memtables, all together
				var b storage.Batch
				b.Put([]byte{byte(writer), byte(n)}, value)
				if err := s.Apply(&b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	var last storage.Batch
	last.Put([]byte("last"), nil)
	if err := s.Apply(&last); err != nil {
		t.Fatal(err)
	}
	paths, err := withSuffix(s.dir, logSuffix)
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	if newest := paths[len(paths)-1]; s.logs.log.Name() != newest {
		t.Errorf("%s is synced, and %s is the newest", s.logs.log.Name(), newest)
	}
	if s.logs.number < 2 {
		t.Errorf("only %d logs were begun", s.logs.number)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A log that is gone, and the one after it too, is no end.
func TestSyncFindsALogBehindAGap(t *testing.T) {
	dir := t.TempDir()
	make := func(n int) string {
		path := (&logSync{dir: dir}).path(n)
		if err := os.WriteFile(path, []byte("log"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	first := make(7)
	l, err := newLogSync(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(first); err != nil {
		t.Fatal(err)
	}
	make(10)
	if err := l.wait(); err != nil || l.number != 10 {
		t.Errorf("log %d is synced: %v", l.number, err)
	}
	if err := l.close(); err != nil {
		t.Error(err)
	}
}

// A sync that failed is final, for all who wait and all who come later.
func TestSyncFailsForGood(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile((&logSync{dir: dir}).path(1), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := newLogSync(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := l.wait(); err == nil {
			t.Error("a log that is closed was synced")
		}
	}
}
