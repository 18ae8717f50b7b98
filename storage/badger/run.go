package badger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	engine "github.com/dgraph-io/badger/v4"

	"trunkline/storage"
)

const (
	// verifyEvery is the time from one check of all tables to the next.
	verifyEvery = 24 * time.Hour
	// verifyRetry is the time to the next one if it could not be made.
	verifyRetry = time.Hour
	// verifyPace is how fast tables are read for it, in bytes per second.
	verifyPace = 32 << 20
	// manifestReads is how often the manifest is read before it counts as damaged.
	manifestReads = 3
)

// Run checks the tables in the background until ctx ends: slowly, all of them
// soon after the start and then every day. The engine does not: it takes a block
// that it can't read for one that holds nothing, so that the keys in it look as
// if they had never been written. Damage is logged and from then on
// reported by Health, while there is still a backup without it. A check that
// could not be made (no file handle is free, say) is logged and made again after
// verifyRetry. Run returns nil when ctx ends.
func (s *Store) Run(ctx context.Context) error {
	for {
		pause := verifyEvery
		err := s.verify(ctx, func(size uint64) error {
			return sleep(ctx, time.Duration(size)*time.Second/verifyPace)
		})
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, storage.ErrClosed):
			return fmt.Errorf("checking the tables of the store in %q: %w", s.dir, err)
		case errors.Is(err, storage.ErrCorrupt):
			s.damaged.Store(&err)
			s.log.Error("store is damaged", "folder", s.dir, "error", err)
		case err != nil:
			s.log.Warn("store could not be checked", "folder", s.dir, "error", err)
			pause = verifyRetry
		}
		if sleep(ctx, pause) != nil {
			return nil
		}
	}
}

// Verify reads every table from end to end and returns [storage.ErrCorrupt] for
// the first damage that it finds.
func (s *Store) Verify(ctx context.Context) error {
	return s.verify(ctx, func(uint64) error { return ctx.Err() })
}

// verify calls pause with the size of each table that it has read.
func (s *Store) verify(ctx context.Context, pause func(size uint64) error) error {
	// In this order: a key is in the registry before a table that needs it is in
	// the manifest.
	manifest, err := s.manifest()
	if err != nil {
		return err
	}
	registry, err := openRegistry(s.dir, s.tune.EncryptionKey)
	if err != nil {
		return err
	}
	for _, id := range newestFirst(manifest) {
		if err := ctx.Err(); err != nil {
			return err
		}
		size, err := s.verifyTable(registry, id, manifest.Tables[id])
		if err != nil {
			return err
		}
		if err := pause(size); err != nil {
			return err
		}
	}
	return nil
}

// verifyTable passes over a table that a compaction has replaced since.
func (s *Store) verifyTable(registry *engine.KeyRegistry, id uint64, entry engine.TableManifest) (uint64, error) {
	if !s.calls.enter() {
		return 0, storage.ErrClosed
	}
	defer s.calls.leave()
	size, err := inspectTable(s.tune, registry, id, entry, true)
	if err == nil {
		return size, nil
	}
	current, manifestErr := s.manifest()
	if manifestErr != nil {
		return 0, manifestErr
	}
	if _, ok := current.Tables[id]; !ok {
		return 0, nil
	}
	return 0, err
}

// manifest reads the list of tables while the engine may be appending to it. A
// record that is half written is not there yet, or looks damaged until it is
// whole.
func (s *Store) manifest() (manifest engine.Manifest, err error) {
	for range manifestReads {
		if manifest, err = s.replayManifest(); err == nil {
			return manifest, nil
		}
	}
	return engine.Manifest{}, err
}

func (s *Store) replayManifest() (engine.Manifest, error) {
	path := filepath.Join(s.dir, engine.ManifestFilename)
	file, err := os.Open(path)
	if err != nil {
		return engine.Manifest{}, missing(path, err)
	}
	defer file.Close()
	manifest, _, err := engine.ReplayManifestFile(file, s.tune.ExternalMagicVersion, s.tune)
	if err != nil {
		return engine.Manifest{}, damaged(path, "list of tables", err)
	}
	return manifest, nil
}

// sleep returns early, with the context's error, when ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
