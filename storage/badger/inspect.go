package badger

import (
	"cmp"
	"crypto/aes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	engine "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/proto"

	"trunkline/storage"
)

// inspect looks at the files of an existing store before the engine may touch
// them. The engine is not made for damaged files. It leaves out a table whose
// checksum is wrong and goes on; deletes the tables that a damaged manifest does
// not name; cuts a log off at the first bad record, acknowledged batches behind
// it included; ends a compaction of a table early at a bad block, which loses the
// rest of the table; and ends the process on an index that it can't read. So all
// of that is found here, read-only, and refused as [storage.ErrCorrupt].
//
// Blocks of tables are read up to verifyBytes in all.
func inspect(tune engine.Options, verifyBytes uint64) error {
	registry, err := openRegistry(tune.Dir, tune.EncryptionKey)
	if err != nil {
		return err
	}
	manifest, err := readManifest(tune)
	if err != nil {
		return err
	}
	for _, id := range newestFirst(manifest) {
		size, err := inspectTable(tune, registry, id, manifest.Tables[id], verifyBytes > 0)
		if err != nil {
			return err
		}
		verifyBytes -= min(verifyBytes, size)
	}
	return inspectLogs(tune.Dir, registry)
}

// newestFirst returns the manifest's tables, those written last first.
func newestFirst(manifest engine.Manifest) []uint64 {
	ids := make([]uint64, 0, len(manifest.Tables))
	for id := range manifest.Tables {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b uint64) int { return cmp.Compare(b, a) })
	return ids
}

// openRegistry reads the keys that the data is encrypted with. The engine would
// create a missing registry, under which nothing encrypted could be read again.
func openRegistry(dir string, key []byte) (*engine.KeyRegistry, error) {
	path := filepath.Join(dir, engine.KeyRegistryFileName)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, missing(path, err)
	}
	if err := inspectRegistry(data); err != nil {
		return nil, damaged(path, "key registry", err)
	}
	registry, err := engine.OpenKeyRegistry(engine.KeyRegistryOptions{Dir: dir, EncryptionKey: key, ReadOnly: true})
	switch {
	case errors.Is(err, engine.ErrEncryptionKeyMismatch) && len(key) == 0:
		return nil, fmt.Errorf("it is encrypted and no key was given, or %s is damaged: %w", path, storage.ErrKey)
	case errors.Is(err, engine.ErrEncryptionKeyMismatch):
		return nil, fmt.Errorf("the key does not open it; it may have been created without one, or %s is damaged: %w", path, storage.ErrKey)
	case err != nil:
		return nil, damaged(path, "key registry", err)
	}
	return registry, nil
}

// The key registry begins with an initial vector and a word by which the engine
// recognises the key; then come records, each a length, a checksum and a data key.
const (
	registryHeaderBytes = aes.BlockSize + len("Hello Badger")
	registryRecordBytes = 4 + 4
)

// inspectRegistry checks the records, whose lengths the engine believes up to
// 4 GiB.
func inspectRegistry(data []byte) error {
	if len(data) < registryHeaderBytes {
		return errors.New("shorter than its header")
	}
	for rest := data[registryHeaderBytes:]; len(rest) > 0; {
		at := len(data) - len(rest)
		if len(rest) < registryRecordBytes {
			return fmt.Errorf("record at byte %d is cut off", at)
		}
		length, sum, body := binary.BigEndian.Uint32(rest), binary.BigEndian.Uint32(rest[4:]), rest[registryRecordBytes:]
		if length == 0 || uint64(length) > uint64(len(body)) || crc32.Checksum(body[:length], y.CastagnoliCrcTable) != sum {
			return fmt.Errorf("record at byte %d has a wrong length or checksum", at)
		}
		rest = body[length:]
	}
	return nil
}

// readManifest returns what the manifest says about tables. A last record that
// was cut off is what a crash leaves behind and says nothing; a record of wrong
// length in the middle is damage.
func readManifest(tune engine.Options) (engine.Manifest, error) {
	path := filepath.Join(tune.Dir, engine.ManifestFilename)
	file, err := os.Open(path)
	if err != nil {
		return engine.Manifest{}, missing(path, err)
	}
	defer file.Close()
	manifest, end, err := engine.ReplayManifestFile(file, tune.ExternalMagicVersion, tune)
	if err != nil {
		return engine.Manifest{}, damaged(path, "list of tables", err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return engine.Manifest{}, translate(err)
	}
	if hidesRecords(data[min(int(end), len(data)):]) {
		return engine.Manifest{}, damaged(path, "list of tables", fmt.Errorf("record at byte %d has a wrong length", end))
	}
	return manifest, nil
}

// manifestRecordBytes come before each change: its length and its checksum.
const manifestRecordBytes = 4 + 4

// hidesRecords reports whether data, which begins like a manifest record that was
// cut off, is one with a wrong length: then its checksum fits all that is left,
// or other records follow.
func hidesRecords(data []byte) bool {
	for first := true; len(data) > manifestRecordBytes; first, data = false, data[1:] {
		length, sum, body := binary.BigEndian.Uint32(data), binary.BigEndian.Uint32(data[4:]), data[manifestRecordBytes:]
		if first && crc32.Checksum(body, y.CastagnoliCrcTable) == sum {
			return true
		}
		if length > 0 && uint64(length) <= uint64(len(body)) &&
			crc32.Checksum(body[:length], y.CastagnoliCrcTable) == sum {
			return true
		}
	}
	return false
}

// inspectTable reads the index of a table and its last block, which the engine
// reads when it opens the table, and all other blocks if asked to. It returns the
// size of the table.
func inspectTable(tune engine.Options, registry *engine.KeyRegistry, id uint64, entry engine.TableManifest, blocks bool) (size uint64, err error) {
	path := table.NewFilename(id, tune.Dir)
	key, err := registry.DataKey(entry.KeyID)
	if err != nil {
		return 0, damaged(path, "table", err)
	}
	err = mapped(path, func(data []byte) error {
		size = uint64(len(data))
		index, err := inspectIndex(data)
		if err != nil {
			return err
		}
		return inspectBlocks(data, index, entry.Compression, key, blocks)
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, missing(path, err)
	case err != nil:
		return 0, damaged(path, "table", err)
	}
	return size, nil
}

// inspectIndex checks the end of a table, which the engine reads without looking
// left or right: index, its length, its checksum, and the length of that. It
// returns the index, which may be encrypted.
func inspectIndex(data []byte) (index []byte, err error) {
	sum, rest, ok := cutTail(data)
	if !ok {
		return nil, errors.New("bad footer")
	}
	if index, _, ok = cutTail(rest); !ok || len(index) == 0 {
		return nil, errors.New("bad length of the index")
	}
	if !matches(index, sum) {
		return nil, errors.New("wrong checksum of the index")
	}
	return index, nil
}

// maxBlockBytes bounds a block: the engine begins a new one behind the entry with
// which it reaches 4 KiB, and an entry is a key and a value.
const maxBlockBytes = 2 * storage.MaxValueBytes

// inspectBlocks checks every block of a table whose index is good, or the last.
func inspectBlocks(data, index []byte, compression options.CompressionType, key *pb.DataKey, all bool) error {
	var err error
	if index, err = decrypted(nil, index, key); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	toc := fb.GetRootAsTableIndex(index, 0)
	var clear, plain []byte // reused from block to block
	for i := range toc.OffsetsLength() {
		if !all && i < toc.OffsetsLength()-1 {
			continue
		}
		var at fb.BlockOffset
		toc.Offsets(&at, i)
		from, to := uint64(at.Offset()), uint64(at.Offset())+uint64(at.Len())
		if to > uint64(len(data)) {
			return fmt.Errorf("block %d ends behind the file", i)
		}
		block := data[from:to]
		if key != nil {
			if clear, err = decrypted(clear, block, key); err != nil {
				return fmt.Errorf("block %d at byte %d: %w", i, from, err)
			}
			block = clear
		}
		if compression == options.Snappy {
			if n, err := snappy.DecodedLen(block); err != nil || n > maxBlockBytes {
				return fmt.Errorf("block %d at byte %d: bad length", i, from)
			}
			if plain, err = snappy.Decode(plain[:cap(plain)], block); err != nil {
				return fmt.Errorf("block %d at byte %d: %w", i, from, err)
			}
			block = plain
		}
		sum, body, ok := cutTail(block)
		if !ok || !matches(body, sum) {
			return fmt.Errorf("block %d at byte %d: wrong checksum", i, from)
		}
	}
	return nil
}

// decrypted returns data in clear, in buf if that is large enough. The last 16
// bytes of data are the initial vector. Without a key it returns data.
func decrypted(buf, data []byte, key *pb.DataKey) ([]byte, error) {
	if key == nil {
		return data, nil
	}
	if len(data) < aes.BlockSize {
		return nil, errors.New("too short to be encrypted")
	}
	end := len(data) - aes.BlockSize
	buf = slices.Grow(buf[:0], end)[:end]
	return buf, y.XORBlock(buf, data[:end], key.Data, data[end:])
}

// matches reports whether sum, an encoded checksum, is that of data.
func matches(data, sum []byte) bool {
	var want pb.Checksum
	return proto.Unmarshal(sum, &want) == nil && want.Algo == pb.Checksum_CRC32C &&
		want.Sum == uint64(crc32.Checksum(data, y.CastagnoliCrcTable))
}

// cutTail cuts a field off the end of data, where its length stands behind it.
func cutTail(data []byte) (field, rest []byte, ok bool) {
	if len(data) < 4 {
		return nil, nil, false
	}
	end := len(data) - 4
	length := uint64(binary.BigEndian.Uint32(data[end:]))
	if length > uint64(end) {
		return nil, nil, false
	}
	return data[end-int(length) : end], data[:end-int(length)], true
}
