package badger_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trunkline/storage"
	"trunkline/storage/badger"
)

const marker = "the-secret-that-no-file-may-show"

var (
	key16 = []byte("0123456789abcdef")
	key24 = []byte("0123456789abcdef01234567")
	key32 = []byte("0123456789abcdef0123456789abcdef")
)

func encrypted(dir string, key []byte) badger.Options {
	opts := quiet(dir)
	opts.EncryptionKey = key
	return opts
}

// shows reports whether any file of the folder has the marker in clear.
func shows(t testing.TB, dir string) (name string, found bool) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		var carry []byte // the marker may lie across two chunks
		eachChunk(t, filepath.Join(dir, file.Name()), func(_ int64, data []byte) {
			carry = append(carry, data...)
			found = found || bytes.Contains(carry, []byte(marker))
			carry = append([]byte(nil), carry[len(carry)-min(len(carry), len(marker)):]...)
		})
		if found {
			return file.Name(), true
		}
	}
	return "", false
}

// Nothing is readable in the folder, neither while the store is open nor after.
func TestEncryptedFilesShowNothing(t *testing.T) {
	for _, key := range [][]byte{nil, key16, key24, key32} {
		dir := t.TempDir()
		store := open(t, encrypted(dir, key))
		put(t, store, marker+"/key", "1", "key", marker)
		file, found := shows(t, dir)
		if wanted := key == nil; found != wanted {
			t.Errorf("key of %d bytes, open: the marker is in %q: %v", len(key), file, found)
		}
		closeStore(t, store)
		file, found = shows(t, dir)
		if wanted := key == nil; found != wanted {
			t.Errorf("key of %d bytes, closed: the marker is in %q: %v", len(key), file, found)
		}
	}
}

func TestKeyMustFit(t *testing.T) {
	plain, secret := t.TempDir(), t.TempDir()
	for dir, key := range map[string][]byte{plain: nil, secret: key16} {
		store := open(t, encrypted(dir, key))
		put(t, store, "a", "1")
		closeStore(t, store)
	}
	tests := []struct {
		name, dir string
		key       []byte
		says      string
	}{
		{"missing", secret, nil, "no key was given"},
		{"wrong", secret, []byte("fedcba9876543210"), "the key does not open it"},
		{"longer", secret, key32, "the key does not open it"},
		{"superfluous", plain, key16, "may have been created without one"},
		{"impossible", secret, key16[:15], "AES needs 16, 24 or 32"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := fingerprint(t, test.dir)
			_, err := badger.Open(encrypted(test.dir, test.key))
			if !errors.Is(err, storage.ErrKey) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Open() = %v, want ErrKey that says %q", err, test.says)
			}
			if err := badger.Rekey(test.dir, test.key, key24); !errors.Is(err, storage.ErrKey) {
				t.Errorf("Rekey() = %v, want ErrKey", err)
			}
			requireUntouched(t, test.dir, before)
		})
	}
	for dir, key := range map[string][]byte{plain: nil, secret: key16} {
		store := open(t, encrypted(dir, key))
		requireContents(t, store, map[string]string{"a": "1"})
		closeStore(t, store)
	}
}

// After Rekey the new key opens the store with all its data and the old one does
// not: from clear to encrypted and back, with data in tables and in a log of each
// kind.
func TestRekey(t *testing.T) {
	want := map[string]string{}
	live := t.TempDir()
	dir := live
	keys := [][]byte{nil, key16, key32, nil, key24}
	for i, key := range keys {
		store, err := badger.Open(encrypted(dir, key))
		if err != nil {
			t.Fatalf("after change %d: %v", i, err)
		}
		requireContents(t, store, want)
		table, log := string(rune('a'+i))+"/table", string(rune('a'+i))+"/log"
		want[table], want[log] = strings.Repeat("t", 5000), "l"
		put(t, store, table, want[table])
		closeStore(t, store)
		store = open(t, encrypted(dir, key))
		put(t, store, log, want[log])
		crashed := image(t, dir) // so that the log is there when the key changes
		closeStore(t, store)
		dir = crashed
		if i+1 == len(keys) {
			break
		}
		if err := badger.Rekey(dir, key, keys[i+1]); err != nil {
			t.Fatalf("Rekey() %d = %v", i, err)
		}
		if _, err := badger.Open(encrypted(dir, key)); !errors.Is(err, storage.ErrKey) {
			t.Errorf("after change %d the old key opens the store: %v", i, err)
		}
	}
	store := open(t, encrypted(dir, keys[len(keys)-1]))
	requireContents(t, store, want)
	if err := store.Verify(t.Context()); err != nil {
		t.Errorf("Verify() = %v", err)
	}
	closeStore(t, store)
}

func TestRekeyOfNoStore(t *testing.T) {
	dir := t.TempDir()
	if err := badger.Rekey(dir, nil, key16); err == nil || !strings.Contains(err.Error(), "it is not a store") {
		t.Errorf("Rekey() of an empty folder = %v", err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("it left %v", files)
	}
}

// A backup is in clear: it restores into a store with another key, or none.
func TestBackupOfEncryptedRestoresIntoPlain(t *testing.T) {
	secret := open(t, encrypted(t.TempDir(), key32))
	defer closeStore(t, secret)
	put(t, secret, "a", "1", "b", marker)
	var backup bytes.Buffer
	if _, err := storage.Backup(t.Context(), secret, &backup, nil); err != nil {
		t.Fatal(err)
	}
	plain := open(t, badger.Options{Dir: t.TempDir()})
	defer closeStore(t, plain)
	if _, err := storage.Restore(t.Context(), bytes.NewReader(backup.Bytes()), plain, nil); err != nil {
		t.Fatal(err)
	}
	requireContents(t, plain, map[string]string{"a": "1", "b": marker})
}
