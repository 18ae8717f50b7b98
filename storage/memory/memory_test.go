package memory_test

import (
	"errors"
	"testing"
	"time"

	"trunkline/storage"
	"trunkline/storage/conformance"
	"trunkline/storage/memory"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Suite{
		Open: func(testing.TB) storage.Store { return memory.New() },
		Reopen: func(_ testing.TB, store storage.Store) storage.Store {
			return store.(*memory.Store).Clone()
		},
	})
}

func put(key, value string) *storage.Batch {
	b := new(storage.Batch)
	b.Put([]byte(key), []byte(value))
	return b
}

func TestFailNextIsFinal(t *testing.T) {
	store, broken := memory.New(), errors.New("injected")
	if err := store.Apply(put("a", "1")); err != nil {
		t.Fatal(err)
	}
	store.FailNext(broken)
	for range 2 {
		err := store.Apply(put("a", "2"))
		if !errors.Is(err, broken) || !errors.Is(err, storage.ErrFailed) {
			t.Errorf("Apply() = %v, want the injected failure", err)
		}
	}
	if err := store.Health(); !errors.Is(err, broken) {
		t.Errorf("Health() = %v", err)
	}
	if value, err := store.Get([]byte("a"), nil); err != nil || string(value) != "1" {
		t.Errorf("Get() = %q, %v; a failed batch must not be visible", value, err)
	}
	again := store.Clone()
	if err := again.Apply(put("a", "3")); err != nil {
		t.Errorf("Apply() after the restart = %v", err)
	}
	if again.Applied() != 2 || store.Applied() != 1 {
		t.Errorf("applied %d and %d, want 2 and 1", again.Applied(), store.Applied())
	}
}

func TestFailWithSeesBatchAndNumber(t *testing.T) {
	store := memory.New()
	store.FailWith(func(n uint64, b *storage.Batch) error {
		if n == 2 && b.Len() == 1 {
			return errors.New("third batch")
		}
		return nil
	})
	for i := range 4 {
		if err := store.Apply(put("a", "1")); (err != nil) != (i >= 2) {
			t.Errorf("batch %d: %v", i, err)
		}
	}
}

func TestFullIsNotFinal(t *testing.T) {
	store := memory.New()
	store.SetFull(true)
	if err := store.Apply(put("a", "1")); !errors.Is(err, storage.ErrFull) || !errors.Is(store.Health(), storage.ErrFull) {
		t.Errorf("Apply() = %v, Health() = %v, want ErrFull", err, store.Health())
	}
	store.SetFull(false)
	if err := store.Apply(put("a", "1")); err != nil || store.Health() != nil {
		t.Errorf("Apply() = %v, Health() = %v with room again", err, store.Health())
	}
}

func TestCloneSharesNothing(t *testing.T) {
	store := memory.New()
	if err := store.Apply(put("a", "1")); err != nil {
		t.Fatal(err)
	}
	clone := store.Clone()
	if err := errors.Join(store.Apply(put("a", "2")), clone.Apply(put("b", "1")), store.Close()); err != nil {
		t.Fatal(err)
	}
	if value, err := clone.Get([]byte("a"), nil); err != nil || string(value) != "1" {
		t.Errorf("the clone sees %q, %v", value, err)
	}
	if store.Len() != 1 || clone.Len() != 2 {
		t.Errorf("lengths %d and %d, want 1 and 2", store.Len(), clone.Len())
	}
}

func TestExpireDropsWhatIsDue(t *testing.T) {
	store := memory.New()
	var b storage.Batch
	now := time.Unix(1_800_000_000, 0)
	b.PutUntil([]byte("due"), nil, now)
	b.PutUntil([]byte("later"), nil, now.Add(time.Second))
	b.Put([]byte("stays"), nil)
	if err := store.Apply(&b); err != nil {
		t.Fatal(err)
	}
	if n := store.Expire(now); n != 1 || store.Len() != 2 {
		t.Errorf("expired %d and left %d entries, want 1 and 2", n, store.Len())
	}
}
