package badger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
)

// unsyncedMost is how many batches may be written and not synced yet. It fits into
// the mark of a batch; see writer.mark.
const unsyncedMost = 16

// logSync makes the engine's logs durable, in place of the engine.
//
// The engine would sync in the goroutine that writes batches, one batch after the
// other, and its empty value log each time as well: two waits for the disk, and
// two turns in which a goroutine that comes back from the disk queues for a
// processor. Here a batch waits for one sync, which it shares with all batches
// that were written before that began, while the engine writes the next.
type logSync struct {
	dir string

	mu      sync.Mutex
	turned  sync.Cond
	running bool
	begun   uint64 // syncs
	ended   uint64
	err     error // the first failure, which is final: what was not written is unknown

	// Of whoever runs a sync.
	log    *os.File // the newest log that is known
	number int      // in its name
}

// newLogSync begins with the newest log of an engine that is open; those before it
// it has synced.
func newLogSync(dir string) (*logSync, error) {
	l := &logSync{dir: dir}
	l.turned.L = &l.mu
	for moved := true; moved; {
		var err error
		if moved, err = l.search(); err == nil && moved {
			err = syncData(l.log)
		}
		if err != nil {
			return nil, translate(err)
		}
	}
	if l.log == nil {
		return nil, fmt.Errorf("the engine has no log in %q", dir)
	}
	return l, nil
}

// wait returns when everything is durable that the engine had written before.
func (l *logSync) wait() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for mine := l.begun + 1; l.ended < mine && l.err == nil; {
		if l.running {
			l.turned.Wait()
			continue
		}
		l.running = true
		l.begun++
		l.mu.Unlock()
		err := l.sync()
		l.mu.Lock()
		l.running, l.ended = false, l.begun
		if err != nil && l.err == nil {
			l.err = err
		}
		l.turned.Broadcast()
	}
	return l.err
}

// sync syncs the log that was the newest, and every one that the engine has begun
// since. The engine numbers its logs in sequence, and removes one when a table has
// what is in it.
func (l *logSync) sync() error {
	for {
		if err := syncData(l.log); err != nil {
			return err
		}
		moved, err := l.moveTo(l.number + 1)
		if err == nil && !moved && removed(l.log) { // the next one may be gone too
			moved, err = l.search()
		}
		if err != nil || !moved {
			return err
		}
	}
}

// search moves to the oldest log behind the known one, if there is any.
func (l *logSync) search() (moved bool, err error) {
	paths, err := withSuffix(l.dir, logSuffix)
	if err != nil {
		return false, err
	}
	var behind []int
	for _, path := range paths {
		n := 0
		if _, err := fmt.Sscanf(filepath.Base(path), "%d"+logSuffix, &n); err == nil && (l.log == nil || n > l.number) {
			behind = append(behind, n)
		}
	}
	slices.Sort(behind)
	for _, n := range behind {
		if moved, err := l.moveTo(n); moved || err != nil {
			return moved, err
		}
	}
	return false, nil
}

// moveTo makes a log the known one, if it is there.
func (l *logSync) moveTo(number int) (moved bool, err error) {
	next, err := os.Open(l.path(number))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if l.log != nil {
		l.log.Close()
	}
	l.log, l.number = next, number
	return true, syncFolder(l.dir)
}

func (l *logSync) path(number int) string {
	return filepath.Join(l.dir, fmt.Sprintf("%05d%s", number, logSuffix))
}

func removed(file *os.File) bool {
	info, err := file.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink == 0
}

func (l *logSync) close() error { return l.log.Close() }
