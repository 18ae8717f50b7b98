package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
)

// queueFlow answers each mail with one of 1 KiB.
var queueFlow = `flow: load
entries: [{id: mail, type: inbound_message, channel: email, number: "` + mailAddress + `", keywords: any, next: answer}]
elements:
  answer: {type: send_email, subject: "Re: {{ inbound.subject }}", track_opens: false, track_clicks: false, text: "` + strings.Repeat("A line of a mail that a shop has written. ", 23) + `", on: {sent: stop}}
  stop: {type: exit}
`

// queue fills the outbox with mails that nobody takes, and starts the daemon on it, whose
// smart host is dead: memory and the time to be ready.
func (b *mailBench) queue(ctx context.Context, f *mailFigures) ([]string, error) {
	o := *b.options
	if o.dir = filepath.Join(b.dir, "queue"); os.Mkdir(o.dir, 0o700) != nil {
		return nil, fmt.Errorf("no folder %s", o.dir)
	}
	s, err := newMailSite(&o, nil)
	if err != nil {
		return nil, err
	}
	dead, err := freeAddresses(1)
	if err != nil {
		return nil, err
	}
	if err := s.answers(queueFlow, dead[0]); err != nil {
		return nil, err
	}
	p, _, err := s.startReady(ctx) // it makes the store
	if err != nil {
		return nil, err
	}
	if err := p.stop(patience); err != nil {
		return nil, err
	}
	store, err := storeFolder(s.data())
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := fillQueue(ctx, store, b.queued); err != nil {
		return nil, err
	}
	fmt.Printf("  %d mails queued in %s; on disk %.0f MB\n", b.queued, time.Since(began).Round(time.Second), folderSize(store))
	var u usage
	for _, run := range []string{"after filling", "again"} { // the first one has tables to merge
		var took time.Duration
		if p, took, err = s.startReady(ctx); err != nil {
			return nil, err
		}
		defer p.kill()
		if err := sleep(ctx, 20*time.Second); err != nil { // the first mails come due and go back
			return nil, err
		}
		u, f.restart = p.usage(), max(f.restart, took)
		fmt.Printf("  started %s: ready after %s; memory %.0f MB, of it anonymous %.0f MB, the rest are pages of the store's files\n", run, short(took), megabytes(u.rss), megabytes(u.anon))
		if run != "again" {
			if err := p.stop(patience); err != nil {
				return nil, err
			}
		}
	}
	if b.options.profile {
		if err := s.fetch(ctx, "/debug/pprof/heap", "harness-queue.prof"); err != nil {
			return nil, err
		}
	}
	f.queued, f.queueRSS, f.queueTop = b.queued, megabytes(u.rss), megabytes(u.top)
	waiting, err := s.queueLength(ctx)
	if err != nil {
		return nil, err
	}
	if waiting != b.queued {
		return []string{fmt.Sprintf("%d mails were queued, and %d wait", b.queued, waiting)}, nil
	}
	return nil, nil
}

// answers lets the site answer mails through a smart host.
func (s *mailSite) answers(flow, smartHost string) error {
	config, err := os.ReadFile(s.config())
	if err != nil {
		return err
	}
	text := string(config) + fmt.Sprintf("email:\n  identities: [{identity: shop, address: %s}]\n  smart_host: {address: %q, tls: none}\n", mailAddress, smartHost)
	if err := os.WriteFile(s.config(), []byte(text), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, "flows", "flow.yaml"), []byte(flow), 0o600)
}

// queueLength asks the daemon's own command line how many messages wait.
func (s *mailSite) queueLength(ctx context.Context) (int, error) {
	out, err := exec.CommandContext(ctx, s.bin, "--config", s.config(), "queue", "list", "--json").Output()
	if err != nil {
		return 0, fmt.Errorf("trunkline queue list: %w", err)
	}
	var v struct {
		Total int `json:"total"`
	}
	err = json.Unmarshal(out, &v)
	return v.Total, err
}

// fillQueue lets so many persons write, whose answers wait: each attempt is put off, as it
// is while a destination is down, up to two hours.
func fillQueue(ctx context.Context, dir string, n int) error {
	away := new(putOff)
	return withFlow(ctx, dir, queueFlow, time.Now, map[string]runtime.Sender{"email": away}, func(ctx context.Context, rt *runtime.Runtime) error {
		places := make(chan struct{}, 2048)
		var failed atomic.Pointer[error]
		var all sync.WaitGroup
		for i := 0; i < n && ctx.Err() == nil; i++ {
			places <- struct{}{}
			all.Add(1)
			rt.Inbound(&runtime.Arrival{
				ID: fmt.Sprintf("mail-%d", i), Channel: "email", Carrier: "smtp", To: mailAddress, At: time.Now(),
				From: flowengine.Address{Kind: flowengine.Email, Value: fmt.Sprintf("p%d@%s", i, domainName(i%destinations))}, Subject: "size", Text: "size",
			}, func(err error) {
				if err != nil {
					failed.Store(&err)
				}
				<-places
				all.Done()
			})
			if err := failed.Load(); err != nil {
				return fmt.Errorf("mail %d is not taken: %w", i, *err)
			}
		}
		all.Wait()
		return until(ctx, 2*time.Minute, func() bool { return away.n.Load() >= int64(n) })
	})
}

// putOff is a sender that can't send now.
type putOff struct{ n atomic.Int64 }

// Send implements runtime.Sender.
func (p *putOff) Send(_ *runtime.Message, done func(runtime.Outcome)) {
	n := p.n.Add(1)
	done(runtime.Outcome{Fate: runtime.FateRetry, Code: "unreachable", After: time.Duration(1+n%7200) * time.Second})
}

// Units implements runtime.Sender.
func (*putOff) Units(*runtime.Message) uint8 { return 1 }
