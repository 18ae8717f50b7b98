package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"trunkline/gateway/httpapi"
)

// apiSite is the small configuration with the HTTP API and a flow that it leads to.
func apiSite(t *testing.T) (s *site, key string) {
	key, hash := httpapi.NewKey()
	files := maps.Clone(small)
	files["trunkline.yaml"] += `api:
  listen: "127.0.0.1:0"
  secret: sixteen letters or more
  keys:
    - {name: test, hash: "` + hash + `", scopes: [admin]}
storage: {reserve_mib: 16}
`
	files["flows/invited.yaml"] = `flow: invited
entries:
  - {id: api, type: flow_api, next: wait}
  - {id: bought, type: people_event, event: Bought, next: wait}
elements:
  wait: {type: pause, for: 24h}
`
	return newSite(t, files), key
}

var apiLine = regexp.MustCompile(`(?m)^  API    (http://[^/\s]+)/openapi.json$`)

// ask sends a request to the API and returns what it answers.
func (g *running) ask(key, method, path string, in any) (status int, out map[string]any) {
	g.site.Helper()
	m := apiLine.FindStringSubmatch(g.out.String())
	if m == nil {
		g.site.Fatalf("the daemon says nothing of the API:\n%s", g.out)
	}
	body, err := json.Marshal(in)
	if err != nil {
		g.site.Fatal(err)
	}
	req, err := http.NewRequest(method, m[1]+path, bytes.NewReader(body))
	if err != nil {
		g.site.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		g.site.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		g.site.Fatal(err)
	}
	if err := json.Unmarshal(text, &out); err != nil {
		g.site.Fatalf("%s %s: %d %s", method, path, res.StatusCode, text)
	}
	return res.StatusCode, out
}

// A1: whom a 202 promised to let in is in, once, also when the daemon is killed
// right after it.
func TestKillAfterAccepted(t *testing.T) { // E7
	t.Parallel()
	s, key := apiSite(t)
	g := s.start()
	var all []map[string]any
	for i := range 1000 {
		all = append(all, map[string]any{"identifyBy": map[string]any{"identifier": fmt.Sprintf("38591%07d", i), "type": "PHONE"}, "person": map[string]any{"externalId": fmt.Sprint("crm-", i)}})
	}
	const path = "/v1/flows/invited/entries/api/participants"
	status, out := g.ask(key, "POST", path, map[string]any{"participants": all})
	if status != 202 {
		t.Fatalf("%d %v", status, out)
	}
	g.signal(syscall.SIGKILL)
	g.wait(s)
	g = s.start()
	var report map[string]any
	eventually(s, "all participants are settled", func() bool {
		_, report = g.ask(key, "GET", fmt.Sprintf("%s/report?operationId=%v", path, out["operationId"]), nil)
		return report["pending"] == 0.0
	})
	if report["accepted"] != 1000.0 {
		t.Errorf("accepted: %v", report["accepted"])
	}
	if f := s.flow("invited"); f.Entered != 1000 || f.Inside != 1000 {
		t.Errorf("entered %d, inside %d", f.Entered, f.Inside)
	}
	g.stop()
}

func TestPeopleTools(t *testing.T) {
	t.Parallel()
	s, key := apiSite(t)
	g := s.start()
	s.refused([]string{"nobody is known"}, "person", "set", "385911", "shoeSize=42")
	if out := s.must("person", "set", "385911", "shoeSize=42", "--tag", "vip,new", "--create"); !strings.Contains(out, "vip") {
		t.Errorf("person set printed %s", out)
	}
	s.refused([]string{"hatSize", "shoeSize"}, "person", "set", "385911", "hatSize=1", "shoeSize=big")
	s.must("person", "set", "385911", "shoeSize=", "firstName=7", "--untag", "NEW")
	p := s.person("385911")
	if fmt.Sprint(p.Attributes, p.Tags) != "map[firstName:7] [vip]" {
		t.Errorf("%v %v", p.Attributes, p.Tags)
	}
	if out := s.must("event", "send", "--person", "385911", "--id", "1", "Bought", "total=12.50", "at=2026-01-01T00:00:00Z"); !strings.HasPrefix(out, "accepted for ") {
		t.Errorf("event send printed %s", out)
	}
	if out := s.must("event", "send", "--person", "385911", "--id", "1", "Bought"); !strings.HasPrefix(out, "repeated for ") {
		t.Errorf("event send printed %s", out)
	}
	s.refused([]string{"NAME=VALUE"}, "event", "send", "--person", "385911", "Bought", "total")
	if f := s.flow("invited"); f.Inside != 1 {
		t.Errorf("inside: %d", f.Inside)
	}
	show := s.must("flow", "show", "invited")
	m := regexp.MustCompile(`POST (\S+)\n  Authorization: Bearer (\S+)`).FindStringSubmatch(show)
	if m == nil {
		t.Fatalf("flow show tells no token:\n%s", show)
	}
	if status, out := g.ask(m[2], "POST", m[1], map[string]any{"participants": []any{map[string]any{}}}); status != 202 {
		t.Errorf("with the token: %d %v", status, out)
	}
	s.refused([]string{"--yes"}, "person", "erase", "385911")
	s.must("person", "erase", "385911", "--yes")
	s.refused([]string{"nobody is known"}, "person", "show", "385911")
	s.edit("trunkline.yaml", "name: test", "name: other") // keys follow a reload
	s.must("reload")
	if status, _ := g.ask(key, "GET", "/v1/flows", nil); status != 200 {
		t.Errorf("after a reload: %d", status)
	}
	g.stop()
}

func TestAPIKey(t *testing.T) {
	t.Parallel()
	s := newSite(t, small)
	out := s.must("api", "key", "crm", "--scope", "people,events")
	secret := regexp.MustCompile(`(?m)^  (tlk_\S+)$`).FindStringSubmatch(out)
	hash := regexp.MustCompile(`hash: (sha256:[0-9a-f]{64})`).FindStringSubmatch(out)
	if secret == nil || hash == nil || !strings.Contains(out, "scopes: [people, events]") {
		t.Fatalf("%s", out)
	}
	s.write("trunkline.yaml", small["trunkline.yaml"]+out[strings.Index(out, "api:"):])
	s.must("check")
	s.refused([]string{"dance"}, "api", "key", "crm", "--scope", "dance")
	s.refused([]string{"a b"}, "api", "key", "a b", "--scope", "people")
}

func TestAPISettings(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"api: {listen: nowhere}":                         "api.listen",
		"api: {secret: short}":                           "api.secret",
		"api: {tls: {cert: none.pem, key: none.pem}}":    "api.tls",
		"api: {keys: [{name: a, hash: x, scopes: [x]}]}": "does not fit (SHA-256 of the key)",
		"api: {keys: [{name: a, hash: sha256:" + strings.Repeat("0", 64) + ", scopes: [people]}, {name: a, hash: sha256:" + strings.Repeat("0", 64) + ", scopes: [events]}]}": "is the hash of keys[0]",
	} {
		s := newSite(t, small)
		s.write("trunkline.yaml", small["trunkline.yaml"]+text+"\n")
		if errs := s.refused(nil, "check"); !strings.Contains(strings.NewReplacer("\n", " ").Replace(errs), want) {
			t.Errorf("%s:\n%s", text, errs)
		}
	}
}
