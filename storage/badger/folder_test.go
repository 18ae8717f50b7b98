package badger_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"trunkline/storage"
	"trunkline/storage/badger"
)

// quiet returns options for dir that log nothing.
func quiet(dir string) badger.Options {
	return badger.Options{Dir: dir, Log: slog.New(slog.DiscardHandler)}
}

// put applies one batch of key, value, key, value, ….
func put(t testing.TB, store storage.Store, keysAndValues ...string) {
	t.Helper()
	var b storage.Batch
	for i := 0; i < len(keysAndValues); i += 2 {
		b.Put([]byte(keysAndValues[i]), []byte(keysAndValues[i+1]))
	}
	if err := store.Apply(&b); err != nil {
		t.Fatalf("Apply() = %v", err)
	}
}

func closeStore(t testing.TB, store *badger.Store) {
	t.Helper()
	if err := store.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}
}

// contents returns everything that a reader holds.
func contents(t testing.TB, r storage.Reader) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := r.Scan(nil, nil, func(key, value []byte) bool {
		all[string(key)] = string(value)
		return true
	})
	if err != nil {
		t.Fatalf("Scan() = %v", err)
	}
	return all
}

// requireContents says how many entries differ rather than print them all.
func requireContents(t testing.TB, r storage.Reader, want map[string]string) {
	t.Helper()
	got := contents(t, r)
	if maps.Equal(got, want) {
		return
	}
	wrong := 0
	for key, value := range want {
		if got[key] != value {
			wrong++
		}
	}
	t.Fatalf("the store holds %d entries, %d of the %d that it should hold are missing or wrong", len(got), wrong, len(want))
}

// chunk is the step in which files are compared.
const chunk = 64 << 10

// eachChunk calls fn with the parts of a file that are not all zero.
func eachChunk(t testing.TB, path string, fn func(at int64, data []byte)) (size int64) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	size = info.Size()
	zeros, data := make([]byte, chunk), make([]byte, chunk)
	for at := int64(0); at < size; at += chunk {
		if at = skipHole(file, at, size) / chunk * chunk; at >= size {
			break
		}
		n, err := file.ReadAt(data, at)
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if !bytes.Equal(data[:n], zeros[:n]) {
			fn(at, data[:n])
		}
	}
	return size
}

// skipHole returns where the data at or behind at begins, at itself if the
// system does not say. It spares reading 64 MiB of zeros per log.
func skipHole(file *os.File, at, size int64) int64 {
	const seekData = 3 // lseek(2) on Linux
	if runtime.GOOS != "linux" {
		return at
	}
	to, err := file.Seek(at, seekData)
	switch {
	case errors.Is(err, syscall.ENXIO):
		return (size + chunk) / chunk * chunk
	case err != nil:
		return at
	}
	return to
}

// fingerprint returns name, size and a hash of every file of a folder but the
// lock, whose content is a process id.
func fingerprint(t testing.TB, dir string) map[string]string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	prints := map[string]string{}
	for _, file := range files {
		if file.Name() == "OWNER" {
			continue
		}
		hash := sha256.New()
		size := eachChunk(t, filepath.Join(dir, file.Name()), func(at int64, data []byte) {
			fmt.Fprint(hash, at)
			hash.Write(data)
		})
		prints[file.Name()] = fmt.Sprintf("%d bytes, %x", size, hash.Sum(nil))
	}
	return prints
}

func requireUntouched(t testing.TB, dir string, before map[string]string) {
	t.Helper()
	after := fingerprint(t, dir)
	for name := range after {
		if before[name] == "" {
			t.Errorf("%s has appeared", name)
		}
	}
	for name, was := range before {
		if after[name] != was {
			t.Errorf("%s was %s and is %q", name, was, after[name])
		}
	}
}

// image copies a folder, also that of an open store: what has been written to it
// is what a crash would leave.
func image(t testing.TB, from string) (to string) {
	t.Helper()
	to = t.TempDir()
	files, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		out, err := os.OpenFile(filepath.Join(to, file.Name()), os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		size := eachChunk(t, filepath.Join(from, file.Name()), func(at int64, data []byte) {
			if _, err := out.WriteAt(data, at); err != nil {
				t.Fatal(err)
			}
		})
		if err := out.Truncate(size); err != nil {
			t.Fatal(err)
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return to
}
