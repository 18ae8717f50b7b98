package flowengine

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	portSuccess = "success"
	portFailure = "failure"

	// ChannelHTTP is the channel of requests to APIs: To is the URL, Text an
	// APIRequest as JSON.
	ChannelHTTP = "http"
)

// CallAPI calls an API over HTTP (rule X9). The first level of a JSON answer can
// become variables of the run.
type CallAPI struct {
	URL     string             `yaml:"url" required:"true" max:"2048" doc:"Address, a Liquid template; values in it are best sent through the filter url_encode."`
	Method  string             `yaml:"method" enum:"GET,POST,PUT,PATCH,DELETE" default:"POST" doc:"Method of the request."`
	Headers map[string]string  `yaml:"headers" max:"50" doc:"Header fields; values are Liquid templates."`
	JSON    map[string]Setting `yaml:"json" max:"100" doc:"Body as a JSON object: constants and ${…} with expressions over person, inbound, event, vars and now."`
	Body    string             `yaml:"body" doc:"Body as a Liquid template, in place of json."`
	Collect bool               `yaml:"collect" default:"true" doc:"Make variables of the first level of the JSON answer: texts, numbers, true and false."`
	Timeout time.Duration      `yaml:"timeout" default:"10s" min:"1s" max:"60s" doc:"Time for one attempt."`
	Speed   *Speed             `yaml:"speed" doc:"How fast requests are made, in the order in which persons came. The rest waits."`
	Retries int                `yaml:"retries" default:"3" min:"0" max:"3" doc:"Further attempts after a timeout, 429 or 5xx."`

	url     *Template
	body    *Template
	headers []headerTemplate
	fields  []write
}

type headerTemplate struct {
	name  string
	value *Template
}

// APIRequest is a request as it travels to the edge that makes it.
type APIRequest struct {
	Method  string        `json:"method"`
	Headers [][2]string   `json:"headers,omitempty"`
	Body    string        `json:"body,omitempty"`
	Timeout time.Duration `json:"timeout"`
	Retries int           `json:"retries"`
	Collect bool          `json:"collect,omitempty"`
}

var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$") // RFC 9110 §5.6.2

// Ports lists the outcomes of the element.
func (e *CallAPI) Ports() []string { return []string{portSuccess, portFailure, portRenderError} }

// Check prepares the parts of the request.
func (e *CallAPI) Check(c *Checker) {
	e.url = c.Template(e.URL, false, "url")
	if fixed, _, _ := strings.Cut(e.URL, "{"); !strings.HasPrefix(fixed, "https://") && !strings.HasPrefix(fixed, "http://") {
		c.ErrorfAt([]any{"url"}, "an address begins with https:// or http://, and not with a value")
	} else {
		c.requests(e.URL, "url")
	}
	e.Speed.check(c, "speed")
	if e.Body != "" && e.JSON != nil {
		c.ErrorfAt([]any{"body"}, "say either `json` or `body`")
	}
	if e.Body != "" {
		e.body = c.Template(e.Body, false, "body")
	}
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		if !headerName.MatchString(name) {
			c.ErrorfAt([]any{"headers", name}, "%q is not the name of a header field", name)
		}
		e.headers = append(e.headers, headerTemplate{name, c.Template(e.Headers[name], false, "headers", name)})
	}
	for _, name := range slices.Sorted(maps.Keys(e.JSON)) {
		at := []any{"json", name}
		w := write{attribute: name}
		if s := e.JSON[name]; s.Source != "" {
			w.computed = c.Expression(s.Source, at...)
		} else if v, err := infer(s.Constant); err != nil {
			c.ErrorfAt(at, "%v", err)
		} else {
			w.constant = v
		}
		e.fields = append(e.fields, w)
	}
}

// Arrive makes the request and waits for its answer.
func (e *CallAPI) Arrive(x *Passage) Outcome {
	address, request, err := e.compose(x)
	if err != nil {
		x.Log(NotSent, NotSentRenderError+": "+err.Error())
		return Take(portRenderError)
	}
	return WaitForSend(x.Send(Send{
		Channel: ChannelHTTP, To: address, Text: request, Expires: x.Now.Add(MaxValidity), Pacing: e.Speed.pacing(0, MaxValidity, nil, nil),
	}))
}

func (e *CallAPI) compose(x *Passage) (address, request string, err error) {
	if address, err = e.url.Render(x); err != nil {
		return "", "", err
	}
	r := APIRequest{Method: e.Method, Timeout: e.Timeout, Retries: e.Retries, Collect: e.Collect}
	for _, h := range e.headers {
		value, err := h.value.Render(x)
		if err != nil {
			return "", "", err
		}
		r.Headers = append(r.Headers, [2]string{h.name, value})
	}
	switch {
	case e.body != nil:
		r.Body, err = e.body.Render(x)
	case e.fields != nil:
		r.Body, err = e.object(x)
		r.Headers = append(r.Headers, [2]string{"Content-Type", "application/json"})
	}
	if err != nil {
		return "", "", err
	}
	b, err := json.Marshal(r)
	return address, string(b), err
}

// object is the body as JSON. A missing value is null.
func (e *CallAPI) object(x *Passage) (string, error) {
	fields := make(map[string]any, len(e.fields))
	for _, w := range e.fields {
		if w.computed == nil {
			fields[w.attribute] = w.constant.Any()
			continue
		}
		v, err := w.computed.Value(x)
		if err != nil {
			return "", fmt.Errorf("%s: %w", w.attribute, err)
		}
		fields[w.attribute] = v
	}
	b, err := json.Marshal(fields)
	return string(b), err
}

// Resume goes on with the answer; its variables become those of the run.
func (e *CallAPI) Resume(x *Passage, c Cause) Outcome {
	r, ok := c.(*SendResult)
	if !ok || !r.Accepted {
		return Take(portFailure)
	}
	writes, values := make([]write, len(r.Vars)), make([]Value, len(r.Vars))
	for i, v := range r.Vars {
		writes[i], values[i] = write{attribute: v.Name}, v.Value
	}
	if !x.SetVars(writes, values) {
		return Take(portFailure)
	}
	return Take(portSuccess)
}
