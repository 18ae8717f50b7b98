package badger

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4/y"

	"trunkline/storage"
)

// What matters here of the engine's logs: a header of fixed size, then records.
// A record is a byte of flags, a byte for the user, the lengths of key and value
// and the expiry as varints, key, value, and the CRC-32C of all that. Zeros
// follow the last one.
const (
	logSuffix      = ".mem"
	logHeaderBytes = 20
	logMaxField    = storage.MaxBatchBytes // no key or value is longer
)

// logEndOfBatch is how the record that ends a batch begins: its flag, and the
// length of its key, which is a fixed word and a timestamp.
var logEndOfBatch = []byte{1 << 7, 0, byte(len("!badger!txn") + 8)}

// inspectLogs checks the logs of what had not been written to tables when the
// store was last open.
func inspectLogs(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return translate(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), logSuffix) {
			continue
		}
		path := filepath.Join(dir, file.Name())
		if err := mapped(path, inspectLog); err != nil {
			return damaged(path, "log", err)
		}
	}
	return nil
}

// inspectLog tells a log that a crash cut off from one that was damaged. Batches
// are written one after the other, each synced before the next begins, so a
// crash can leave a mess of one batch at most. Ends of two batches behind a bad
// record mean that at least the first of them had been acknowledged.
func inspectLog(data []byte) error {
	pos := min(logHeaderBytes, len(data))
	for size := 1; size > 0; pos += size {
		size = logRecord(data[pos:])
	}
	ends := 0
	for rest := data[pos:]; ends < 2; {
		at := bytes.Index(rest, logEndOfBatch)
		if at < 0 {
			return nil
		}
		size := logRecord(rest[at:])
		if size > 0 {
			ends++
		}
		rest = rest[at+max(size, 1):]
	}
	return fmt.Errorf("the record at byte %d is bad and acknowledged batches follow it", pos)
}

// logRecord returns the size of the record at the start of data, or 0 if there is
// none.
func logRecord(data []byte) (size int) {
	if len(data) < 2 {
		return 0
	}
	var fields [3]uint64 // length of the key, length of the value, expiry
	pos := 2
	for i := range fields {
		value, n := binary.Uvarint(data[pos:])
		if n <= 0 {
			return 0
		}
		fields[i] = value
		pos += n
	}
	keyBytes, valueBytes := fields[0], fields[1]
	if keyBytes == 0 || keyBytes > logMaxField || valueBytes > logMaxField {
		return 0
	}
	end := pos + int(keyBytes) + int(valueBytes)
	if end+crc32.Size > len(data) ||
		crc32.Checksum(data[:end], y.CastagnoliCrcTable) != binary.BigEndian.Uint32(data[end:]) {
		return 0
	}
	return end + crc32.Size
}
