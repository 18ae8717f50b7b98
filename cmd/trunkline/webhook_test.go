package main

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"trunkline/gateway/httpapi"
	"trunkline/gateway/webhook"
)

// receiver is a system that hears webhooks, and checks their signatures.
type receiver struct {
	*httptest.Server
	t      *testing.T
	secret webhook.Secret

	mu     sync.Mutex
	status int               // that it answers
	heard  map[string]string // payloads that it took, by id
	asked  int
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t, secret: webhook.NewSecret(), status: http.StatusOK, heard: map[string]string{}}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	if err := webhook.Verify(req.Header, body, time.Now(), webhook.Tolerance, r.secret); err != nil {
		r.t.Error(err)
	}
	if r.status == http.StatusOK {
		r.heard[req.Header.Get("Webhook-Id")] = string(body)
	}
	w.WriteHeader(r.status)
}

func (r *receiver) answers(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

// types lists the types of what it heard.
func (r *receiver) types() (types []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, payload := range r.heard {
		var p struct{ Type string }
		if err := json.Unmarshal([]byte(payload), &p); err != nil {
			r.t.Error(err)
		}
		types = append(types, p.Type)
	}
	slices.Sort(types)
	return types
}

// Systems hear of messages, runs, goals and clicks, signed; what they missed can
// be replayed; one that is gone does not hold up the other.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	good, bad := newReceiver(t), newReceiver(t)
	bad.answers(http.StatusGone)
	s, key := apiSite(t)
	s.edit("trunkline.yaml", "storage:", `links: {listen: "127.0.0.1:0", base_url: "https://l.example"}
http: {allow_private: ["127.0.0.0/8"]}
webhooks:
  - {endpoint: crm, url: "`+good.URL+`/hook", secrets: ["`+good.secret.Reveal()+`"]}
  - {endpoint: bi, url: "`+bad.URL+`", secrets: ["`+bad.secret.Reveal()+`"], events: [run.*, goal.converted], flows: [offer]}
storage:`)
	s.write("flows/offer.yaml", offerFlow+"goals: [{id: looked, event: link_clicked}]\n")
	g := s.start()
	token := shortLink.FindStringSubmatch(g.simulate("shop"))[1]
	eventually(t, "the flow waits for a click", func() bool {
		p := s.person("385911234567")
		return len(p.Runs) == 1 && p.Runs[0].Element == "wait"
	})
	g.follow("GET", token, phoneAgent)
	want := []string{"goal.converted", "link.clicked", "message.accepted", "message.received", "run.entered", "run.exited"}
	eventually(t, "the system has heard of all", func() bool { // a delivery report may come too
		types := slices.DeleteFunc(good.types(), func(s string) bool { return s == "message.delivered" })
		return slices.Equal(types, want)
	})
	var dead deadPage
	eventually(t, "the other's are dead", func() bool {
		s.decode(s.must("webhook", "dead", "--json"), &dead)
		return dead.Total == 3
	})
	if d := dead.Webhooks[0]; d.Endpoint != "bi" || !strings.Contains(d.Reason, "410") {
		t.Errorf("%+v", d)
	}
	if out := s.must("webhook", "dead", "--endpoint", "crm"); !strings.Contains(out, "everything was delivered") {
		t.Error(out)
	}
	if status, out := g.ask(key, "GET", "/v1/webhooks/dead?endpoint=bi&limit=1", nil); status != http.StatusOK || out["total"] != 3.0 {
		t.Errorf("%d %v", status, out)
	}
	bad.answers(http.StatusOK)
	g.stop()
	g = s.start() // what is dead is durable
	defer g.stop()
	if out := s.must("webhook", "replay", dead.Webhooks[0].ID); !strings.HasPrefix(out, "1 webhook") {
		t.Error(out)
	}
	if status, out := g.ask(key, "POST", "/v1/webhooks/replay", map[string]any{"endpoint": "bi"}); status != http.StatusOK || out["replayed"] != 2.0 {
		t.Errorf("%d %v", status, out)
	}
	eventually(t, "the other has heard too", func() bool {
		return slices.Equal(bad.types(), []string{"goal.converted", "run.entered", "run.exited"})
	})
	s.refused([]string{"no undelivered webhook fits"}, "webhook", "replay", "--all")
	s.refused([]string{"say which"}, "webhook", "replay")
	var all []httpapi.Webhook
	eventually(t, "the answers are counted", func() bool {
		s.decode(s.must("webhook", "list", "--json"), &all)
		return len(all) == 2 && all[0].Delivered == 3
	})
	if all[0].Endpoint != "bi" || all[0].Circuit != "closed" {
		t.Errorf("%+v", all)
	}
	if status, out := g.ask(key, "GET", "/v1/webhooks", nil); status != http.StatusOK || len(out["webhooks"].([]any)) != 2 {
		t.Errorf("%d %v", status, out)
	}
}

// What is wrong with a webhook is told with its place.
func TestCheckWebhooks(t *testing.T) {
	t.Parallel()
	secret := webhook.NewSecret().Reveal()
	for settings, want := range map[string]string{
		`{endpoint: a, url: "ftp://x.example", secrets: ["` + secret + `"]}`:                                                                         `webhooks[0].url: the scheme "ftp"`,
		`{endpoint: a, url: "https://x.example", secrets: ["whsec_short"]}`:                                                                          `webhook's secret`,
		`{endpoint: a, url: "https://x.example", secrets: ["` + secret + `"], events: [message.sent]}`:                                               `there is no event "message.sent"; there are message.accepted`,
		`{endpoint: a, url: "https://x.example", secrets: ["` + secret + `"], flows: [helo]}`:                                                        `there is no flow "helo"`,
		`{endpoint: A, url: "https://x.example", secrets: ["` + secret + `"]}`:                                                                       `endpoint`,
		`{endpoint: a, url: "https://x.example", secrets: ["` + secret + `"]}, {endpoint: a, url: "https://x.example", secrets: ["` + secret + `"]}`: `webhook "a" is there already`,
	} {
		files := maps.Clone(small)
		files["trunkline.yaml"] += "webhooks: [" + settings + "]\n"
		newSite(t, files).refused([]string{"trunkline.yaml:", want}, "check")
	}
}
