package runtime

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"trunkline/flowengine"
	"trunkline/storage"
	"trunkline/storage/badger"
	"trunkline/storage/memory"
)

// BenchmarkRoundTrip lets new persons text a keyword: each is recognised, the
// profile updated, the reply sent, and its delivery reported. It says how much
// CPU time of this process that takes (comparable on a busy machine too), over
// the store in memory, which is the runtime's own part, and over the one on disk.
func BenchmarkRoundTrip(b *testing.B) {
	b.Run("memory", func(b *testing.B) { benchmarkRoundTrip(b, memory.New()) })
	b.Run("badger", func(b *testing.B) {
		store, err := badger.Open(badger.Options{Dir: b.TempDir(), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		defer store.Close()
		benchmarkRoundTrip(b, store)
	})
}

const sizeFlow = `
flow: size
entries:
  - {id: text, type: inbound_message, number: "38591000001", channel: sms, keywords: [size], match: first_word, next: save}
elements:
  save:  {type: update_person, set: {shoeSize: "${inbound.number}"}, on: {done: thank}}
  thank: {type: send_sms, from: "38591000001", text: "Size {{ person.shoeSize }} noted, {{ inbound.from }}", on: {sent: stop}}
  stop:  {type: exit}
`

const (
	atOnce      = 1024 // round trips under way
	reportAfter = 30 * time.Millisecond
)

func benchmarkRoundTrip(b *testing.B, store storage.Store) {
	rt, err := New(store, Options{Log: slog.New(slog.DiscardHandler), Executors: 2, MaxSending: 2 * atOnce})
	if err != nil {
		b.Fatal(err)
	}
	places, delivered := make(chan struct{}, atOnce), make(chan *Delivery, atOnce)
	var keys atomic.Int64
	rt.Register("sms", sender(func(m *Message, done func(Outcome)) {
		key := strconv.FormatInt(keys.Add(1), 16)
		done(Outcome{Fate: FateAccepted, Carrier: "out", Parts: 1, Keys: []string{key}})
		delivered <- &Delivery{Carrier: "out", Keys: []string{key}, To: m.To, Other: number, State: StateDelivered, Final: true, At: time.Now()}
	}))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { // reports a little later, as carriers do
		for {
			select {
			case d := <-delivered:
				time.Sleep(time.Until(d.At.Add(reportAfter)))
				rt.Report(d, func(err error) {
					if err != nil {
						b.Error(err)
					}
					<-places
				})
			case <-ctx.Done():
				return
			}
		}
	})
	running.Go(func() { _ = rt.Run(ctx) })
	defer func() { cancel(); running.Wait() }()
	publishSize(b, rt)

	b.ReportAllocs()
	began := cpuTime(b)
	b.ResetTimer()
	for n := range b.N {
		places <- struct{}{}
		from := flowengine.Address{Kind: flowengine.Phone, Value: strconv.Itoa(385980000000 + n)}
		rt.Inbound(&Arrival{ID: from.Value, Channel: "sms", Carrier: "in", From: from, To: number, Text: "size 42", At: time.Now()}, func(err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	for range atOnce { // until all is reported
		places <- struct{}{}
	}
	b.StopTimer()
	b.ReportMetric(float64(cpuTime(b)-began)/float64(b.N), "cpu-ns/op")
	for range atOnce {
		<-places
	}
}

func publishSize(b *testing.B, rt *Runtime) {
	schema, err := flowengine.NewSchema(flowengine.Attribute{Name: "shoeSize", Type: flowengine.Whole})
	if err != nil {
		b.Fatal(err)
	}
	v, err := flowengine.ParseFlow("size.yaml", []byte(sizeFlow), schema, nil)
	if err != nil {
		b.Fatal(err)
	}
	p := Publication{Schema: schema, Numbers: []*flowengine.Number{{Value: number, Channel: "sms"}}, Flows: []*flowengine.Version{v}}
	if _, err := rt.Publish(context.Background(), p); err != nil {
		b.Fatal(fmt.Errorf("publishing: %w", err))
	}
}

// sender is a Sender that is only a function.
type sender func(m *Message, done func(Outcome))

func (s sender) Send(m *Message, done func(Outcome)) { s(m, done) }
func (s sender) Units(*Message) uint8                { return 1 }

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
