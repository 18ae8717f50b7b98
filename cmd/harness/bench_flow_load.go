package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
	"trunkline/storage"
	"trunkline/storage/badger"
)

// loadWorkers is how many causes are under way at once when a load goes as fast
// as it can: enough for both executors' next batches.
const loadWorkers = 4096

// causeLoad brings causes to persons. Each cause is a step of its own, and counts
// when it is durable.
type causeLoad struct {
	rt     *runtime.Runtime
	people int
	next   atomic.Int64
	cause  func(n int64) (person int, c flowengine.Cause)
	noted  func(c flowengine.Cause)
}

// measured is what a load has seen.
type measured struct {
	n       int64
	rate    float64 // per second
	latency *histogram
}

// eventLoad lets persons order and then buy, block by block of persons.
type eventLoad struct {
	causeLoad
	ordered atomic.Int64
}

func newEventLoad(rt *runtime.Runtime, people int) *eventLoad {
	l := new(eventLoad)
	l.rt, l.people = rt, people
	block := int64(min(people, 2*loadWorkers))
	l.cause = func(n int64) (int, flowengine.Cause) {
		name := "Ordered"
		if n/block%2 == 1 {
			name = "Bought"
		}
		return int(n/(2*block)*block+n%block) % people, &flowengine.Happened{Name: name, At: time.Now()}
	}
	l.noted = func(c flowengine.Cause) {
		if c.(*flowengine.Happened).Name == "Ordered" {
			l.ordered.Add(1)
		}
	}
	return l
}

// newChangeLoad writes to the profiles of persons.
func newChangeLoad(rt *runtime.Runtime, people int) *causeLoad {
	return &causeLoad{
		rt: rt, people: people, noted: func(flowengine.Cause) {},
		cause: func(n int64) (int, flowengine.Cause) { return int(n) % people, scoreOf(n % 100_000) },
	}
}

func scoreOf(n int64) *flowengine.Change {
	return &flowengine.Change{Source: "api", Set: []flowengine.Attr{{Name: "score", Value: flowengine.WholeValue(n)}}}
}

// workers is how many causes are under way at once.
func (l *causeLoad) workers() int { return min(loadWorkers, l.people) }

// act brings one cause.
func (l *causeLoad) act(ctx context.Context) error {
	person, c := l.cause(l.next.Add(1) - 1)
	for {
		_, err := l.rt.Act(ctx, runtime.Who{Address: phone(person), Create: true}, c)
		switch {
		case err == nil:
			l.noted(c)
			return nil
		case !errors.Is(err, runtime.ErrOverload):
			return err
		}
		if err := sleep(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

// closed brings causes as fast as it goes, each worker the next one when its last
// one is durable.
func (l *causeLoad) closed(ctx context.Context, span time.Duration) (m measured, err error) {
	m.latency = new(histogram)
	began := time.Now()
	var all sync.WaitGroup
	var failed atomic.Pointer[error]
	for range l.workers() {
		all.Go(func() {
			for time.Since(began) < span && failed.Load() == nil {
				at := time.Now()
				if err := l.act(ctx); err != nil {
					failed.Store(&err)
					return
				}
				m.latency.add(time.Since(at))
			}
		})
	}
	all.Wait()
	return m.conclude(began, &failed)
}

// open brings causes at a rate, whatever becomes of those before. Latency counts
// from when a cause was to come.
func (l *causeLoad) open(ctx context.Context, span time.Duration, rate float64) (m measured, err error) {
	m.latency = new(histogram)
	began := time.Now()
	var all sync.WaitGroup
	var failed atomic.Pointer[error]
	due := make(chan time.Time, 1<<16)
	for range l.workers() {
		all.Go(func() {
			for at := range due {
				if err := l.act(ctx); err != nil {
					failed.Store(&err)
				}
				m.latency.add(time.Since(at))
			}
		})
	}
	for n := 0; time.Since(began) < span && failed.Load() == nil; {
		for should := int(time.Since(began).Seconds() * rate); n < should; n++ {
			due <- began.Add(time.Duration(float64(n) / rate * float64(time.Second)))
		}
		time.Sleep(time.Millisecond)
	}
	close(due)
	all.Wait()
	return m.conclude(began, &failed)
}

func (m measured) conclude(began time.Time, failed *atomic.Pointer[error]) (measured, error) {
	m.n = int64(m.latency.n.Load())
	m.rate = float64(m.n) / time.Since(began).Seconds()
	if err := failed.Load(); err != nil {
		return m, *err
	}
	return m, nil
}

// fillPeople makes persons; the score of the i-th is i modulo 100.
func fillPeople(ctx context.Context, rt *runtime.Runtime, people int) (time.Duration, error) {
	l := &causeLoad{
		rt: rt, people: people, noted: func(flowengine.Cause) {},
		cause: func(n int64) (int, flowengine.Cause) { return int(n), scoreOf(n % 100) },
	}
	began := time.Now()
	var all sync.WaitGroup
	var failed atomic.Pointer[error]
	places := make(chan struct{}, people)
	for range people {
		places <- struct{}{}
	}
	close(places)
	for range l.workers() {
		all.Go(func() {
			for range places {
				if err := l.act(ctx); err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return 0, fmt.Errorf("persons could not be made: %w", *err)
	}
	return time.Since(began), nil
}

// fsyncRate is how often a second a record can be appended to a file and synced.
func fsyncRate(file string, size int, span time.Duration) (float64, error) {
	f, err := os.OpenFile(filepath.Clean(file), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	record := make([]byte, size)
	n, began := 0, time.Now()
	for ; time.Since(began) < span; n++ {
		if _, err := f.Write(record); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(began).Seconds(), nil
}

// What a step of orderFlow writes, roughly: a person, an event, the history, and
// who is where.
const (
	stepRecords = 4
	stepOctets  = 150 // of one record
)

// transactionRate is how many steps a second the store would take if each were a
// transaction of its own.
func transactionRate(ctx context.Context, dir string, span time.Duration) (float64, error) {
	store, err := badger.Open(badger.Options{Dir: dir})
	if err != nil {
		return 0, err
	}
	var n atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	began := time.Now()
	for worker := range 64 {
		all.Go(func() {
			var b storage.Batch
			for i := 0; time.Since(began) < span && ctx.Err() == nil; i++ {
				b.Reset()
				for r := range stepRecords {
					b.Put(fmt.Appendf(nil, "%02d%08d%d", worker, i, r), make([]byte, stepOctets))
				}
				if err := store.Apply(&b); err != nil {
					failed.Store(&err)
					return
				}
				n.Add(1)
			}
		})
	}
	all.Wait()
	rate := float64(n.Load()) / time.Since(began).Seconds()
	err = store.Close()
	if f := failed.Load(); f != nil {
		err = errors.Join(*f, err)
	}
	return rate, err
}

// memoryWatch looks at the memory of this process every second.
type memoryWatch struct {
	seen []memorySample
	last time.Time
}

type memorySample struct {
	done float64 // share of the work
	rss  float64 // MB
	own  float64 // of that, what the kernel can't take back as it can pages of the store's files
	live float64 // of that, what is in use: the rest is garbage, and room for some
}

func newMemoryWatch() *memoryWatch { return new(memoryWatch) }

// see takes a sample, when it is time. A nil watch sees nothing.
func (w *memoryWatch) see(done float64) {
	if w == nil || time.Since(w.last) < time.Second && done < 1 {
		return
	}
	w.last = time.Now()
	u := usageOf(os.Getpid())
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	w.seen = append(w.seen, memorySample{done, megabytes(u.rss), megabytes(u.anon), float64(live[0].Value.Uint64()) / (1 << 20)})
}

// growth is by how much memory has grown at most since a fifth of the work was done.
func (w *memoryWatch) growth(of func(memorySample) float64) (most float64) {
	from := -1.0
	for _, s := range w.seen {
		switch {
		case s.done < 0.2:
		case from < 0:
			from = of(s)
		default:
			most = max(most, of(s)-from)
		}
	}
	return most
}

func (w *memoryWatch) top(of func(memorySample) float64) (most float64) {
	for _, s := range w.seen {
		most = max(most, of(s))
	}
	return most
}

func residentOf(s memorySample) float64 { return s.rss }
func ownOf(s memorySample) float64      { return s.own }
func liveOf(s memorySample) float64     { return s.live }
