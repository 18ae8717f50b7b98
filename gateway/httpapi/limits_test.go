package httpapi

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

func TestAuthentication(t *testing.T) {
	s := newSite(t, options{})
	token := s.api.Token("invited", "api")
	for _, tt := range []struct {
		name    string
		request request
		status  int
	}{
		{"no key", request{method: "GET", path: "/v1/people"}, 401},
		{"another scheme", request{method: "GET", path: "/v1/people", header: map[string]string{"Authorization": "Basic eDp5"}}, 401},
		{"a wrong key", request{bearer: "tlk_wrong", method: "GET", path: "/v1/people"}, 401},
		{"a key", request{scope: People, method: "GET", path: "/v1/people"}, 200},
		{"a key of another scope", request{scope: Events, method: "GET", path: "/v1/people"}, 403},
		{"the key of an administrator", request{scope: Admin, method: "GET", path: "/v1/people"}, 200},
		{"flows may not be stopped with scope flows", request{scope: Flows, method: "POST", path: "/v1/flows/invited/stop"}, 403},
		{"a token for its entry point", request{bearer: token, method: "POST", path: "/v1/flows/invited/entries/api/participants", body: guests(1)}, 202},
		{"a token for another entry point", request{bearer: token, method: "POST", path: "/v1/flows/invited/entries/text/participants", body: guests(1)}, 401},
		{"a token for something else", request{bearer: token, method: "GET", path: "/v1/flows"}, 401},
		{"the description is open", request{method: "GET", path: "/openapi.json"}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := s.send(tt.request).is(tt.status)
			if tt.status == 401 && !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer ") {
				t.Error("nothing tells how to log in")
			}
		})
	}
}

// A caller that goes away in the middle of a body is no failure of ours.
func TestBodyThatBreaksOff(t *testing.T) {
	s := newSite(t, options{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v1/people/385911/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"name\"", s.keys[Admin])
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
		t.Errorf("answered with %q, %v", answer, err)
	}
	if lines := s.log.lines("level=ERROR"); len(lines) > 0 {
		t.Errorf("logged: %s", lines)
	}
}

func TestScopes(t *testing.T) {
	s := newSite(t, options{})
	for path, item := range s.api.api.OpenAPI().Paths {
		for _, op := range []struct {
			method string
			is     *huma.Operation
		}{{"GET", item.Get}, {"POST", item.Post}, {"PATCH", item.Patch}, {"PUT", item.Put}, {"DELETE", item.Delete}} {
			if op.is == nil {
				continue
			}
			path := strings.NewReplacer("{", "", "}", "").Replace(path)
			s.send(request{method: op.method, path: path}).is(401)
			refused := 0
			for _, scope := range Scopes() {
				if s.send(request{scope: scope, method: op.method, path: path}).status == 403 {
					refused++
				}
			}
			want := len(Scopes()) - 2 // all but the one and admin
			if op.is.Security[0]["key"][0] == string(Admin) {
				want = len(Scopes()) - 1
			}
			expect(t, op.method+" "+path+": scopes that may not", refused, want)
		}
	}
}

// Wrong keys are slowed down by address, and nobody else is.
func TestWrongKeys(t *testing.T) {
	at := time.Now()
	s := newSite(t, options{now: func() time.Time { return at }})
	for range failuresBurst {
		s.send(request{bearer: "wrong", method: "GET", path: "/v1/people"}).is(401)
	}
	a := s.send(request{bearer: "wrong", method: "GET", path: "/v1/people"}).is(429)
	if a.header.Get("Retry-After") != "6" {
		t.Errorf("Retry-After: %q", a.header.Get("Retry-After"))
	}
	s.get(People, "/v1/people").is(200)
}

func TestRateOfKey(t *testing.T) {
	var mu sync.Mutex
	at := time.Now()
	s := newSite(t, options{change: func(c *Config) { c.Rate = 2 }, now: func() time.Time { mu.Lock(); defer mu.Unlock(); return at }})
	s.get(People, "/v1/people").is(200)
	s.get(People, "/v1/people").is(200)
	a := s.get(People, "/v1/people").is(429)
	expect(t, "Retry-After", a.header.Get("Retry-After"), "1")
	s.get(Flows, "/v1/flows").is(200) // another key
	mu.Lock()
	at = at.Add(time.Second)
	mu.Unlock()
	s.get(People, "/v1/people").is(200)
}

func TestLimits(t *testing.T) {
	s := newSite(t, options{})
	deep := strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000)
	big := `{"channel":"sms","to":"385911","text":"` + strings.Repeat("x", MaxBody) + `"}`
	for _, tt := range []struct {
		name    string
		request request
		status  int
	}{
		{"no such path", request{scope: Admin, method: "GET", path: "/v2/people"}, 404},
		{"no such method", request{scope: Admin, method: "DELETE", path: "/v1/people"}, 405},
		{"more than 10 MiB, announced", request{scope: Admin, method: "POST", path: "/v1/messages", body: big}, 413},
		{"more than 10 MiB of participants", request{scope: Admin, method: "POST", path: "/v1/flows/invited/entries/api/participants", body: big}, 413},
		{"broken JSON", request{scope: Admin, method: "POST", path: "/v1/messages", body: `{"to":`}, 400},
		{"broken JSON of participants", request{scope: Admin, method: "POST", path: "/v1/flows/invited/entries/api/participants", body: `{"participants":[{]}`}, 400},
		{"two values", request{scope: Admin, method: "POST", path: "/v1/flows/invited/entries/api/participants", body: `{"participants":[{}]} {}`}, 400},
		{"deep nesting", request{scope: Admin, method: "POST", path: "/v1/messages", body: deep}, 413},
		{"deep nesting of participants", request{scope: Admin, method: "POST", path: "/v1/flows/invited/entries/api/participants", body: `{"participants":` + deep + `}`}, 413},
		{"a list of a million", request{scope: Admin, method: "POST", path: "/v1/events", body: `{"events":[` + strings.Repeat("0,", 1_000_000) + `0]}`}, 413},
		{"participants by the million", request{scope: Admin, method: "POST", path: "/v1/flows/invited/entries/api/participants", body: `{"participants":[` + strings.Repeat("0,", 1_000_000) + `0]}`}, 413},
		{"objects by the million", request{scope: Admin, method: "POST", path: "/v1/messages", body: `{"to":[` + strings.Repeat("{},", 9000) + strings.Repeat("[{},[{}],[{}]],", 100_000) + `0]}`}, 413},
		{"brackets in a text", request{scope: Admin, method: "POST", path: "/v1/messages", body: object{"to": "385911", "text": strings.Repeat(`[{,\"`, 150)}}, 202},
		{"more faults than an answer lists", request{scope: Admin, method: "POST", path: "/v1/people/385911/merge", body: object{"with": make([]int, 5000)}}, 422},
		{"no body", request{scope: Admin, method: "POST", path: "/v1/messages"}, 400},
		{"no body of participants", request{scope: Admin, method: "POST", path: "/v1/flows/invited/entries/api/participants"}, 400},
		{"a body of another type", request{scope: Admin, method: "POST", path: "/v1/messages", body: "x=1", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}, 415},
		{"participants of another type", request{scope: Admin, method: "POST", path: "/v1/flows/invited/entries/api/participants", body: "x=1", header: map[string]string{"Content-Type": "text/plain"}}, 415},
		{"an unknown parameter", request{scope: Admin, method: "GET", path: "/v1/people?limti=3"}, 422},
		{"a parameter out of bounds", request{scope: Admin, method: "GET", path: "/v1/people?limit=100000"}, 422},
		{"a long idempotency key", request{scope: Admin, method: "POST", path: "/v1/messages", body: object{"to": "385911", "text": "x"}, header: map[string]string{"Idempotency-Key": strings.Repeat("k", 256)}}, 422},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := s.send(tt.request).is(tt.status)
			if len(a.body) > 16<<10 {
				t.Errorf("the answer has %d octets", len(a.body))
			}
			if tt.status == 405 && a.header.Get("Allow") != "GET, HEAD, POST" {
				t.Errorf("Allow: %q", a.header.Get("Allow"))
			}
		})
	}
}

// A body without a length is cut off at the limit.
func TestLimitOfStream(t *testing.T) {
	s := newSite(t, options{})
	r, w := io.Pipe()
	go func() {
		chunk := bytes.Repeat([]byte("x"), 1<<16)
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}()
	defer r.Close()
	req, err := http.NewRequest(http.MethodPost, s.url+"/v1/messages", r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.keys[Admin])
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	expect(t, "status", res.StatusCode, http.StatusRequestEntityTooLarge)
}

// Too many requests at once are told to come again.
func TestPlaces(t *testing.T) {
	s := newSite(t, options{change: func(c *Config) { c.Requests = 1 }})
	s.api.places <- struct{}{}
	a := s.get(People, "/v1/people").is(503)
	expect(t, "Retry-After", a.header.Get("Retry-After"), "1")
	<-s.api.places
	s.get(People, "/v1/people").is(200)
}

// One caller, who may send its bodies slowly, gets half of the places at most.
func TestPlacesOfOneCaller(t *testing.T) {
	s := newSite(t, options{change: func(c *Config) { c.Requests = 4 }})
	for range 2 {
		if !s.api.callers.enter("key:people", 2) {
			t.Fatal("there is no place")
		}
	}
	a := s.get(People, "/v1/people").is(503)
	expect(t, "Retry-After", a.header.Get("Retry-After"), "1")
	s.get(Flows, "/v1/flows").is(200) // another key
	s.api.callers.leave("key:people", 0)
	s.get(People, "/v1/people").is(200)
}

// Bodies take memory while they are worked on: one caller gets half of what there
// is for them.
func TestBodiesOfOneCaller(t *testing.T) {
	s := newSite(t, options{})
	if !s.api.callers.enter("key:people", 5) || !s.api.callers.more("key:people", maxOctets/2) {
		t.Fatal("there is no room")
	}
	person := object{"addresses": []object{{"kind": "phone", "value": "385911"}}}
	a := s.post(People, "/v1/people", person).is(503)
	expect(t, "Retry-After", a.header.Get("Retry-After"), "1")
	s.get(People, "/v1/people").is(200)                                                     // it has no body
	s.post(Events, "/v1/people/385911/events", object{"name": "x", "create": true}).is(200) // another key
	s.api.callers.leave("key:people", maxOctets/2)
	s.post(People, "/v1/people", person).is(200)
	if s.api.callers.octets != 0 || len(s.api.callers.of) != 0 {
		t.Errorf("%d octets and %v are left", s.api.callers.octets, s.api.callers.of)
	}
}

// A panic is answered, and the log tells what it was under the id of the answer.
func TestPanic(t *testing.T) {
	s := newSite(t, options{change: nil})
	s.api.rt = nil
	a := s.get(People, "/v1/people/385911").is(500)
	id := a.header.Get("X-Request-Id")
	p := a.problem()
	expect(t, "instance", p.Instance, "urn:trunkline:request:"+id)
	if strings.Contains(p.Detail, "nil") || len(s.log.lines("a request panicked", id, "nil pointer")) != 1 {
		t.Errorf("answer %s; log %v", a.body, s.log.lines(id))
	}
}

// Every request that changes something, or tries to, is one line.
func TestAudit(t *testing.T) {
	s := newSite(t, options{})
	person := s.post(People, "/v1/people", object{"addresses": []object{{"kind": "phone", "value": "+385 91 123 456"}}}).is(201).field("id")
	s.get(People, "/v1/people/385911234567").is(404)
	s.send(request{method: "DELETE", path: "/v1/people/38591123456"}).is(401)
	s.send(request{scope: Events, method: "DELETE", path: "/v1/people/38591123456"}).is(403)
	s.send(request{scope: People, method: "DELETE", path: "/v1/people/38591123456"}).is(204)
	s.eventually("the audit log", func() bool { return len(s.log.lines("msg=audit")) == 4 })
	for _, want := range [][]string{
		{"key=key:people", "method=POST", "route=/v1/people", fmt.Sprint("person=", person), "status=201", "remote=127.0.0.1"},
		{`key=""`, "method=DELETE", "status=401"},
		{"key=key:events", "method=DELETE", "route=/v1/people/{ref}", "status=403"},
		{"key=key:people", "method=DELETE", "route=/v1/people/{ref}", fmt.Sprint("person=", person), "status=204"},
	} {
		if got := s.log.lines(append(want, "msg=audit")...); len(got) != 1 {
			t.Errorf("%v: %d lines of %q", want, len(got), s.log.lines("msg=audit"))
		}
	}
	if got := s.log.lines("385"); got != nil {
		t.Errorf("personal data is logged: %q", got)
	}
}

// Whoever has no key can't fill the disk with lines of the log.
func TestAuditOfStrangers(t *testing.T) {
	at := time.Now()
	s := newSite(t, options{now: func() time.Time { return at }})
	for range strangersBurst + 50 {
		s.send(request{method: "DELETE", path: "/v1/people/38591"}).is(401)
	}
	s.send(request{scope: Events, method: "DELETE", path: "/v1/people/38591"}).is(403)
	s.eventually("the audit log", func() bool { return len(s.log.lines("msg=audit", "key=key:events")) == 1 })
	expect(t, "lines", len(s.log.lines("msg=audit", `key=""`)), strangersBurst)
}

// A reload changes who may call.
func TestReload(t *testing.T) {
	s := newSite(t, options{})
	key, hash := NewKey()
	s.send(request{bearer: key, method: "GET", path: "/v1/flows"}).is(401)
	s.api.Reload(Config{Rate: 10, Keys: []Key{{Name: "new", Hash: hash, Scopes: []Scope{Flows}}}})
	s.send(request{bearer: key, method: "GET", path: "/v1/flows"}).is(200)
	s.get(Flows, "/v1/flows").is(401)
}

// A daemon that drains takes nothing new.
func TestDraining(t *testing.T) {
	s := newSite(t, options{})
	if err := s.rt.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for path, body := range map[string]any{
		"/v1/people":              object{"addresses": []object{{"kind": "phone", "value": "385911"}}},
		"/v1/people/38591/events": object{"name": "x", "create": true},
		"/v1/flows/invited/entries/api/participants": guests(1),
	} {
		a := s.post(Admin, path, body).is(503)
		if a.header.Get("Retry-After") == "" {
			t.Errorf("%s: nothing tells when to come again", path)
		}
	}
}
