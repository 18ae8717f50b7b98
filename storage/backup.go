package storage

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// A backup is a stream of blocks. It is independent of the engine that it was
// taken from and of the one that it is restored to.
//
//	backup  = header block... end
//	header  = magic (8 bytes), version (4), CRC-32C of these (4)
//	block   = 'B', number (4), length (4), that many bytes of payload, CRC-32C (4)
//	end     = 'E', number (4), length (4), payload of 24 bytes, CRC-32C (4)
//
// Numbers are big-endian; blocks are numbered from 0, the end with them, and the
// CRC is that of everything before it in the block. A block's payload is the
// encoding of a Batch of puts, compressed with Zstandard; keys ascend over the
// whole stream. The end's payload is a Summary, so a stream that was cut off has
// none, and nothing follows it.
const (
	backupMagic   = "TRUNKBKP"
	backupVersion = 1

	backupHeaderBytes = len(backupMagic) + 4 + crc32.Size
	blockHeaderBytes  = 1 + 4 + 4
	summaryBytes      = 3 * 8

	blockData = 'B'
	blockEnd  = 'E'

	// blockTarget is the size at which a block is full, before compression.
	blockTarget = 1 << 20
	// blockLimit is the longest payload that a reader accepts.
	blockLimit = MaxBatchBytes + MaxBatchBytes/8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Summary is what a backup holds, or what of it has been done so far.
type Summary struct {
	Entries uint64
	Bytes   uint64 // of keys and values
	Stream  uint64 // bytes of the stream, without its end
}

// Backup writes every entry of the store to w, as of the moment of the call,
// while the store goes on working. Progress, if not nil, is called after every
// block. On an error what was written to w is no backup, and can't be mistaken
// for one.
func Backup(ctx context.Context, store Store, w io.Writer, progress func(Summary)) (Summary, error) {
	view, err := store.Snapshot()
	if err != nil {
		return Summary{}, fmt.Errorf("backup: %w", err)
	}
	defer view.Close()
	out, err := newBackupWriter(w, progress)
	if err != nil {
		return Summary{}, fmt.Errorf("backup: %w", err)
	}
	var failed error
	err = view.Entries(nil, nil, func(op Op) bool {
		if failed = ctx.Err(); failed == nil {
			failed = out.add(op)
		}
		return failed == nil
	})
	if err = errors.Join(err, failed); err == nil {
		err = out.end()
	}
	if err != nil {
		return out.done, fmt.Errorf("backup, after %d entries: %w", out.done.Entries, err)
	}
	return out.done, nil
}

// VerifyBackup reads a backup from beginning to end. It returns [ErrFormat] if r
// is no backup or one of a newer version, and [ErrCorrupt] if it is damaged or
// cut off.
func VerifyBackup(ctx context.Context, r io.Reader, progress func(Summary)) (Summary, error) {
	done, err := readBackup(ctx, r, progress, func(*Batch) error { return nil })
	if err != nil {
		return done, fmt.Errorf("verifying a backup: %w", err)
	}
	return done, nil
}

// Restore fills an empty store from a backup. It verifies the whole backup
// before it writes anything, and returns what VerifyBackup returns, or
// [ErrNotEmpty]. If it fails later the store holds a part of the backup and must
// be thrown away. Progress, if not nil, counts both passes from zero.
func Restore(ctx context.Context, r io.ReadSeeker, store Store, progress func(Summary)) (Summary, error) {
	if err := requireEmpty(store); err != nil {
		return Summary{}, fmt.Errorf("restore: %w", err)
	}
	start, err := r.Seek(0, io.SeekCurrent)
	if err != nil {
		return Summary{}, fmt.Errorf("restore: %w", err)
	}
	if done, err := readBackup(ctx, r, progress, func(*Batch) error { return nil }); err != nil {
		return done, fmt.Errorf("restore: nothing was written: %w", err)
	}
	if _, err := r.Seek(start, io.SeekStart); err != nil {
		return Summary{}, fmt.Errorf("restore: nothing was written: %w", err)
	}
	done, err := readBackup(ctx, r, progress, store.Apply)
	if err != nil {
		return done, fmt.Errorf("restore, after %d entries: the store is incomplete and must be thrown away: %w", done.Entries, err)
	}
	return done, nil
}

func requireEmpty(store Store) error {
	empty := true
	err := store.Scan(nil, nil, func([]byte, []byte) bool {
		empty = false
		return false
	})
	if err == nil && !empty {
		err = fmt.Errorf("the target holds data: restore into a new folder: %w", ErrNotEmpty)
	}
	return err
}

// backupWriter collects entries into blocks.
type backupWriter struct {
	w        io.Writer
	zip      *zstd.Encoder
	progress func(Summary)
	batch    Batch
	block    []byte
	number   uint32
	done     Summary
}

func newBackupWriter(w io.Writer, progress func(Summary)) (*backupWriter, error) {
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, err
	}
	out := &backupWriter{w: w, zip: zip, progress: progress}
	header := binary.BigEndian.AppendUint32([]byte(backupMagic), backupVersion)
	return out, out.write(appendSum(header))
}

func (out *backupWriter) add(op Op) error {
	out.batch.Add(op)
	if err := out.batch.Check(); err != nil {
		return err
	}
	out.done.Entries++
	out.done.Bytes += uint64(len(op.Key) + len(op.Value))
	if len(out.batch.Bytes()) < blockTarget && out.batch.Len() < MaxBatchOps {
		return nil
	}
	return out.flush()
}

func (out *backupWriter) flush() error {
	if out.batch.Len() == 0 {
		return nil
	}
	out.block = out.zip.EncodeAll(out.batch.Bytes(), append(out.block[:0], make([]byte, blockHeaderBytes)...))
	out.batch.Reset()
	if err := out.writeBlock(blockData); err != nil {
		return err
	}
	if out.progress != nil {
		out.progress(out.done)
	}
	return nil
}

func (out *backupWriter) end() error {
	if err := out.flush(); err != nil {
		return err
	}
	summary := out.done // writing the end must not count itself
	out.block = append(out.block[:0], make([]byte, blockHeaderBytes)...)
	for _, n := range []uint64{summary.Entries, summary.Bytes, summary.Stream} {
		out.block = binary.BigEndian.AppendUint64(out.block, n)
	}
	err := out.writeBlock(blockEnd)
	out.done = summary
	return err
}

// writeBlock fills in the header of out.block and writes it.
func (out *backupWriter) writeBlock(kind byte) error {
	out.block[0] = kind
	binary.BigEndian.PutUint32(out.block[1:], out.number)
	binary.BigEndian.PutUint32(out.block[5:], uint32(len(out.block)-blockHeaderBytes))
	out.block = appendSum(out.block)
	out.number++
	return out.write(out.block)
}

func (out *backupWriter) write(data []byte) error {
	n, err := out.w.Write(data)
	out.done.Stream += uint64(n)
	return err
}

func appendSum(data []byte) []byte {
	return binary.BigEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
}

// readBackup calls apply with each block, which must not keep the batch.
func readBackup(ctx context.Context, r io.Reader, progress func(Summary), apply func(*Batch) error) (Summary, error) {
	unzip, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(2*MaxBatchBytes))
	if err != nil {
		return Summary{}, err
	}
	defer unzip.Close()
	in := &backupReader{r: bufio.NewReaderSize(r, 256<<10), unzip: unzip}
	if err := in.header(); err != nil {
		return Summary{}, err
	}
	for {
		if err := ctx.Err(); err != nil {
			return in.done, err
		}
		batch, err := in.next()
		if err != nil {
			return in.done, fmt.Errorf("block %d at byte %d: %w", in.number, in.done.Stream, err)
		}
		if batch == nil {
			return in.done, nil
		}
		if err := apply(batch); err != nil {
			return in.done, err
		}
		if progress != nil {
			progress(in.done)
		}
	}
}

// backupReader takes a stream apart. It trusts nothing in it.
type backupReader struct {
	r      *bufio.Reader
	unzip  *zstd.Decoder
	block  []byte
	plain  []byte
	batch  Batch
	last   []byte // key of the last entry
	number uint32
	done   Summary
}

func (in *backupReader) header() error {
	header, err := in.read(in.block[:0], backupHeaderBytes)
	if err != nil && !errors.Is(err, ErrCorrupt) {
		return err
	}
	magic, sum := header[:min(len(header), len(backupMagic))], backupHeaderBytes-crc32.Size
	switch {
	case err != nil && !bytes.HasPrefix([]byte(backupMagic), magic), string(magic) != backupMagic && err == nil:
		return fmt.Errorf("it does not begin like a backup: %w", ErrFormat)
	case err != nil:
		return err
	case crc32.Checksum(header[:sum], castagnoli) != binary.BigEndian.Uint32(header[sum:]):
		return fmt.Errorf("wrong checksum of the header: %w", ErrCorrupt)
	}
	if version := binary.BigEndian.Uint32(header[len(backupMagic):]); version != backupVersion {
		return fmt.Errorf("it has version %d and this program reads version %d: use the version that wrote it: %w",
			version, backupVersion, ErrFormat)
	}
	in.done.Stream = uint64(backupHeaderBytes)
	return nil
}

// next returns the next block, or nil at the end of the backup.
func (in *backupReader) next() (*Batch, error) {
	block, err := in.read(in.block[:0], blockHeaderBytes)
	if err != nil {
		return nil, err
	}
	kind, number, length := block[0], binary.BigEndian.Uint32(block[1:]), binary.BigEndian.Uint32(block[5:])
	if (kind != blockData && kind != blockEnd) || number != in.number || length > blockLimit {
		return nil, fmt.Errorf("no block begins here: %w", ErrCorrupt)
	}
	if block, err = in.read(block, int(length)+crc32.Size); err != nil {
		return nil, err
	}
	in.block = block
	end := len(block) - crc32.Size
	if crc32.Checksum(block[:end], castagnoli) != binary.BigEndian.Uint32(block[end:]) {
		return nil, fmt.Errorf("wrong checksum: %w", ErrCorrupt)
	}
	if kind == blockEnd {
		return nil, in.finish(block[blockHeaderBytes:end])
	}
	if in.plain, err = in.unzip.DecodeAll(block[blockHeaderBytes:end], in.plain[:0]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err := in.batch.Load(in.plain); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err := in.account(); err != nil {
		return nil, err
	}
	in.number++
	in.done.Stream += uint64(len(block))
	return &in.batch, nil
}

// account counts the entries of a block and checks their order.
func (in *backupReader) account() error {
	if in.batch.Len() == 0 {
		return fmt.Errorf("block without entries: %w", ErrCorrupt)
	}
	for op := range in.batch.Ops() {
		if op.Kind == OpDelete || bytes.Compare(in.last, op.Key) >= 0 {
			return fmt.Errorf("entries out of order: %w", ErrCorrupt)
		}
		in.last = append(in.last[:0], op.Key...)
		in.done.Entries++
		in.done.Bytes += uint64(len(op.Key) + len(op.Value))
	}
	return nil
}

// finish compares what was read with what the end says was written.
func (in *backupReader) finish(payload []byte) error {
	if len(payload) != summaryBytes {
		return fmt.Errorf("bad end: %w", ErrCorrupt)
	}
	said := Summary{
		Entries: binary.BigEndian.Uint64(payload),
		Bytes:   binary.BigEndian.Uint64(payload[8:]),
		Stream:  binary.BigEndian.Uint64(payload[16:]),
	}
	if said != in.done {
		return fmt.Errorf("the end speaks of %d entries in %d bytes and there are %d in %d: %w",
			said.Entries, said.Stream, in.done.Entries, in.done.Stream, ErrCorrupt)
	}
	switch _, err := in.r.ReadByte(); {
	case err == nil:
		return fmt.Errorf("something follows the end: %w", ErrCorrupt)
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// read appends n bytes of the stream to dst. A stream that ends before them is
// damaged; what there is of them is returned all the same.
func (in *backupReader) read(dst []byte, n int) ([]byte, error) {
	start := len(dst)
	dst = slices.Grow(dst, n)[:start+n]
	read, err := io.ReadFull(in.r, dst[start:])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("it is cut off: %w", ErrCorrupt)
	}
	return dst[:start+read], err
}
