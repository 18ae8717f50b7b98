package strict_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"trunkline/configs/strict"
)

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(path("small"), []byte("a: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path("large"), make([]byte, 1<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path("pipe"), 0o600); err != nil {
		t.Skip("no named pipes here:", err)
	}
	for link, to := range map[string]string{"link": path("small"), "endless": "/dev/zero"} {
		if err := os.Symlink(to, path(link)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"small": "", "link": "",
		"large": "has 1048577 bytes; the most is 1048576", "pipe": "not a regular file", "endless": "not a regular file",
		".": "not a regular file", "absent": "no such file",
	} {
		text, err := strict.ReadFile(path(name))
		switch {
		case want == "" && (err != nil || string(text) != "a: 1\n"):
			t.Errorf("%s: %q, %v", name, text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}
