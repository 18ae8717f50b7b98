package badger

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	engine "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/y"

	"trunkline/storage"
)

// What matters here of the engine's logs: a header with the number of the key
// that they are encrypted with and the start of the initial vectors, then
// records. A record is a byte of flags, a byte for the user, the lengths of key
// and value and the expiry as varints, key, value, and the CRC-32C of all that;
// key and value may be encrypted. A batch is records that carry its timestamp
// behind their keys, and one record that ends it. A log is created with its full
// size; zeros follow the last record.
const (
	logSuffix      = ".mem"
	valueLogSuffix = ".vlog"
	logHeaderBytes = 20
	logKeyBytes    = 8 // of the header; the rest is for the initial vector
	logMaxField    = storage.MaxBatchBytes
	timestampBytes = 8

	// logRoom is how many zeros follow whatever is in a log that is as long as it
	// was created: it gets twice the size of a memtable and is used to little more
	// than one. No part of a record has as many zeros in a row, so a log with fewer
	// has been cut: by the engine, which cuts it exactly behind a batch while it
	// opens, or by damage.
	logRoom = storage.MaxValueBytes + storage.MaxKeyBytes

	logInBatch    = 1 << 6 // flag of the records of a batch but the last
	logEndOfBatch = 1 << 7 // flag of the last one
)

// logEndKey is the key of the record that ends a batch, without its timestamp.
const logEndKey = "!badger!txn"

// logEndMark is how that record begins: flags, the user's byte, length of the key.
var logEndMark = []byte{logEndOfBatch, 0, byte(len(logEndKey) + timestampBytes)}

// inspectLogs checks the logs of what had not been written to tables when the
// store was last open.
func inspectLogs(dir string, registry *engine.KeyRegistry) error {
	for _, kind := range []struct {
		suffix  string
		inspect func(data []byte, key *pb.DataKey) error
	}{{logSuffix, inspectLog}, {valueLogSuffix, inspectValueLog}} {
		paths, err := withSuffix(dir, kind.suffix)
		if err != nil {
			return err
		}
		for _, path := range paths {
			err := mapped(path, func(data []byte) error {
				key, err := logKey(data, registry)
				if err != nil {
					return err
				}
				return kind.inspect(data, key)
			})
			if err != nil {
				return damaged(path, "log", err)
			}
		}
	}
	return nil
}

func withSuffix(dir, suffix string) ([]string, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, translate(err)
	}
	var paths []string
	for _, file := range files {
		if strings.HasSuffix(file.Name(), suffix) {
			paths = append(paths, filepath.Join(dir, file.Name()))
		}
	}
	return paths, nil
}

// removeEmptyLogs removes logs of no bytes. They are what is left when a crash
// comes between the creation of a log and its first use, or in the middle of its
// removal; the engine refuses to open a store that has one.
func removeEmptyLogs(dir string) error {
	for _, suffix := range []string{logSuffix, valueLogSuffix} {
		paths, err := withSuffix(dir, suffix)
		if err != nil {
			return err
		}
		for _, path := range paths {
			if info, err := os.Stat(path); err != nil || info.Size() > 0 {
				continue
			}
			if err := os.Remove(path); err != nil {
				return translate(err)
			}
		}
	}
	return nil
}

// logKey returns the key of a log, nil if it is not encrypted.
func logKey(data []byte, registry *engine.KeyRegistry) (*pb.DataKey, error) {
	if len(data) < logHeaderBytes {
		return nil, nil
	}
	return registry.DataKey(binary.BigEndian.Uint64(data))
}

// inspectValueLog: no value is ever written to a value log.
func inspectValueLog(data []byte, _ *pb.DataKey) error {
	if len(data) > 0 && len(data) < logHeaderBytes {
		return errors.New("shorter than its header")
	}
	return nil
}

// inspectLog tells a log that a crash cut off from one that was damaged. A crash
// leaves a mess of batches that were not synced, and nothing acknowledged lies
// behind the first of them. Each batch says which ones were settled when it was
// written (see writer.mark): when one that did is there and an earlier one that it
// names is bad, then that one had been acknowledged, and the engine would drop both.
// That a batch is bad which nobody names proves nothing.
func inspectLog(data []byte, key *pb.DataKey) error {
	if len(data) == 0 {
		return nil
	}
	if len(data) < logHeaderBytes {
		return errors.New("shorter than its header")
	}
	log := batchLog{data: data, key: key}
	start, torn := log.replay()
	if start != len(data) && !hasRoom(data[start:]) {
		return fmt.Errorf("it is cut off in the batch at byte %d", start)
	}
	for from, pos := start, start; ; {
		at := bytes.Index(data[pos:], logEndMark)
		if at < 0 {
			return nil
		}
		pos += at
		r, ok := log.record(pos)
		if !ok {
			pos++
			continue
		}
		ts, ok := log.end(pos, r)
		if !ok {
			return fmt.Errorf("the record at byte %d can't be decrypted with the key that the header names", pos)
		}
		if torn == 0 { // the first batch of the log: it is this one, or one before it
			torn = ts
		}
		if settled, known := log.settled(from, pos, ts); known && settled >= torn {
			return fmt.Errorf("the batch at byte %d is bad and batches that were written after it follow", start)
		}
		pos += r.size
		from = pos
	}
}

// settled returns up to which timestamp all was settled when the batch of ts was
// written. Its records lie somewhere from there on until its end.
func (l batchLog) settled(from, end int, ts uint64) (settled uint64, known bool) {
	unsettled := byte(0)
	for pos := from; pos < end; {
		r, ok := l.record(pos)
		if !ok || r.flags&logInBatch == 0 || pos+r.size > end || l.timestamp(pos, r) != ts {
			pos++
			continue
		}
		known = true
		unsettled = max(unsettled, r.mark)
		pos += r.size
	}
	// An earlier version wrote no marks, and synced each batch before the next.
	return ts - uint64(max(unsettled, 1)), known
}

// hasRoom reports whether a log that ends with tail is as long as it was created.
func hasRoom(tail []byte) bool {
	return len(tail) >= logRoom && len(bytes.TrimRight(tail[len(tail)-logRoom:], "\x00")) == 0
}

// batchLog reads a log as the engine does when it opens a store.
type batchLog struct {
	data []byte
	key  *pb.DataKey
}

// replay returns the position behind the last batch that the engine would take
// over, and the timestamp of the batch that begins there, 0 if unknown.
func (l batchLog) replay() (end int, next uint64) {
	end = logHeaderBytes
	var current, last uint64 // timestamps; 0 for none
	for pos := end; ; {
		r, ok := l.record(pos)
		if !ok {
			break
		}
		if r.flags&logInBatch != 0 {
			ts := l.timestamp(pos, r)
			if current != 0 && ts != current {
				break
			}
			current = ts
		} else {
			ts, ok := l.end(pos, r)
			if !ok || ts != current {
				break
			}
			end, last, current = pos+r.size, ts, 0
		}
		pos += r.size
	}
	if last != 0 {
		return end, last + 1 // timestamps follow each other; see Store.Apply
	}
	return end, current
}

// logRecord is what surrounds a key and a value.
type logRecord struct {
	flags      byte
	mark       byte // that is the user's
	key, value int  // lengths
	body       int  // where the key begins, from the start of the record
	size       int
}

// record returns the record at pos, if there is one and its checksum is right.
func (l batchLog) record(pos int) (r logRecord, ok bool) {
	data := l.data[pos:]
	if len(data) < 2 {
		return r, false
	}
	var fields [3]uint64 // length of the key, length of the value, expiry
	body := 2
	for i := range fields {
		value, n := binary.Uvarint(data[body:])
		if n <= 0 {
			return r, false
		}
		fields[i] = value
		body += n
	}
	if fields[0] < timestampBytes || fields[0] > logMaxField || fields[1] > logMaxField {
		return r, false
	}
	r = logRecord{flags: data[0], mark: data[1], key: int(fields[0]), value: int(fields[1]), body: body}
	end := r.body + r.key + r.value
	r.size = end + crc32.Size
	return r, r.size <= len(data) &&
		crc32.Checksum(data[:end], y.CastagnoliCrcTable) == binary.BigEndian.Uint32(data[end:])
}

// timestamp returns that behind the key of a record. It is stored inverted.
func (l batchLog) timestamp(pos int, r logRecord) uint64 {
	key := l.clear(pos, r)[:r.key]
	return ^binary.BigEndian.Uint64(key[len(key)-timestampBytes:])
}

// end returns the timestamp of the batch that the record ends, if it does.
func (l batchLog) end(pos int, r logRecord) (ts uint64, ok bool) {
	if r.flags&logEndOfBatch == 0 || r.key != len(logEndKey)+timestampBytes {
		return 0, false
	}
	text := l.clear(pos, r)
	if !bytes.HasPrefix(text, []byte(logEndKey)) {
		return 0, false
	}
	ts, err := strconv.ParseUint(string(text[r.key:]), 10, 64)
	return ts, err == nil
}

// clear returns key and value of the record at pos.
func (l batchLog) clear(pos int, r logRecord) []byte {
	body := l.data[pos+r.body:][:r.key+r.value]
	if l.key == nil {
		return body
	}
	var iv [aes.BlockSize]byte
	n := copy(iv[:], l.data[logKeyBytes:logHeaderBytes])
	binary.BigEndian.PutUint32(iv[n:], uint32(pos))
	clear := make([]byte, len(body))
	if err := y.XORBlock(clear, body, l.key.Data, iv[:]); err != nil {
		return body // a key of impossible length: nothing will look right
	}
	return clear
}
