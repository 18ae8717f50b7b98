package httpapi

import (
	"context"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// apiConfig is the description of the API without its operations. There is no
// page of documentation: the usual ones load scripts from elsewhere.
func apiConfig(version string) huma.Config {
	if version == "" {
		version = "dev"
	}
	c := huma.DefaultConfig("Trunkline", version)
	c.Info.Description = "People, events, flows and messages of a Trunkline gateway. Errors are application/problem+json (RFC 9457). " +
		"A person is named by id, or as phone:385911234567, email:ann@example.com or external:crm-42. " +
		"A change is durable when it is answered."
	c.DocsPath, c.SchemasPath, c.CreateHooks = "", "", nil
	c.RejectUnknownQueryParameters = true
	c.Transformers = []huma.Transformer{problems}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key":   {Type: "http", Scheme: "bearer", Description: "A key of the configuration, with one of the scopes people, events, flows, messages, broadcasts and admin."},
		"token": {Type: "http", Scheme: "bearer", Description: "The token of an entry point; GET /v1/flows/{flow} shows it."},
	}
	c.Tags = []*huma.Tag{
		{Name: "people", Description: "Profiles, tags, history, erasure."}, {Name: "events", Description: "What people did elsewhere."},
		{Name: "segments", Description: "Conditions on people with a name, and who fits them."},
		{Name: "flows", Description: "State and counters."}, {Name: "participants", Description: "Let people into a flow, and take them out."},
		{Name: "messages", Description: "Send without a flow; short links of messages."}, {Name: "broadcasts", Description: "One message to many."},
		{Name: "webhooks", Description: "Endpoints that are told of events."},
	}
	return c
}

// route is one operation.
type route struct {
	id, method, path string
	tag, summary     string
	about            string
	scope            Scope
	token            bool // the entry point's token opens it as well
	status           int  // of success; 0: 200
}

// operate adds an operation to the API.
func operate[I, O any](s *Server, r route, handler func(context.Context, *I) (*O, error)) {
	problem := &huma.Schema{Ref: "#/components/schemas/Problem"}
	_ = s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	security := []map[string][]string{{"key": {string(r.scope)}}}
	if r.token {
		security = append(security, map[string][]string{"token": {}})
	}
	op := huma.Operation{
		OperationID: r.id, Method: r.method, Path: r.path, Tags: []string{r.tag}, Summary: r.summary, Description: r.about,
		DefaultStatus: r.status, MaxBodyBytes: MaxBody + 1, BodyReadTimeout: bodyTime, Security: security,
		Metadata: map[string]any{"access": access{r.scope, r.token}},
		Responses: map[string]*huma.Response{"default": {
			Description: "What is wrong.", Content: map[string]*huma.MediaType{problemType: {Schema: problem}},
		}},
	}
	if _, raw := reflect.TypeFor[I]().FieldByName("RawBody"); raw {
		op.SkipValidateBody = true
	}
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		return out, refusal(err)
	})
}

// describeBody tells in the description what a body looks like that an operation
// reads by itself.
func describeBody[B any](s *Server, path string) {
	api := s.api.OpenAPI()
	schema := api.Components.Schemas.Schema(reflect.TypeFor[B](), true, "")
	api.Paths[path].Post.RequestBody.Content["application/json"] = &huma.MediaType{Schema: schema}
}

// tidy removes what huma describes and we never answer.
func tidy(api *huma.OpenAPI) {
	for _, name := range []string{"ErrorModel", "ErrorDetail"} {
		delete(api.Components.Schemas.Map(), name)
	}
}

func (s *Server) routes() {
	s.peopleRoutes()
	s.importRoutes()
	s.segmentRoutes()
	s.eventRoutes()
	s.flowRoutes()
	s.resultRoutes()
	s.runRoutes()
	s.versionRoutes()
	s.participantRoutes()
	s.messageRoutes()
	s.linkRoutes()
	s.webhookRoutes()
	s.broadcastRoutes()
}

// none is the answer of operations that have nothing to tell.
type none struct{}

const (
	get    = http.MethodGet
	post   = http.MethodPost
	patch  = http.MethodPatch
	put    = http.MethodPut
	remove = http.MethodDelete
)
