package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
	"trunkline/storage"
	"trunkline/storage/badger"
)

// host is a runtime on a store on disk in this process.
type host struct {
	rt     *runtime.Runtime
	store  *countedStore
	schema *flowengine.Schema
	end    context.CancelFunc
	ended  chan error
}

// countedStore counts what is committed.
type countedStore struct {
	*badger.Store
	batches, octets atomic.Int64
}

func (s *countedStore) Apply(b *storage.Batch) error {
	if b.Len() > 0 {
		s.batches.Add(1)
		s.octets.Add(int64(len(b.Bytes())))
	}
	return s.Store.Apply(b)
}

func openHost(ctx context.Context, dir string) (*host, error) {
	quiet := slog.New(slog.DiscardHandler)
	store, err := badger.Open(badger.Options{Dir: dir, Log: quiet})
	if err != nil {
		return nil, err
	}
	h := &host{store: &countedStore{Store: store}, ended: make(chan error, 1)}
	h.schema, err = flowengine.NewSchema(flowengine.Attribute{Name: "shoeSize", Type: flowengine.Whole}, flowengine.Attribute{Name: "score", Type: flowengine.Whole})
	if err == nil {
		h.rt, err = runtime.New(h.store, runtime.Options{Log: quiet})
	}
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	ctx, h.end = context.WithCancel(ctx)
	go func() { h.ended <- h.rt.Run(ctx) }()
	return h, nil
}

// publish makes flows run, in place of those before.
func (h *host) publish(ctx context.Context, flows ...string) error {
	return h.publishSegment(ctx, "", "", flows...)
}

// publishSegment is publish with a segment, unless its id is empty.
func (h *host) publishSegment(ctx context.Context, id, condition string, flows ...string) error {
	p := runtime.Publication{Schema: h.schema}
	if id != "" {
		p.Schema = h.schema.WithSegments(id)
		s, err := flowengine.ParseSegment("segment.yaml", fmt.Appendf(nil, "segment: %s\ncondition: %s\n", id, condition), p.Schema)
		if err != nil {
			return err
		}
		p.Segments = append(p.Segments, s)
	}
	for i, text := range flows {
		v, err := flowengine.ParseFlow(fmt.Sprintf("flow%d.yaml", i), []byte(text), p.Schema, nil)
		if err != nil {
			return err
		}
		p.Flows = append(p.Flows, v)
	}
	_, err := h.rt.Publish(ctx, p)
	return err
}

func (h *host) close() error {
	h.end()
	return errors.Join(<-h.ended, h.store.Close())
}

// tally is what a flow's counters say, as far as it is durable.
func (h *host) tally(flow string) (*runtime.Tally, error) {
	all, err := runtime.ReadTallies(h.store)
	if err != nil {
		return nil, err
	}
	if t := all[flow]; t != nil {
		return t, nil
	}
	return runtime.NewTally(), nil
}

// recount holds the counters against the histories (rule M5).
func (h *host) recount() ([]string, error) {
	counted, err := runtime.Recount(h.store)
	if err != nil {
		return nil, err
	}
	stored, err := runtime.ReadTallies(h.store)
	if err != nil {
		return nil, err
	}
	return runtime.Differences(counted, stored), nil
}
