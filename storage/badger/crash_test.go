package badger_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"trunkline/storage"
	"trunkline/storage/badger"
)

// A process that applies batches from several goroutines is killed again and
// again. Whatever it had been told is done is there, whole and in order; of each
// writer at most the one batch that was under way may be there too.
func TestKilledWhileApplying(t *testing.T) {
	const rounds = 10
	random := rand.New(rand.NewPCG(20, 26))
	dir := t.TempDir()
	acknowledged := make([]int, crashWriters)
	note := func(line string) {
		var writer, n int
		if _, err := fmt.Sscan(line, &writer, &n); err == nil {
			acknowledged[writer] = n
		}
	}
	for round := range rounds {
		process := startChild(t, roleWrite, dir)
		for lines := random.IntN(250); lines >= 0 && process.lines.Scan(); lines-- {
			note(process.lines.Text())
		}
		process.kill(t, note)
		if round%3 == 2 {
			continue // this round's log is left to the next process
		}
		store := open(t, badger.Options{Dir: dir})
		for writer := range crashWriters {
			requireWholeWriter(t, store, writer, acknowledged[writer])
		}
		closeStore(t, store)
		if t.Failed() {
			t.Fatalf("after round %d", round)
		}
	}
}

func requireWholeWriter(t *testing.T, r storage.Reader, writer, acknowledged int) {
	t.Helper()
	last := lastBatch(r, writer)
	if last < acknowledged || last > acknowledged+1 {
		t.Errorf("writer %d is at batch %d and %d were acknowledged", writer, last, acknowledged)
	}
	if last == 0 {
		return
	}
	for i := range crashCounters {
		value, err := r.Get(counterKey(writer, i), nil)
		if err != nil || string(value) != fmt.Sprint(last) {
			t.Errorf("writer %d: counter %d is %q, %v, and the first is %d: half a batch", writer, i, value, err, last)
		}
	}
	n := 0
	err := r.Scan(fmt.Appendf(nil, "%d/row/", writer), nil, func(key, value []byte) bool {
		n++
		if !bytes.Equal(key, rowKey(writer, n)) || !bytes.Equal(value, rowValue(writer, n)) {
			t.Errorf("writer %d: row %d is %s with %d bytes", writer, n, key, len(value))
			return false
		}
		return true
	})
	if err != nil || n != last {
		t.Errorf("writer %d has %d rows, %v, and its last batch is %d", writer, n, err, last)
	}
}
