package outbound

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"trunkline/gateway/smtp/resolver"
)

// policiesEdge is an edge whose name servers never answer.
func policiesEdge(t *testing.T, file string) *Edge {
	t.Helper()
	e, err := New(Config{MTASTS: true, TLS: tlsOpportunistic, DNS: resolver.Config{Servers: []string{"127.0.0.1:1"}, Timeout: 100 * time.Millisecond}},
		Options{Policies: file, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// A policy holds over a restart, also when nobody answers for its domain any more; one whose
// time is over does not (RFC 8461 §5.1).
func TestPoliciesOutliveTheProcess(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "mta-sts")
	first := policiesEdge(t, file)
	held := &stsPolicy{mode: stsEnforce, mx: []string{"mx.b.example", "*.mail.example"}, id: "7"}
	sts := first.current.Load().sts
	sts.remember("b.example", &stsEntry{policy: held, until: time.Now().Add(time.Hour)})
	sts.remember("old.example", &stsEntry{policy: held, until: time.Now().Add(-time.Hour)})
	sts.remember("failed.example", &stsEntry{again: time.Now().Add(time.Hour)})
	ctx, end := context.WithCancel(t.Context())
	end()
	if err := first.Run(ctx); err != nil {
		t.Fatal(err)
	}
	second := policiesEdge(t, file)
	sts = second.current.Load().sts
	if p, _ := sts.policy(t.Context(), "b.example"); !reflect.DeepEqual(p, held) {
		t.Errorf("after the restart: %+v", p)
	}
	if n := len(sts.all()); n != 1 {
		t.Errorf("%d domains are known, not 1", n)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	conf := second.current.Load().config
	conf.DNS.Timeout++ // another resolver
	if err := second.Reload(conf); err != nil {
		t.Fatal(err)
	}
	if p, _ := second.current.Load().sts.policy(t.Context(), "b.example"); p == nil {
		t.Error("a reload forgets the policy")
	}
}

// Of a damaged file counts what is sound, and nothing else.
func TestDamagedPolicies(t *testing.T) {
	t.Parallel()
	later := time.Now().Add(time.Hour).Format(time.RFC3339)
	good := fmt.Sprintf(`{"domain":"b.example","mode":"enforce","mx":["mx.b.example"],"id":"1","until":%q}`, later)
	for _, text := range []string{
		"", "{", "\x00\x00", `{"domain":"","mode":"enforce","mx":["x"],"until":"` + later + `"}`, `{"domain":"B.example","mode":"enforce","mx":["x"],"until":"` + later + `"}`,
		`{"domain":"c.example","mode":"maybe","mx":["x"],"until":"` + later + `"}`, `{"domain":"c.example","mode":"enforce","until":"` + later + `"}`,
		`{"domain":"c.example","mode":"enforce","mx":["x"],"until":"9999-01-01T00:00:00Z"}`,
		`{"domain":"c.example","mode":"enforce","mx":["` + strings.Repeat(`x","`, stsPatterns) + `x"],"until":"` + later + `"}`,
	} {
		file := filepath.Join(t.TempDir(), "mta-sts")
		if err := os.WriteFile(file, []byte(good+"\n"+text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		known := policiesEdge(t, file).current.Load().sts.all()
		if len(known) != 1 || known["b.example"] == nil {
			t.Errorf("%.60q: %v", text, known)
		}
	}
}

func FuzzPolicyFile(f *testing.F) {
	f.Add(`{"domain":"b.example","mode":"enforce","mx":["mx.b.example"],"id":"1","until":"2100-01-01T00:00:00Z"}`)
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "mta-sts")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s := &stsStore{now: time.Now, known: map[string]*stsEntry{}}
		_ = s.load(file)
		if err := s.save(file); err != nil {
			t.Fatal(err)
		}
		again := &stsStore{now: time.Now, known: map[string]*stsEntry{}}
		if err := again.load(file); err != nil || len(again.known) != len(s.known) {
			t.Fatalf("%d policies of %d are read again: %v", len(again.known), len(s.known), err)
		}
	})
}
