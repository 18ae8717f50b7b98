package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
	"trunkline/storage/badger"
)

// crowd is many persons who enter waitingFlow. They enter through the runtime
// in this process, which is faster than over the wire, with a clock that is so
// far behind that their deadlines lie a little ahead of now.
type crowd struct {
	n      int
	spread time.Duration // between the first deadline and the last
	lead   time.Duration // from the last entry to the first deadline, at least
	due    time.Time     // the first deadline
	took   time.Duration
}

func newCrowd(n int, spread, lead time.Duration) (*crowd, error) {
	if spread < 0 || spread >= waitingTime {
		return nil, fmt.Errorf("-spread is below %s", waitingTime)
	}
	return &crowd{n: n, spread: spread, lead: lead}, nil
}

// enter lets everybody in. It tries out the speed on a store of its own first,
// because the deadlines have to be known before the first one enters.
func (c *crowd) enter(ctx context.Context, dir, probe string) error {
	const few = 20_000
	began := time.Now()
	if err := c.enterInto(ctx, probe, few, began); err != nil {
		return err
	}
	expected := time.Since(began) * time.Duration(c.n) / few
	c.due = time.Now().Add(expected*3/2 + c.lead).Truncate(time.Millisecond)
	began = time.Now()
	err := c.enterInto(ctx, dir, c.n, c.due)
	c.took = time.Since(began)
	return err
}

// enterInto lets the first n persons into the flow on a store, so that their
// deadlines are spread evenly behind due.
func (c *crowd) enterInto(ctx context.Context, dir string, n int, due time.Time) error {
	var entered atomic.Int64
	clock := func() time.Time {
		passed := time.Duration(float64(c.spread) * float64(entered.Load()) / float64(n))
		return due.Add(-waitingTime).Add(passed)
	}
	return withRuntime(ctx, dir, clock, func(ctx context.Context, rt *runtime.Runtime) error {
		places := make(chan struct{}, 2048)
		failed := make(chan error, 1)
		var all sync.WaitGroup
		for i := range n {
			select {
			case places <- struct{}{}:
			case err := <-failed:
				return fmt.Errorf("person %d does not enter: %w", i, err)
			case <-ctx.Done():
				return ctx.Err()
			}
			all.Add(1)
			rt.Inbound(c.arrival(i, clock()), func(err error) {
				if err != nil {
					select {
					case failed <- err:
					default:
					}
				}
				entered.Add(1)
				<-places
				all.Done()
			})
		}
		all.Wait()
		select {
		case err := <-failed:
			return err
		default:
			return nil
		}
	})
}

func (c *crowd) arrival(i int, at time.Time) *runtime.Arrival {
	return &runtime.Arrival{
		ID: fmt.Sprintf("crowd-%d", i), Channel: "sms", Carrier: "esme", To: ourNumber, At: at,
		From: phone(i), Text: string(appendKeyword(nil, i)),
	}
}

func phone(i int) flowengine.Address {
	return flowengine.Address{Kind: flowengine.Phone, Value: string(appendSender(nil, i))}
}

// sampled is how many of the shards are looked at when a crowd is large.
const sampled = 16

// fired reads, out of the persons' histories, when their timers fired. Of a
// large crowd it reads all persons of some shards.
func (c *crowd) fired(ctx context.Context, dir string) (all []firing, err error) {
	err = withRuntime(ctx, dir, time.Now, func(ctx context.Context, rt *runtime.Runtime) error {
		for i := range c.n {
			shard := phone(i).Shard()
			if c.n > 100_000 && shard%(flowengine.Shards/sampled) != 0 {
				continue
			}
			p, err := rt.Person(ctx, phone(i).Value, 10)
			if err != nil {
				return err
			}
			f := firing{shard: p.Person.ID.Shard()}
			for _, h := range p.History {
				for _, e := range h.Events {
					switch {
					case e.Kind == flowengine.Engaged && e.Element == "wait":
						f.due = h.At.Add(waitingTime)
					case e.Kind == flowengine.Departed && e.Element == "wait":
						f.at = h.At
					}
				}
			}
			if f.due.IsZero() {
				return fmt.Errorf("the history of person %d says nothing of the wait", i)
			}
			if !f.at.IsZero() {
				all = append(all, f)
			}
		}
		return nil
	})
	return all, err
}

// withRuntime runs work on a runtime of this process, configured as the daemon
// of the site is.
func withRuntime(ctx context.Context, dir string, clock func() time.Time, work func(context.Context, *runtime.Runtime) error) error {
	return withFlow(ctx, dir, waitingFlow, clock, nil, work)
}

// withFlow runs work on a runtime with a flow and senders.
func withFlow(ctx context.Context, dir, text string, clock func() time.Time, senders map[string]runtime.Sender, work func(context.Context, *runtime.Runtime) error) (err error) {
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	store, err := badger.Open(badger.Options{Dir: dir, Log: quiet})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	rt, err := runtime.New(store, runtime.Options{Now: clock, Log: quiet})
	if err != nil {
		return err
	}
	for channel, s := range senders {
		rt.Register(channel, s)
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- rt.Run(ctx) }()
	defer func() {
		cancel()
		err = errors.Join(err, <-ended)
	}()
	schema, err := flowengine.NewSchema(flowengine.Attribute{Name: "shoeSize", Type: flowengine.TypeNamed(attributeType)})
	if err != nil {
		return err
	}
	flow, err := flowengine.ParseFlow("flow.yaml", []byte(text), schema, nil)
	if err != nil {
		return err
	}
	_, err = rt.Publish(ctx, runtime.Publication{
		Schema: schema, Flows: []*flowengine.Version{flow},
		Numbers: []*flowengine.Number{{Value: ourNumber, Channel: "sms"}, {Value: mailAddress, Channel: "email"}},
		Mailing: flowengine.Mailing{Identities: []flowengine.Identity{{ID: "shop", Address: mailAddress}}},
	})
	if err != nil {
		return err
	}
	return work(ctx, rt)
}
