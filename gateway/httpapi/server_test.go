package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
	"trunkline/storage"
	"trunkline/storage/memory"
)

// The tests talk to a real listener of a server on a real runtime, whose store is
// in memory.

const invited = `
flow: invited
name: Invited guests
entries:
  - {id: api, type: flow_api, next: ask}
  - {id: text, type: inbound_message, number: "38591000001", keywords: [start], next: ask}
elements:
  ask:  {type: send_sms, from: "38591000001", text: "Hello {{ person.firstName | default: 'you' }}", on: {sent: wait}}
  wait: {type: evaluate_inbound_message, timeout: 24h, branches: [{match: any, next: bye}], on: {timeout: bye}}
  bye:  {type: exit}
`

const patience = 30 * time.Second

// site is an API that listens, and who may call it.
type site struct {
	*testing.T
	rt    *runtime.Runtime
	api   *Server
	store storage.Store
	url   string
	keys  map[Scope]string
	log   *logBook
	halt  func() // ends the API and the runtime

	mu   sync.Mutex
	sent []*runtime.Message
}

type options struct {
	store  storage.Store
	change func(*Config)
	flow   string
	now    func() time.Time

	notify func(url string) error
}

func newSite(t *testing.T, o options) *site {
	t.Helper()
	s := &site{T: t, store: o.store, keys: map[Scope]string{}, log: new(logBook)}
	if s.store == nil {
		s.store = memory.New()
	}
	if o.flow == "" {
		o.flow = invited
	}
	log := slog.New(slog.NewTextHandler(s.log, nil))
	rt, err := runtime.New(s.store, runtime.Options{Executors: 2, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	s.rt = rt
	rt.Register("sms", s)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = rt.Run(ctx) })
	s.publish(o.flow)
	c := Config{Secret: "a secret of the tests", Rate: 100_000, Requests: 128, Connections: 100, DrainTimeout: time.Second}
	for _, scope := range Scopes() {
		key, hash := NewKey()
		s.keys[scope] = key
		c.Keys = append(c.Keys, Key{Name: string(scope), Hash: hash, Scopes: []Scope{scope}})
	}
	if o.change != nil {
		o.change(&c)
	}
	s.api, err = New(c, Options{Runtime: rt, Log: log, Now: o.now, Version: "test", CheckNotify: o.notify})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + l.Addr().String()
	serving, stopServing := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.api.Run(serving, l) }()
	s.halt = sync.OnceFunc(func() {
		stopServing()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
		cancel()
		running.Wait()
	})
	t.Cleanup(s.halt)
	return s
}

func (s *site) publish(flow string) {
	s.Helper()
	schema, err := flowengine.NewSchema(
		flowengine.Attribute{Name: "shoeSize", Type: flowengine.Whole},
		flowengine.Attribute{Name: "debt", Type: flowengine.Decimal}, flowengine.Attribute{Name: "vip", Type: flowengine.Boolean},
		flowengine.Attribute{Name: "seen", Type: flowengine.DateTime})
	if err != nil {
		s.Fatal(err)
	}
	schema, err = schema.WithEvents(flowengine.EventType{Name: "Rented", Properties: []flowengine.Attribute{{Name: "days", Type: flowengine.Whole}, {Name: "price", Type: flowengine.Decimal}}})
	if err != nil {
		s.Fatal(err)
	}
	v, err := flowengine.ParseFlow("flow.yaml", []byte(flow), schema, nil)
	if err != nil {
		s.Fatal(err)
	}
	p := runtime.Publication{Schema: schema, Numbers: []*flowengine.Number{{Value: "38591000001", Channel: "sms"}}, Flows: []*flowengine.Version{v}}
	if _, err := s.rt.Publish(context.Background(), p); err != nil {
		s.Fatal(err)
	}
}

// Send implements runtime.Sender: the carrier of the tests takes everything.
func (s *site) Send(m *runtime.Message, done func(runtime.Outcome)) {
	s.mu.Lock()
	s.sent = append(s.sent, m)
	s.mu.Unlock()
	go done(runtime.Outcome{Fate: runtime.FateAccepted, Carrier: "out", Parts: 1})
}

func (s *site) Units(*runtime.Message) uint8 { return 1 }

func (s *site) sentTo(to string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.sent {
		if m.To == to {
			n++
		}
	}
	return n
}

// eventually waits for what comes later.
func (s *site) eventually(what string, ready func() bool) {
	s.Helper()
	for end := time.Now().Add(patience); !ready(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("%s did not come", what)
		}
	}
}

// logBook keeps what is logged.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) lines(with ...string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		all := true
		for _, w := range with {
			all = all && strings.Contains(line, w)
		}
		if all {
			found = append(found, line)
		}
	}
	return found
}

// answer is a response, read.
type answer struct {
	*testing.T
	status int
	header http.Header
	body   []byte
	what   string
}

// request is what a test asks for. body may be a string, which goes as it is.
type request struct {
	scope  Scope  // whose key; "" for none
	bearer string // instead of a key
	method string
	path   string
	body   any
	header map[string]string
}

func (s *site) send(r request) *answer {
	s.Helper()
	var body io.Reader
	switch b := r.body.(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			s.Fatal(err)
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequest(r.method, s.url+r.path, body)
	if err != nil {
		s.Fatal(err)
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.scope != "" {
		r.bearer = s.keys[r.scope]
	}
	if r.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+r.bearer)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.Fatal(err)
	}
	return &answer{s.T, res.StatusCode, res.Header, text, r.method + " " + r.path}
}

func (s *site) get(scope Scope, path string) *answer {
	s.Helper()
	return s.send(request{scope: scope, method: "GET", path: path})
}

func (s *site) post(scope Scope, path string, body any) *answer {
	s.Helper()
	return s.send(request{scope: scope, method: "POST", path: path, body: body})
}

// is checks the status; an error has to be a problem (RFC 9457).
func (a *answer) is(status int) *answer {
	a.Helper()
	if a.status != status {
		a.Fatalf("%s: %d, want %d: %.300s", a.what, a.status, status, a.body)
	}
	if status >= 400 {
		if p := a.problem(); p.Status != status || p.Title == "" || p.Detail == "" {
			a.Errorf("%s: a problem without title or detail, or with another status: %s", a.what, a.body)
		}
	}
	return a
}

func (a *answer) problem() (p Problem) {
	a.Helper()
	if got := a.header.Get("Content-Type"); got != problemType {
		a.Errorf("%s: %d of type %q: %s", a.what, a.status, got, a.body)
	}
	a.into(&p)
	return p
}

// wrong checks which fields of the body, and which parameters, are wrong.
func (a *answer) wrong(fields ...string) *answer {
	a.Helper()
	var got []string
	for _, f := range a.problem().Errors {
		got = append(got, f.Pointer+f.Parameter)
		if f.Detail == "" {
			a.Errorf("%s: nothing is said of %s", a.what, f.Pointer)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(fields) {
		a.Errorf("%s: wrong are %q, want %q: %s", a.what, got, fields, a.body)
	}
	return a
}

func (a *answer) into(v any) *answer {
	a.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		a.Fatalf("%s: %v: %s", a.what, err, a.body)
	}
	return a
}

// field is a value of the answer's object.
func (a *answer) field(name string) any {
	a.Helper()
	m := map[string]any{}
	a.into(&m)
	return m[name]
}

func expect[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

type object = map[string]any
