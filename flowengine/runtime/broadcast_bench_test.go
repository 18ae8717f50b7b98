package runtime

import (
	"context"
	"errors"
	"log/slog"
	goruntime "runtime"
	"testing"
	"time"

	"trunkline/flowengine"
	"trunkline/storage/badger"
)

// BenchmarkAudience lets 100,000 persons, who are on disk, into a broadcast whose
// messages nobody takes: what it costs to enter everybody.
func BenchmarkAudience(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		b.StopTimer()
		store, err := badger.Open(badger.Options{Dir: b.TempDir() + "/store", ReserveBytes: 16 << 20, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		crowdStore(b, store, n)
		rt, err := New(store, Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		rt.Register("sms", silent{})
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- rt.Run(ctx) }()
		schema, err := flowengine.NewSchema()
		if err != nil {
			b.Fatal(err)
		}
		_, err = rt.Publish(ctx, Publication{Schema: schema})
		if err != nil {
			b.Fatal(err)
		}
		d, err := flowengine.ParseBroadcast("b", []byte("broadcast: all\nrecipients: {tags: crowd}\nmessage: {type: send_sms, from: Shop, text: \"Hi {{ person.firstName }}\"}\n"), schema, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err = rt.CreateBroadcast(ctx, d, "ana"); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if _, err = rt.StartBroadcast(ctx, "all"); err != nil {
			b.Fatal(err)
		}
		for {
			r, err := rt.storedBroadcast("all")
			if err != nil {
				b.Fatal(err)
			}
			enters, err := rt.broadcastEnters(r)
			if err != nil {
				b.Fatal(err)
			}
			if !enters {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		b.StopTimer()
		var m goruntime.MemStats
		goruntime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapInuse)/1e6, "MB-heap")
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			b.Fatal(err)
		}
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "persons/s")
}

// silent is a carrier that never answers.
type silent struct{}

func (silent) Units(*Message) uint8         { return 1 }
func (silent) Send(*Message, func(Outcome)) {}
