package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trunkline/flowengine/runtime"
	"trunkline/gateway/cdr"
)

// startInside runs the daemon of a configuration inside the test.
func startInside(t *testing.T, files map[string]string) *daemon {
	t.Helper()
	return runInside(t, source{newSite(t, files).config})
}

func runInside(t *testing.T, src source) *daemon {
	t.Helper()
	c, err := load(src)
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDaemon(src, c, slog.New(slog.DiscardHandler), new(slog.LevelVar))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	up, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- d.run(ctx, context.Background(), func() { close(up) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-up:
	case err := <-ended:
		t.Fatal(err)
	}
	return d
}

// The daemon keeps what it is told of calls; the tools list and export it, and a
// folder gets it by itself (rule C3).
func TestCallRecordsReachTools(t *testing.T) {
	d := startInside(t, map[string]string{
		"trunkline.yaml": `admin: {listen: ""}
smpp: {listen: []}
storage: {reserve_mib: 16}
voice: {records: {folder: records, every: 1s}}
`,
		"tariffs/voice.csv": "channel,direction,prefix,currency,price,setup,min_s,increment_s,valid_from\nvoice,outbound,385,EUR,0.60,0.01,30,10,2020-01-01\n",
	})
	begin := time.Now().Add(-time.Minute).UTC().Truncate(time.Millisecond)
	for i, r := range []*runtime.CallRecord{
		{Call: "in-1", From: "385911", To: "38591000003", Trunk: "a", Setup: begin, Answered: begin.Add(time.Second), Ended: begin.Add(31 * time.Second), Final: true, Status: 200, Cause: 16, By: "caller", Codec: "PCMA", MOS: 432},
		{Call: "in-1", Leg: 1, Outbound: true, From: "385911", To: "385922", Trunk: "b", Setup: begin, Answered: begin.Add(time.Second), Ended: begin.Add(31 * time.Second), Final: true, Status: 200, By: "us", Detail: "cut_off"},
		{Call: "in-2", From: "385933", To: "38591000003", Setup: begin, Answered: begin, Ended: begin},
	} {
		done := make(chan error, 1)
		d.rt.KeepCall(r, func(err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatal(i, err)
		}
	}
	run := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		root := newRoot()
		root.SetArgs(append([]string{"--config", d.source.String()}, args...))
		root.SetOut(&out)
		if err := root.ExecuteContext(t.Context()); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return out.String()
	}
	list := run("calls", "list", "--number", "+385 922")
	if !strings.Contains(list, "1 out") || !strings.Contains(list, "30.0") || !strings.Contains(list, "0.31 EUR") || !strings.Contains(list, "us (cut_off)") || strings.Contains(list, "0 in") {
		t.Error(list)
	}
	if open := run("calls", "list", "--open"); !strings.Contains(open, "in-2") || strings.Contains(open, "in-1") {
		t.Error(open)
	}
	if none := run("calls", "list", "--from", "2099-01-01"); none != "no calls\n" {
		t.Error(none)
	}
	file := filepath.Join(t.TempDir(), "calls.csv")
	run("calls", "export", "--format", "csv", file)
	if b, err := os.ReadFile(file); err != nil || strings.Count(string(b), "\n") != 3 {
		t.Errorf("%v %s", err, b)
	}
	if lines := run("calls", "export", "--flow", "another"); lines != "" {
		t.Error(lines)
	}
	var last cdr.Record
	eventually(t, "the folder of records", func() bool {
		names, _ := filepath.Glob(filepath.Join(filepath.Dir(d.source.String()), "records", "*.jsonl"))
		if len(names) != 1 {
			return false
		}
		b, err := os.ReadFile(names[0])
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		return err == nil && len(lines) == 2 && json.Unmarshal([]byte(lines[1]), &last) == nil
	})
	if last.Call != "in-1" || last.Ended.IsZero() {
		t.Errorf("%+v", last)
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"": {}, "2026-01-31": time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC), "2h": now.Add(-2 * time.Hour),
		"2026-01-31T09:00:00+01:00": time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC),
	} {
		if got, err := parseSince("from", text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v %v", text, got, err)
		}
	}
	for _, text := range []string{"yesterday", "-2h", "2026-13-01"} {
		if _, err := parseSince("from", text, now); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
