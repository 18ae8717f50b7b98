package memory

import (
	"bytes"
	"sync/atomic"

	"github.com/tidwall/btree"

	"trunkline/storage"
)

// snapshot is a copy-on-write copy of the tree, which nobody changes.
type snapshot struct {
	tree   *btree.BTreeG[entry]
	closed atomic.Bool
}

func (s *snapshot) Get(key, dst []byte) ([]byte, error) {
	if s.closed.Load() {
		return nil, storage.ErrClosed
	}
	return get(s.tree, key, dst)
}

func (s *snapshot) Scan(prefix, from []byte, fn func(key, value []byte) (more bool)) error {
	return s.walk(prefix, from, func(e entry) bool { return fn(e.key, e.value) })
}

func (s *snapshot) Entries(prefix, from []byte, fn func(op storage.Op) (more bool)) error {
	return s.walk(prefix, from, func(e entry) bool {
		op := storage.Op{Kind: storage.OpPut, Key: e.key, Value: e.value}
		if e.expires != 0 {
			op.Kind, op.Expires = storage.OpPutUntil, e.expires
		}
		return fn(op)
	})
}

func (s *snapshot) Close() error {
	if s.closed.Swap(true) {
		return storage.ErrClosed
	}
	return nil
}

func (s *snapshot) walk(prefix, from []byte, fn func(e entry) (more bool)) error {
	if s.closed.Load() {
		return storage.ErrClosed
	}
	start := prefix
	if bytes.Compare(from, prefix) > 0 {
		start = from
	}
	s.tree.Ascend(entry{key: start}, func(e entry) bool {
		return bytes.HasPrefix(e.key, prefix) && fn(e)
	})
	return nil
}
