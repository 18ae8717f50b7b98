package runtime

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"trunkline/flowengine"
	"trunkline/storage/memory"
)

// BenchmarkImport imports persons with a phone number, an e-mail address and a city,
// a thousand at a time; one operation is one person.
func BenchmarkImport(b *testing.B) {
	rt, err := New(memory.New(), Options{Executors: 2, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- rt.Run(ctx) }()
	schema, err := flowengine.NewSchema()
	if err != nil {
		b.Fatal(err)
	}
	if _, err := rt.Publish(ctx, Publication{Schema: schema}); err != nil {
		b.Fatal(err)
	}
	const batch = 1000
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += batch {
		var all []*flowengine.Change
		for i := n; i < min(n+batch, b.N); i++ {
			all = append(all, &flowengine.Change{
				Source: "import", Set: []flowengine.Attr{{Name: "city", Value: flowengine.TextValue("Split")}},
				AddAddresses: []flowengine.Address{{Kind: flowengine.Phone, Value: fmt.Sprintf("38591%07d", i)}, {Kind: flowengine.Email, Value: fmt.Sprintf("p%d@example.com", i)}},
			})
		}
		if _, err := rt.Import(ctx, all, ConflictMerge); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "persons/s")
	b.StopTimer()
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}
