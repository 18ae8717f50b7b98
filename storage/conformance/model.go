package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"trunkline/storage"
)

// testModel compares a store with a map through random operations.
func testModel(t *testing.T, suite Suite) {
	store := suite.Open(t)
	defer func() { _ = store.Close() }()
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		// Every round has a prefix of its own: opening a store is slow.
		round++
		m := &machine{suite: suite, t: t, store: store, prefix: fmt.Sprintf("%06d", round), model: map[string]string{}}
		defer func() {
			store = m.store
			for _, view := range m.views {
				_ = view.snapshot.Close()
			}
		}()
		rt.Repeat(rapid.StateMachineActions(m))
	})
}

type machine struct {
	suite  Suite
	t      *testing.T
	store  storage.Store
	prefix string
	model  map[string]string
	views  []view
	batch  storage.Batch
	dst    []byte
}

type view struct {
	snapshot storage.Snapshot
	model    map[string]string
}

// key draws from few enough keys that operations meet.
func (m *machine) key(t *rapid.T) string {
	return m.prefix + rapid.StringOfN(rapid.RuneFrom([]rune{0, 'a', 'b'}), 0, 3, -1).Draw(t, "key")
}

func (m *machine) Apply(t *rapid.T) {
	m.batch.Reset()
	for range rapid.IntRange(0, 8).Draw(t, "operations") {
		key := m.key(t)
		if rapid.Bool().Draw(t, "delete") {
			m.batch.Delete([]byte(key))
			delete(m.model, key)
			continue
		}
		value := rapid.StringN(0, 20, -1).Draw(t, "value")
		m.batch.Put([]byte(key), []byte(value))
		m.model[key] = value
	}
	if err := m.store.Apply(&m.batch); err != nil {
		t.Fatalf("Apply() = %v", err)
	}
}

func (m *machine) Get(t *rapid.T) { m.get(t, m.store, m.model) }

func (m *machine) Scan(t *rapid.T) { m.scan(t, m.store, m.model) }

func (m *machine) Snapshot(t *rapid.T) {
	if len(m.views) == 4 {
		t.Skip("enough snapshots")
	}
	snapshot, err := m.store.Snapshot()
	if err != nil {
		t.Fatalf("Snapshot() = %v", err)
	}
	m.views = append(m.views, view{snapshot, maps.Clone(m.model)})
}

func (m *machine) ReadSnapshot(t *rapid.T) {
	if len(m.views) == 0 {
		t.Skip("no snapshot")
	}
	view := m.views[rapid.IntRange(0, len(m.views)-1).Draw(t, "snapshot")]
	m.get(t, view.snapshot, view.model)
	m.scan(t, view.snapshot, view.model)
}

func (m *machine) CloseSnapshot(t *rapid.T) {
	if len(m.views) == 0 {
		t.Skip("no snapshot")
	}
	i := rapid.IntRange(0, len(m.views)-1).Draw(t, "snapshot")
	if err := m.views[i].snapshot.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}
	m.views = slices.Delete(m.views, i, i+1)
}

// Check runs after every operation.
func (m *machine) Check(t *rapid.T) {
	if err := m.store.Health(); err != nil {
		t.Fatalf("Health() = %v", err)
	}
}

func (m *machine) get(t *rapid.T, r storage.Reader, model map[string]string) {
	key := m.key(t)
	got, err := r.Get([]byte(key), m.dst)
	want, ok := model[key]
	if !ok {
		if !errors.Is(err, storage.ErrNotFound) {
			t.Fatalf("Get(%q) = %q, %v, want ErrNotFound", key, got, err)
		}
		return
	}
	if err != nil || string(got) != want {
		t.Fatalf("Get(%q) = %q, %v, want %q", key, got, err, want)
	}
	m.dst = got
}

func (m *machine) scan(t *rapid.T, r storage.Reader, model map[string]string) {
	prefix, from := m.key(t), m.key(t)
	limit := rapid.IntRange(1, 10).Draw(t, "limit")
	var want []string
	for _, key := range slices.Sorted(maps.Keys(model)) {
		if strings.HasPrefix(key, prefix) && key >= from && len(want) < limit {
			want = append(want, key+"="+model[key])
		}
	}
	var got []string
	var last []byte
	err := r.Scan([]byte(prefix), []byte(from), func(key, value []byte) bool {
		if last != nil && bytes.Compare(last, key) >= 0 {
			t.Fatalf("Scan(%q, %q) visited %q after %q", prefix, from, key, last)
		}
		last = bytes.Clone(key)
		got = append(got, string(key)+"="+string(value))
		return len(got) < limit
	})
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("Scan(%q, %q) visited %q, %v, want %q", prefix, from, got, err, want)
	}
}
