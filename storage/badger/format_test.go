package badger_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"trunkline/storage"
	"trunkline/storage/badger"
)

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A folder that is none of ours, or of a newer version, is refused by Open and
// by Rekey and nothing is put into it, not even a lock.
func TestForeignFoldersStayAsTheyAre(t *testing.T) {
	tests := []struct {
		name, file, content string
		says                string
	}{
		{"somebody's files", "holiday.jpg", "JFIF", "give an empty folder"},
		{"newer format", "FORMAT", "trunkline-store 9999\n", "use the newer version that wrote it"},
		{"other program's format", "FORMAT", "postgres 17\n", `holds "postgres 17\n"`},
		{"empty format", "FORMAT", "", `holds ""`},
		{"format without a number", "FORMAT", "trunkline-store\n", "instead of a store's format"},
		{"negative format", "FORMAT", "trunkline-store -1\n", "instead of a store's format"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, test.file), test.content)
			_, err := badger.Open(quiet(dir))
			if !errors.Is(err, storage.ErrFormat) || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), dir) {
				t.Errorf("Open() = %v, want ErrFormat that says %q", err, test.says)
			}
			if err := badger.Rekey(dir, nil, nil); err == nil {
				t.Error("Rekey() of it succeeded")
			}
			files, err := os.ReadDir(dir)
			if err != nil || len(files) != 1 || readFile(t, filepath.Join(dir, test.file)) != test.content {
				t.Errorf("the folder now holds %v, %v", files, err)
			}
		})
	}
}

func TestNewerFormatStaysAsItIs(t *testing.T) {
	dir := t.TempDir()
	store := open(t, badger.Options{Dir: dir})
	put(t, store, "a", "1")
	closeStore(t, store)
	if err := badger.WriteFormat(dir, badger.LastFormat+1); err != nil {
		t.Fatal(err)
	}
	before := fingerprint(t, dir)
	_, err := badger.Open(quiet(dir))
	want := fmt.Sprintf("it has format %d and this version of the program knows formats up to %d", badger.LastFormat+1, badger.LastFormat)
	if !errors.Is(err, storage.ErrFormat) || !strings.Contains(err.Error(), want) {
		t.Errorf("Open() = %v, want ErrFormat that says %q", err, want)
	}
	requireUntouched(t, dir, before)
}

func TestFolderIsCreatedWithItsParents(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "var", "lib", "trunkline")
	closeStore(t, open(t, badger.Options{Dir: dir}))
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v, %v, want 0700", info.Mode(), err)
	}
}

func TestFolderCannotBeCreated(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, "content")
	for _, dir := range []string{file, filepath.Join(file, "store")} {
		_, err := badger.Open(quiet(dir))
		if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "not a directory") {
			t.Errorf("Open(%q) = %v", dir, err)
		}
	}
	if readFile(t, file) != "content" {
		t.Error("the file in the way was changed")
	}
	if _, err := badger.Open(quiet("")); err == nil {
		t.Error("Open() without a folder succeeded")
	}
}

// The set-up of a folder can be cut off anywhere. Whatever is there then, the
// next Open goes on.
func TestCreatingGoesOnAfterACrash(t *testing.T) {
	fresh := t.TempDir()
	store := open(t, badger.Options{Dir: fresh})
	defer closeStore(t, store)
	tests := []struct {
		name   string
		cutOff func(t *testing.T, dir string)
	}{
		{"before anything", func(t *testing.T, dir string) { removeBut(t, dir) }},
		{"after the lock", func(t *testing.T, dir string) { removeBut(t, dir, "OWNER") }},
		{"in the format", func(t *testing.T, dir string) {
			removeBut(t, dir, "OWNER")
			writeFile(t, filepath.Join(dir, "FORMAT.new"), "trunk")
		}},
		{"after the format", func(t *testing.T, dir string) { removeBut(t, dir, "OWNER", "FORMAT") }},
		{"after the manifest", func(t *testing.T, dir string) { removeBut(t, dir, "OWNER", "FORMAT", "MANIFEST") }},
		{"in the manifest", func(t *testing.T, dir string) {
			removeBut(t, dir, "OWNER", "FORMAT")
			writeFile(t, filepath.Join(dir, "MANIFEST-REWRITE"), "Bdg")
		}},
		{"after the keys", func(t *testing.T, dir string) { removeBut(t, dir, "OWNER", "FORMAT", "MANIFEST", "KEYREGISTRY") }},
		{"in the first log", func(t *testing.T, dir string) {
			removeBut(t, dir, "OWNER", "FORMAT", "MANIFEST", "KEYREGISTRY")
			writeFile(t, filepath.Join(dir, "00001.mem"), "")
		}},
		{"in the value log", func(t *testing.T, dir string) { writeFile(t, filepath.Join(dir, "000001.vlog"), "") }},
		{"before the last format", func(*testing.T, string) {}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := image(t, fresh)
			writeFile(t, filepath.Join(dir, "FORMAT"), "trunkline-store 0\n")
			test.cutOff(t, dir)
			store := open(t, badger.Options{Dir: dir})
			put(t, store, "a", "1")
			closeStore(t, store)
			store = open(t, badger.Options{Dir: dir})
			requireContents(t, store, map[string]string{"a": "1"})
			closeStore(t, store)
		})
	}
}

// removeBut leaves only the files with these names.
func removeBut(t testing.TB, dir string, names ...string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if slices.Contains(names, file.Name()) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, file.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

// "Not set up yet" would switch every check off, so a store with data is not
// believed when it says so.
func TestCreatingIsNotBelievedOfAStoreWithData(t *testing.T) {
	dir := t.TempDir()
	store := open(t, badger.Options{Dir: dir})
	put(t, store, "a", "1")
	logged := image(t, dir)
	closeStore(t, store)
	for name, dir := range map[string]string{"in a log": logged, "in a table": dir} {
		t.Run(name, func(t *testing.T) {
			writeFile(t, filepath.Join(dir, "FORMAT"), "trunkline-store 0\n")
			before := fingerprint(t, dir)
			_, err := badger.Open(quiet(dir))
			if !errors.Is(err, storage.ErrCorrupt) || !strings.Contains(err.Error(), "FORMAT") {
				t.Errorf("Open() = %v, want ErrCorrupt that names FORMAT", err)
			}
			requireUntouched(t, dir, before)
		})
	}
}

// Each migration runs once; one that is cut off runs again at the next start, and
// those before it do not.
func TestMigrationsGoOnWhereTheyWereCutOff(t *testing.T) {
	dir := t.TempDir()
	store := open(t, badger.Options{Dir: dir})
	defer closeStore(t, store)
	first := badger.LastFormat
	var ran []string
	power := errors.New("the power went")
	step := func(name string, fail error) func() error {
		return func() error { ran = append(ran, name); return fail }
	}
	format := func() string { return readFile(t, filepath.Join(dir, "FORMAT")) }

	err := store.Migrate(first, step("one", nil), step("two", power), step("three", nil))
	want := fmt.Sprintf("migrating from format %d to %d", first+1, first+2)
	if !errors.Is(err, power) || !strings.Contains(err.Error(), want) {
		t.Errorf("migrate() = %v, want one that says %q", err, want)
	}
	if got, want := format(), fmt.Sprintf("trunkline-store %d\n", first+1); got != want {
		t.Errorf("after the failure FORMAT holds %q, want %q", got, want)
	}
	if err := store.Migrate(first+1, step("two", nil), step("three", nil)); err != nil {
		t.Fatal(err)
	}
	if got, want := format(), fmt.Sprintf("trunkline-store %d\n", first+3); got != want {
		t.Errorf("at the end FORMAT holds %q, want %q", got, want)
	}
	if want := []string{"one", "two", "two", "three"}; !slices.Equal(ran, want) {
		t.Errorf("ran %q, want %q", ran, want)
	}
}
