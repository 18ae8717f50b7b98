package httpapi

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write the golden file")

// The description is what testdata/openapi.json says. `go test -update` writes it.
func TestDescription(t *testing.T) {
	s := newSite(t, options{})
	a := s.send(request{method: "GET", path: "/openapi.json"}).is(200)
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, a.body, "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	const golden = "testdata/openapi.json"
	if *update {
		if err := os.WriteFile(golden, pretty.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, pretty.Bytes()) {
		t.Errorf("the description is not what %s says; if the change is meant, run go test ./gateway/httpapi -run TestDescription -update", golden)
	}
	yaml := s.send(request{method: "GET", path: "/openapi.yaml"}).is(200)
	if !strings.Contains(string(yaml.body), "openapi: 3.1.0") {
		t.Errorf("YAML: %.100s", yaml.body)
	}
}

// Every route is described, and the description holds together: references lead
// somewhere, ids are unique, parameters of paths are declared, schemas are schemas.
func TestDescriptionIsSound(t *testing.T) {
	s := newSite(t, options{})
	text := s.send(request{method: "GET", path: "/openapi.json"}).is(200).body
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	root := doc.(object)
	expect(t, "openapi", fmt.Sprint(root["openapi"]), "3.1.0")
	var routes []string
	ids := map[string]bool{}
	inPath := regexp.MustCompile(`\{([a-z]+)\}`)
	for path, item := range root["paths"].(object) {
		for method, o := range item.(object) {
			op := o.(object)
			routes = append(routes, strings.ToUpper(method)+" "+path)
			id := op["operationId"].(string)
			if ids[id] || op["summary"] == "" {
				t.Errorf("%s %s: id %q is taken, or there is no summary", method, path, id)
			}
			ids[id] = true
			if op["security"] == nil || op["responses"].(object)["default"] == nil {
				t.Errorf("%s %s says nothing of security or errors", method, path)
			}
			var declared []string
			parameters, _ := op["parameters"].([]any)
			for _, p := range parameters {
				if p := p.(object); p["in"] == "path" {
					declared = append(declared, p["name"].(string))
					expect(t, path+": required", p["required"], any(true))
				}
			}
			for _, m := range inPath.FindAllStringSubmatch(path, -1) {
				if !slices.Contains(declared, m[1]) {
					t.Errorf("%s %s does not declare %s", method, path, m[1])
				}
			}
		}
	}
	slices.Sort(routes)
	if got, want := strings.Join(routes, "\n"), strings.TrimSpace(allRoutes); got != want {
		t.Errorf("routes:\n%s\nwant:\n%s", got, want)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	for name := range root["components"].(object)["schemas"].(object) {
		if _, err := c.Compile("openapi.json#/components/schemas/" + name); err != nil {
			t.Errorf("schema %s: %v", name, err)
		}
	}
	for _, m := range regexp.MustCompile(`"\$ref":"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
		if root["components"].(object)["schemas"].(object)[m[1]] == nil {
			t.Errorf("there is no schema %s", m[1])
		}
	}
}

const allRoutes = `
DELETE /v1/flows/{flow}/participants
DELETE /v1/people/{ref}
DELETE /v1/people/{ref}/tags/{tag}
GET /v1/broadcasts
GET /v1/broadcasts/{broadcast}
GET /v1/broadcasts/{broadcast}/estimate
GET /v1/broadcasts/{broadcast}/report
GET /v1/flows
GET /v1/flows/{flow}
GET /v1/flows/{flow}/entries/{entry}/participants/report
GET /v1/flows/{flow}/results
GET /v1/flows/{flow}/runs
GET /v1/flows/{flow}/stats
GET /v1/flows/{flow}/versions
GET /v1/imports/{import}
GET /v1/imports/{import}/faults
GET /v1/links
GET /v1/messages/{id}
GET /v1/messages/{id}/links
GET /v1/people
GET /v1/people/{ref}
GET /v1/people/{ref}/events
GET /v1/people/{ref}/export
GET /v1/people/{ref}/history
GET /v1/segments
GET /v1/segments/{segment}
GET /v1/segments/{segment}/people
GET /v1/webhooks
GET /v1/webhooks/dead
PATCH /v1/people/{ref}
POST /v1/broadcasts
POST /v1/broadcasts/{broadcast}/approve
POST /v1/broadcasts/{broadcast}/cancel
POST /v1/broadcasts/{broadcast}/pause
POST /v1/broadcasts/{broadcast}/recipients
POST /v1/broadcasts/{broadcast}/resume
POST /v1/broadcasts/{broadcast}/start
POST /v1/events
POST /v1/flows/{flow}/elements/{element}/winner
POST /v1/flows/{flow}/entries/{entry}/participants
POST /v1/flows/{flow}/pause
POST /v1/flows/{flow}/resume
POST /v1/flows/{flow}/start
POST /v1/flows/{flow}/stop
POST /v1/imports
POST /v1/imports/{import}/rows
POST /v1/messages
POST /v1/people
POST /v1/people/search
POST /v1/people/{ref}/events
POST /v1/people/{ref}/merge
POST /v1/segments/{segment}/recompute
POST /v1/webhooks/replay
PUT /v1/people/{ref}/tags/{tag}
`

// What the API answers fits its own description.
func TestAnswersFitTheDescription(t *testing.T) {
	s := newSite(t, options{})
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(s.send(request{method: "GET", path: "/openapi.json"}).is(200).body))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	operation := s.post(Flows, participants, guests(3)).is(202).field("operationId")
	s.report(operation)
	for schema, a := range map[string]*answer{
		"Person":  s.get(People, "/v1/people/external:crm-1").is(200),
		"Flow":    s.get(Flows, "/v1/flows/invited").is(200),
		"Report":  s.get(Flows, participants+"/report?operationId="+fmt.Sprint(operation)).is(200),
		"Problem": s.get(People, "/v1/people?limit=0").is(422),
	} {
		compiled, err := c.Compile("openapi.json#/components/schemas/" + schema)
		if err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(a.body))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiled.Validate(v); err != nil {
			t.Errorf("%s: %v\n%s", schema, err, a.body)
		}
	}
}
