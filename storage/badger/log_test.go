package badger

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4/y"
	"pgregory.net/rapid"

	"trunkline/storage"
)

// realLog returns the used part of a log with that many batches, and where each
// of them ends.
func realLog(t testing.TB, batches int) (data []byte, ends []int) {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for n := range batches {
		var b storage.Batch
		b.Put([]byte{'k', byte(n)}, bytes.Repeat([]byte{byte(n)}, 10*n))
		b.Delete([]byte{'d', byte(n)})
		if err := s.Apply(&b); err != nil {
			t.Fatal(err)
		}
	}
	if data, err = os.ReadFile(filepath.Join(dir, "00001"+logSuffix)); err != nil {
		t.Fatal(err)
	}
	pos := logHeaderBytes
	log := batchLog{data: data}
	for {
		r, ok := log.record(pos)
		if !ok {
			return data[:pos+64], ends
		}
		pos += r.size
		if _, ok := log.end(pos-r.size, r); ok {
			ends = append(ends, pos)
		}
	}
}

// whole gives a log the room that is left in one that has not been cut.
func whole(data []byte) []byte { return append(bytes.Clone(data), make([]byte, logRoom)...) }

// A flipped bit in any batch but the last is damage, wherever in the batch it is;
// in the last one it can't be told from a crash.
func TestLogTellsDamageFromACrash(t *testing.T) {
	data, ends := realLog(t, 4)
	if len(ends) != 4 {
		t.Fatalf("the log has %d batches", len(ends))
	}
	full := whole(data)
	if err := inspectLog(full, nil); err != nil {
		t.Errorf("a sound log: %v", err)
	}
	for at := logHeaderBytes; at < ends[3]; at++ {
		full[at] ^= 0x10
		err := inspectLog(full, nil)
		if wanted := at < ends[2]; (err != nil) != wanted {
			t.Errorf("byte %d (batches end at %v): %v", at, ends, err)
		}
		full[at] ^= 0x10
	}
}

// A crash leaves any part of the last batch.
func TestLogAcceptsAnyTornLastBatch(t *testing.T) {
	data, ends := realLog(t, 3)
	full := whole(make([]byte, len(data)))
	for end := ends[1]; end <= ends[2]; end++ {
		copy(full, data[:end])
		clear(full[end:len(data)])
		if err := inspectLog(full, nil); err != nil {
			t.Errorf("torn at byte %d: %v", end, err)
		}
	}
	// Also pages in the wrong order: its end is there and its beginning is not.
	copy(full, data)
	clear(full[ends[1] : ends[1]+30])
	if err := inspectLog(full, nil); err != nil {
		t.Errorf("last batch without its beginning: %v", err)
	}
}

// The engine cuts a log behind a batch while it opens it; a log that ends
// anywhere else was damaged.
func TestLogThatWasCut(t *testing.T) {
	data, ends := realLog(t, 3)
	atEnd := map[int]bool{0: true, logHeaderBytes: true, ends[0]: true, ends[1]: true, ends[2]: true}
	for end := 0; end <= ends[2]; end++ {
		if err := inspectLog(data[:end], nil); (err == nil) != atEnd[end] {
			t.Errorf("cut at byte %d (batches end at %v): %v", end, ends, err)
		}
	}
}

// Values that look like a log's records are no damage.
func TestLogTakesNoValueForARecord(t *testing.T) {
	data, ends := realLog(t, 2)
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for n := range byte(3) {
		var b storage.Batch
		b.Put([]byte{n}, data[logHeaderBytes:ends[1]])
		if err := s.Apply(&b); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.ReadFile(filepath.Join(dir, "00001"+logSuffix))
	if err != nil {
		t.Fatal(err)
	}
	if err := inspectLog(log, nil); err != nil {
		t.Error(err)
	}
}

func FuzzInspectLog(f *testing.F) {
	data, ends := realLog(f, 3)
	f.Add(data)
	f.Add(data[:ends[1]])
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 64))
	f.Add([]byte(strings.Repeat("\x00", logHeaderBytes) + string(logEndMark)))
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = inspectLog(data, nil)
		if len(data) < logHeaderBytes {
			return
		}
		if end, _ := (batchLog{data: data}).replay(); end < logHeaderBytes || end > len(data) {
			t.Errorf("the batches of a log of %d bytes end at %d", len(data), end)
		}
	})
}

// The parsers of the other files refuse what they can't read and no more.
func TestInspectorsSurviveAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "data")
		_, _ = inspectIndex(data)
		_ = inspectRegistry(data)
		_ = hidesRecords(data)
		_ = inspectValueLog(data, nil)
	})
}

// When the power goes, batches that were written beside each other may be lost one
// by one: what follows a bad one is damage only if it was written after that was
// settled.
func TestLogAcceptsBatchesWrittenSideBySide(t *testing.T) {
	data, ends := realLog(t, 4)
	for _, test := range []struct {
		name    string
		mark    byte // of the third and the fourth batch
		damaged bool
	}{
		{"an earlier version wrote no marks", 0, true},
		{"one after the other", 1, true},
		{"the second was not settled for the third", 2, true}, // but for the fourth
		{"the second was not settled for either", 3, false},
	} {
		full := whole(data)
		remark(full, ends[1], ends[3], test.mark)
		clear(full[ends[0]:ends[1]])
		if err := inspectLog(full, nil); (err != nil) != test.damaged {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// remark sets the mark of all records in a part of a log.
func remark(data []byte, from, to int, mark byte) {
	log := batchLog{data: data}
	for pos := from; pos < to; {
		r, ok := log.record(pos)
		if !ok {
			panic("no record")
		}
		if r.flags&logInBatch != 0 {
			data[pos+1] = mark
			sum := data[pos+r.size-crc32.Size : pos+r.size]
			binary.BigEndian.PutUint32(sum, crc32.Checksum(data[pos:pos+r.size-crc32.Size], y.CastagnoliCrcTable))
		}
		pos += r.size
	}
}
