package cdr

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func TestForms(t *testing.T) {
	r := Record{
		Call: "c1", Leg: 1, Direction: "out", Trunk: "b", From: "38591", To: "=HYPERLINK(1)", Flow: "f", Version: 2, Element: "e", Setup: noon,
		Answered: noon.Add(time.Second), Ended: noon.Add(2500 * time.Millisecond), Seconds: 1.5, Billed: 30, Cost: "0.31", Currency: "EUR",
		Status: 200, Cause: 16, EndedBy: "caller", Codec: "PCMA", MOS: 4.32, Lost: 0.12, Jitter: 3,
	}
	var b bytes.Buffer
	w, err := NewWriter(&b, CSV, true)
	if err != nil || w.Write(&r) != nil || w.Flush() != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 2 || len(rows[0]) != len(rows[1]) {
		t.Fatal(rows, err)
	}
	for i, want := range map[int]string{5: "'=HYPERLINK(1)", 10: "2026-05-01T12:00:00.000Z", 11: "", 13: "2026-05-01T12:00:02.500Z", 14: "1.5", 16: "0.31", 24: "4.32"} {
		if rows[1][i] != want {
			t.Errorf("%s is %q, want %q", rows[0][i], rows[1][i], want)
		}
	}
	w, _ = NewWriter(&b, JSONLines, true)
	if err := w.Write(&r); err != nil {
		t.Fatal(err)
	}
	var back Record
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || back != r {
		t.Errorf("%v %+v", err, back)
	}
	if _, err := ParseFormat("xml"); err == nil {
		t.Error("xml is taken")
	}
}

// shelf is a source of two parts.
type shelf struct {
	records [2][]Record
	fail    error
}

func (s *shelf) Parts() int { return 2 }

func (s *shelf) After(part int, after []byte, most int) ([]Record, []byte, error) {
	from := 0
	if after != nil {
		from = int(binary.BigEndian.Uint32(after))
	}
	end := min(len(s.records[part]), from+most)
	return s.records[part][from:end], binary.BigEndian.AppendUint32(nil, uint32(end)), s.fail
}

func (s *shelf) add(n int) {
	for range n {
		all := len(s.records[0]) + len(s.records[1])
		s.records[all%2] = append(s.records[all%2], Record{Call: fmt.Sprint(all), Ended: noon.Add(time.Duration(all) * time.Second)})
	}
}

func written(t *testing.T, folder string) (calls []string, files int) {
	t.Helper()
	names, _ := filepath.Glob(filepath.Join(folder, prefix+"*"))
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			var r Record
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%s: %v: %s", name, err, line)
			}
			calls = append(calls, r.Call)
		}
	}
	return calls, len(names)
}

func open(t *testing.T, c Config, s Source) *Folder {
	t.Helper()
	f, err := OpenFolder(c, s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.close)
	return f
}

// Each record is in the files exactly once, in the order of the ends, whatever
// the daemon's lives: also when one ended after a line was half written, and while
// the folder could not be written to.
func TestEachRecordIsWrittenOnce(t *testing.T) {
	c := Config{Folder: t.TempDir(), MaxSize: 1, MaxAge: time.Hour, Keep: 100}
	s := new(shelf)
	for life := range 5 {
		f := open(t, c, s)
		for range 3 {
			s.add(300)
			f.attend(noon)
		}
		s.fail = os.ErrPermission
		f.attend(noon)
		s.fail = nil
		f.close()
		if life == 2 { // a crash within a line that the state does not know of
			file, err := os.OpenFile(filepath.Join(c.Folder, f.state.File), os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = file.WriteString(`{"call":"x"`)
			file.Close()
		}
	}
	calls, _ := written(t, c.Folder)
	if len(calls) != 4500 {
		t.Fatalf("%d records", len(calls))
	}
	seen := map[string]bool{}
	for _, call := range calls {
		if seen[call] {
			t.Fatalf("%s is there twice", call)
		}
		seen[call] = true
	}
}

func TestRotation(t *testing.T) {
	c := Config{Folder: t.TempDir(), MaxSize: 1, MaxAge: time.Hour, Keep: 3}
	s := new(shelf)
	f := open(t, c, s)
	for i := range 5 {
		s.add(1)
		f.attend(noon.Add(time.Duration(i) * 61 * time.Minute))
	}
	calls, files := written(t, c.Folder)
	if files != 3 || len(calls) != 3 || calls[2] != "4" {
		t.Errorf("%d files with %v", files, calls)
	}
	s.add(9000) // more than a MiB
	f.attend(noon.Add(6 * time.Hour))
	if _, more := written(t, c.Folder); more != 3 {
		t.Errorf("%d files", more)
	}
	if f.state.Size > 1<<20+page*2*300 {
		t.Errorf("a file of %d octets", f.state.Size)
	}
	if err := os.Remove(filepath.Join(c.Folder, f.state.File)); err != nil { // shipped away
		t.Fatal(err)
	}
	f.close()
	s.add(1)
	f = open(t, c, s)
	f.attend(noon.Add(6*time.Hour + time.Minute))
	if calls, _ := written(t, c.Folder); calls[len(calls)-1] != "9005" {
		t.Errorf("%v", calls[len(calls)-1])
	}
	c.Format = "csv"
	f.close()
	f = open(t, c, s)
	s.add(1)
	f.attend(noon.Add(6 * time.Hour))
	if b, err := os.ReadFile(filepath.Join(c.Folder, f.state.File)); err != nil || !strings.HasPrefix(string(b), "call,leg,") || strings.Count(string(b), "\n") != 2 {
		t.Errorf("%v: %.200s", err, b)
	}
}

func TestADamagedStateIsTold(t *testing.T) {
	c := Config{Folder: t.TempDir()}
	if err := os.WriteFile(filepath.Join(c.Folder, stateFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFolder(c, new(shelf), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Error(err)
	}
}
