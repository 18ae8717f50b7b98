package badger_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trunkline/storage"
	"trunkline/storage/badger"
)

// requireLocked checks that the error names the process and says what to do.
func requireLocked(t *testing.T, err error, process int) {
	t.Helper()
	if !errors.Is(err, storage.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d has it open", process)) ||
		!strings.Contains(err.Error(), "stop that process") {
		t.Errorf("= %v, want ErrLocked that names process %d and what to do", err, process)
	}
}

func TestLockedInTheSameProcess(t *testing.T) {
	dir := t.TempDir()
	store := open(t, badger.Options{Dir: dir})
	_, err := badger.Open(quiet(dir))
	requireLocked(t, err, os.Getpid())
	requireLocked(t, badger.Rekey(dir, nil, []byte("0123456789abcdef")), os.Getpid())

	put(t, store, "a", "1") // the one who has it is not disturbed
	closeStore(t, store)
	again := open(t, badger.Options{Dir: dir})
	requireContents(t, again, map[string]string{"a": "1"})
	closeStore(t, again)
}

// The lock ends with its process, also if that is killed.
func TestLockedByAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	process := startChild(t, roleHold, dir)
	if !process.lines.Scan() {
		t.Fatal("the other process did not open the store")
	}
	before := fingerprint(t, dir)
	_, err := badger.Open(quiet(dir))
	requireLocked(t, err, process.cmd.Process.Pid)
	requireUntouched(t, dir, before)

	process.kill(t, func(string) {})
	closeStore(t, open(t, badger.Options{Dir: dir}))
}

// A process that has the lock may not have written its number yet.
func TestLockedBySomebodyUnknown(t *testing.T) {
	dir := t.TempDir()
	store := open(t, badger.Options{Dir: dir})
	defer closeStore(t, store)
	if err := os.Truncate(filepath.Join(dir, "OWNER"), 0); err != nil {
		t.Fatal(err)
	}
	_, err := badger.Open(quiet(dir))
	if !errors.Is(err, storage.ErrLocked) || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("Open() = %v", err)
	}
}
