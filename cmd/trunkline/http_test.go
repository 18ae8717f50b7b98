package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// X9, M3: a flow calls an API of the outside, and says what it answered; a private
// address that nobody allowed is refused.
func TestCallAPI(t *testing.T) {
	var tries atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var in struct {
			Size int `json:"size"`
		}
		if tries.Add(1) == 1 || json.Unmarshal(body, &in) != nil || r.Header.Get("Idempotency-Key") == "" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"price": in.Size * 2, "name": "boots"})
	}))
	defer server.Close()
	flow := `
flow: price
entries: [{id: e, type: inbound_message, number: "38591000001", keywords: [price, blocked], match: first_word, next: ask}]
elements:
  ask: {type: call_api, url: "URL/prices", json: {size: "${inbound.number}"}, on: {success: tell, failure: sorry}}
  tell: {type: send_sms, text: "{{ vars.name }} cost {{ vars.price }}"}
  sorry: {type: send_sms, text: "Not today"}
`
	hidden := strings.Replace(server.URL, "127.0.0.1", "{{ '127.0.0.1' }}", 1) // else the flow is not loaded
	for _, c := range []struct{ name, http, url, want string }{
		{"allowed", "http: {allow_private: [\"127.0.0.0/8\"]}\n", server.URL, "boots cost 84"},
		{"refused", "", hidden, "Not today"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, example(t))
			s.edit("trunkline.yaml", "smpp:\n", c.http+"smpp:\n")
			s.write("flows/price.yaml", strings.Replace(flow, "URL", c.url, 1))
			g := s.start()
			defer g.stop()
			if out := g.simulate("price 42"); !strings.Contains(out, ": "+c.want+"\n") {
				t.Errorf("got %q, want %q", out, c.want)
			}
		})
	}
}
