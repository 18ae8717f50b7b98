package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"
	"time"
)

// endpointTimeout is for one delivery (Standard Webhooks, "Request timeouts",
// asks for 15 to 30 seconds).
const endpointTimeout = 15 * time.Second

// Endpoint is a system that wants to hear of events.
type Endpoint struct {
	Name    string   `yaml:"endpoint" doc:"Stable name of the endpoint: a–z, 0–9 and - (at most 64 characters)." required:"true" pattern:"^[a-z0-9-]{1,64}$"`
	URL     string   `yaml:"url" doc:"http or https address that events are posted to." required:"true" max:"2048"`
	Secrets []Secret `yaml:"secrets" doc:"Secrets that deliveries are signed with, whsec_…, best as ${file:…}; two during a rotation." secret:"true" min:"1" max:"10"`
	Events  []string `yaml:"events" doc:"Types of events that are sent, such as run.finished, or run.* for all that begin so; every one when left out." max:"100"`
}

// Validate returns every fault of the endpoint as a *[FieldError], joined.
func (e *Endpoint) Validate() error {
	var f faults
	if e.Name == "" || len(e.Name) > 64 || strings.Trim(e.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		f.add("endpoint", "%.70q is not 1–64 characters of a–z, 0–9 and -", e.Name)
	}
	if err := CheckURL(e.URL); err != nil {
		f.add("url", "%s", strings.TrimPrefix(err.Error(), "url: "))
	}
	if len(e.Secrets) == 0 || len(e.Secrets) > maxSecrets {
		f.add("secrets", "%d are not between 1 and %d", len(e.Secrets), maxSecrets)
	}
	for i, s := range e.Secrets {
		if s.IsZero() {
			f.add(fmt.Sprintf("secrets[%d]", i), "it is empty")
		}
	}
	for i, pattern := range e.Events {
		if !eventType(strings.TrimSuffix(pattern, ".*")) {
			f.add(fmt.Sprintf("events[%d]", i), "%.60q is not parts of letters, digits and _ with full stops between, nor ends with .*", pattern)
		}
	}
	return errors.Join(f...)
}

// eventType says that s is formed as the specification recommends ("Event types").
func eventType(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || strings.Trim(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
			return false
		}
	}
	return true
}

// Wants says that events of a type are sent to the endpoint.
func (e *Endpoint) Wants(event string) bool {
	for _, pattern := range e.Events {
		group, all := strings.CutSuffix(pattern, "*")
		if pattern == event || all && strings.HasPrefix(event, group) {
			return true
		}
	}
	return len(e.Events) == 0
}

// Request is one durable attempt to deliver an event. Attempts after it are the
// caller's, see [NextAttempt]: none is made within the edge.
func (e *Endpoint) Request(id string, payload []byte) Request {
	return Request{
		ID: id, Method: http.MethodPost, URL: e.URL, Body: payload, Sign: e.Secrets, Timeout: endpointTimeout, Retries: NoRetries,
	}
}

// Payload is the body of a webhook (Standard Webhooks, "Payload structure"): the
// type of the event, when it happened, and what is to be told about it.
func Payload(event string, at time.Time, data any) ([]byte, error) {
	if !eventType(event) {
		return nil, fmt.Errorf("webhook: %.60q is no type of an event, such as run.finished", event)
	}
	return json.Marshal(struct {
		Type      string    `json:"type"`
		Timestamp time.Time `json:"timestamp"`
		Data      any       `json:"data"`
	}{event, at.UTC(), data})
}

// pauses follow the first attempt (Standard Webhooks, "Deliverability and
// reliability").
var pauses = [...]time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// NextAttempt is the pause before a webhook is delivered again after n attempts
// failed, n being at least 1. It is false after the tenth: the webhook is dead
// and is to be shown to an operator. The caller waits longer where
// Response.RetryAfter says so, and applies [Spread].
func NextAttempt(n int) (time.Duration, bool) {
	if n < 1 || n > len(pauses) {
		return 0, false
	}
	return pauses[n-1], true
}

// Spread lengthens a pause by up to a tenth, always the same for one id, so that
// what failed together is not delivered again at the same moment.
func Spread(pause time.Duration, id string) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(id))
	const steps = 1000
	return pause + pause/10/steps*time.Duration(h.Sum64()%steps)
}
