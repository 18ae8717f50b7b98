package webhook

import (
	"errors"
	"testing"
	"time"
)

func TestEndpointValidate(t *testing.T) {
	for _, tt := range []struct {
		path   string
		change func(*Endpoint)
	}{
		{"", func(*Endpoint) {}},
		{"endpoint", func(e *Endpoint) { e.Name = "CRM" }},
		{"url", func(e *Endpoint) { e.URL = "ftp://crm.example" }},
		{"secrets", func(e *Endpoint) { e.Secrets = nil }},
		{"secrets[0]", func(e *Endpoint) { e.Secrets = make([]Secret, 1) }},
		{"events[1]", func(e *Endpoint) { e.Events = []string{"a", "a b"} }},
		{"events[0]", func(e *Endpoint) { e.Events = []string{"*"} }},
		{"events[0]", func(e *Endpoint) { e.Events = []string{"run*"} }},
	} {
		e := Endpoint{Name: "crm", URL: "https://crm.example/hook", Secrets: []Secret{NewSecret()}, Events: []string{"run.*", "message.sent"}}
		tt.change(&e)
		err := e.Validate()
		var f *FieldError
		if tt.path == "" && err != nil || tt.path != "" && (!errors.As(err, &f) || f.Path != tt.path) {
			t.Errorf("%q: %v", tt.path, err)
		}
	}
}

func TestEndpointWants(t *testing.T) {
	e := Endpoint{Events: []string{"run.*", "message.sent"}}
	for event, want := range map[string]bool{
		"run.finished": true, "run.exit.api": true, "message.sent": true,
		"run": false, "runs.finished": false, "message.sent.late": false, "call.ended": false,
	} {
		if e.Wants(event) != want {
			t.Errorf("%s: want %t", event, want)
		}
	}
	if every := (&Endpoint{}); !every.Wants("anything") {
		t.Error("without a list everything is wanted")
	}
}

func TestPayload(t *testing.T) {
	at := time.Date(2022, 11, 3, 21, 26, 10, 344522000, time.FixedZone("CET", 3600))
	b, err := Payload("example.event", at, map[string]any{"foo": "bar"})
	if want := `{"type":"example.event","timestamp":"2022-11-03T20:26:10.344522Z","data":{"foo":"bar"}}`; err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
	if _, err := Payload("not an event", at, nil); err == nil {
		t.Error("a type with spaces is taken")
	}
}

func TestNextAttempt(t *testing.T) {
	var since time.Duration
	n := 1
	for ; ; n++ {
		d, ok := NextAttempt(n)
		if !ok {
			break
		}
		since += d
		if s := Spread(d, "evt_1"); s < d || s > d+d/10 || s != Spread(d, "evt_1") {
			t.Errorf("%s is spread to %s", d, s)
		}
	}
	// The specification's table ends after ten attempts at 75:35:05.
	if want := 75*time.Hour + 35*time.Minute + 5*time.Second; n != 10 || since != want {
		t.Errorf("%d attempts in %s", n, since)
	}
	if _, ok := NextAttempt(0); ok {
		t.Error("there is a pause before the first attempt")
	}
}
