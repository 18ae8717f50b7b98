package badger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	engine "github.com/dgraph-io/badger/v4"

	"trunkline/storage"
)

// Files of our own in the store's folder, beside the engine's.
const (
	ownerFile  = "OWNER"  // locked while the store is open; holds the process id
	formatFile = "FORMAT" // one line: formatMark and the format's number
	formatMark = "trunkline-store"
	newSuffix  = ".new" // of a file that will replace the one without it

	tableSuffix = ".sst" // of the engine's tables
)

// A format is the layout of the folder and of the keys and values that the
// program puts there; a change that an older version would misread needs the
// next number and a migration. formatCreating means that the folder is being set
// up and holds no data yet.
const formatCreating = 0

// migration brings a store from one format to the next. It goes through
// batches, and must come to the same end if it is cut off and run again.
type migration func(s *Store) error

// migrations[n] leads from format n to n+1. Creating a store needs no work.
var migrations = []migration{
	formatCreating: func(*Store) error { return nil },
}

// migrate runs what leads from the folder's format to the last one.
func (s *Store) migrate(from int, steps []migration) error {
	for format := from; format < len(steps); format++ {
		if err := steps[format](s); err != nil {
			return fmt.Errorf("migrating from format %d to %d (it goes on at the next start): %w", format, format+1, err)
		}
		if err := writeFormat(s.dir, format+1); err != nil {
			return err
		}
		if format != formatCreating {
			s.log.Info("store migrated", "folder", s.dir, "format", format+1)
		}
	}
	return nil
}

// readFormat returns formatCreating for an empty folder, and for one that does
// not exist.
func readFormat(dir string) (int, error) {
	path := filepath.Join(dir, formatFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return formatCreating, requireEmpty(dir)
	}
	if err != nil {
		return 0, translate(err)
	}
	mark, number, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
	format, err := strconv.Atoi(number)
	switch {
	case mark != formatMark || err != nil || format < 0:
		return 0, fmt.Errorf("%s holds %.40q instead of a store's format: %w", path, data, storage.ErrFormat)
	case format > len(migrations):
		return 0, fmt.Errorf("it has format %d and this version of the program knows formats up to %d: use the newer version that wrote it: %w",
			format, len(migrations), storage.ErrFormat)
	case format == formatCreating:
		return format, requireNoData(dir)
	}
	return format, nil
}

// requireNoData tells a folder whose set-up was cut off from a store that lost
// its format: only a store has tables or batches.
func requireNoData(dir string) error {
	path := filepath.Join(dir, formatFile)
	tables, err := withSuffix(dir, tableSuffix)
	if err != nil {
		return err
	}
	if len(tables) > 0 {
		return damaged(path, "format", fmt.Errorf("it says that the store is still empty, but there is %s", tables[0]))
	}
	logs, err := withSuffix(dir, logSuffix)
	if err != nil {
		return err
	}
	for _, log := range logs {
		err := mapped(log, func(data []byte) error {
			if len(data) > logHeaderBytes && data[logHeaderBytes] != 0 {
				return damaged(path, "format", fmt.Errorf("it says that the store is still empty, but %s is not", log))
			}
			return nil
		})
		if err != nil {
			return translate(err)
		}
	}
	return nil
}

func requireEmpty(dir string) error {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return translate(err)
	}
	for _, file := range files {
		if file.Name() != ownerFile && file.Name() != formatFile+newSuffix {
			return fmt.Errorf("the folder has files (%s) but no %s, so it is no store: give an empty folder or one that does not exist: %w",
				file.Name(), formatFile, storage.ErrFormat)
		}
	}
	return nil
}

// writeFormat replaces the format file in one step.
func writeFormat(dir string, format int) error {
	path := filepath.Join(dir, formatFile)
	if err := writeSynced(path+newSuffix, fmt.Sprintf("%s %d\n", formatMark, format)); err != nil {
		return translate(err)
	}
	if err := os.Rename(path+newSuffix, path); err != nil {
		return translate(err)
	}
	return translate(syncFolder(dir))
}

func writeSynced(path, content string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// lockFolder creates the folder if need be and takes its lock, which ends with
// the file or the process. The engine takes a lock as well, but only after it
// would be too late for us to look at the files.
func lockFolder(dir string) (*os.File, error) {
	if err := createFolder(dir); err != nil {
		return nil, translate(err)
	}
	path := filepath.Join(dir, ownerFile)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, translate(err)
	}
	switch locked, err := tryLock(file); {
	case err != nil:
		file.Close()
		return nil, fmt.Errorf("locking %s: %w", path, translate(err))
	case !locked:
		owner, _ := os.ReadFile(path)
		file.Close()
		who := "process " + strings.TrimSpace(string(owner))
		if who == "process " { // it is just about to write the number
			who = "another process"
		}
		return nil, fmt.Errorf("%s has it open: stop that process or use another folder: %w", who, storage.ErrLocked)
	}
	// The number is only for people who run into the lock.
	number := fmt.Appendln(nil, os.Getpid())
	_, err = file.WriteAt(number, 0)
	if err := errors.Join(err, file.Truncate(int64(len(number)))); err != nil {
		file.Close()
		return nil, translate(err)
	}
	return file, nil
}

// createFolder creates the folder and what is missing above it, each so that it
// survives the loss of power.
func createFolder(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := createFolder(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(parent)
}

// Rekey replaces the encryption key of a store that is not open: at once for the
// keys that the data is encrypted with, so that the old key opens nothing any
// more. The data itself is not rewritten. An empty newKey or oldKey stands for a
// store without encryption; then what was written before stays as it was until a
// compaction rewrites it, and only a restore into a new store encrypts (or
// decrypts) all of it.
func Rekey(dir string, oldKey, newKey []byte) error {
	for _, key := range [][]byte{oldKey, newKey} {
		if _, err := (Options{Dir: dir, EncryptionKey: key}).withDefaults(); err != nil {
			return err
		}
	}
	if err := rekey(dir, oldKey, newKey); err != nil {
		return fmt.Errorf("changing the encryption key of the store in %q: %w", dir, err)
	}
	return nil
}

func rekey(dir string, oldKey, newKey []byte) error {
	if _, err := os.Stat(filepath.Join(dir, formatFile)); err != nil {
		return fmt.Errorf("it is not a store: %w", translate(err))
	}
	if _, err := readFormat(dir); err != nil {
		return err
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	registry, err := openRegistry(dir, oldKey)
	if err != nil {
		return err
	}
	return translate(engine.WriteKeyRegistry(registry, engine.KeyRegistryOptions{Dir: dir, EncryptionKey: newKey}))
}

// space refuses batches before the disk is so full that the engine can't write
// the files it needs: it maps files into memory, and the kernel ends a process
// that writes to a mapped page for which there is no block.
type space struct {
	dir     string
	reserve uint64
	free    func(dir string) (uint64, error)
	budget  atomic.Int64 // bytes that may be written before free is asked again
}

// recheckBytes is the largest budget. Log, table and rewritten table together
// take a small multiple of it, far less than the reserve.
const recheckBytes = 4 << 20

// admit returns [storage.ErrFull] if n more bytes would go into the reserve.
func (s *space) admit(n int) error {
	if n > 0 && s.budget.Add(-int64(n)) > 0 {
		return nil
	}
	free, err := s.free(s.dir)
	if err != nil {
		return fmt.Errorf("asking for the room left in %q: %w", s.dir, translate(err))
	}
	if free < s.reserve+uint64(n) {
		s.budget.Store(0)
		return fmt.Errorf("%d MiB are left for %q and %d MiB are kept in reserve: free some room on that disk: %w",
			free>>20, s.dir, s.reserve>>20, storage.ErrFull)
	}
	s.budget.Store(recheckBytes)
	return nil
}
