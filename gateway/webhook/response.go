package webhook

import (
	"net/http"
	"time"
)

// Failure says why a request did not succeed. It is also a label of metrics.
type Failure string

// The failures; the empty one is success.
const (
	FailureStatus     Failure = "status"          // the answer's status is not 2xx
	FailureTimeout    Failure = "timeout"         // the answer did not come, or not whole, in time
	FailureConnection Failure = "connection"      // no connection, it broke, or what came was not HTTP
	FailureDNS        Failure = "dns"             // the host has no address
	FailureTLS        Failure = "tls"             // the server did not prove who it is
	FailureRefused    Failure = "refused_address" // the address or port is not one that requests may go to
	FailureRedirect   Failure = "redirect"        // too many, from https to http, or to no proper URL
	FailureTooLarge   Failure = "too_large"       // the body, or an answer whose variables were wanted
	FailureInvalid    Failure = "invalid"         // the request could not be made; see Detail
	FailureExpired    Failure = "expired"         // Expires came before the first attempt
	FailureOverload   Failure = "overload"        // the queue is full
	FailureStopping   Failure = "stopping"        // the daemon stops, or the caller's context ended
)

// Response is what became of a request.
type Response struct {
	// Err is empty for an answer with a status of 2xx.
	Err    Failure
	Detail string // for people: what went wrong; at most 200 characters, without paths, queries and bodies
	// Status is that of the last answer, and 0 when the last attempt had none.
	Status    int
	Header    http.Header    // of the last answer
	Body      []byte         // of the last answer, at most the configured size
	Truncated bool           // the answer was longer
	Vars      map[string]any // string, int64, [Decimal] or bool; nil unless Request.Collect and a JSON object came
	// Attempts is how many were made. With 0 nothing was sent.
	Attempts int
	// RetryAfter is what the last answer asked for, at most a day.
	RetryAfter time.Duration
	Elapsed    time.Duration // since Do

	absent bool // the host does not exist
}

// OK says that the server took the request.
func (r *Response) OK() bool { return r.Err == "" }

// Again says that the edge had no time for the request: the same one may be
// handed in later, and is not to be counted as a failure of the server.
func (r *Response) Again() bool { return r.Err == FailureOverload || r.Err == FailureStopping }

// Gone says that the server wants no more webhooks: the endpoint is to be
// switched off (Standard Webhooks, "Delivery success and failure").
func (r *Response) Gone() bool { return r.Status == http.StatusGone }

// outcome is the label for metrics: a failure, with the class of the status, or ok.
func (r *Response) outcome() string {
	switch {
	case r.Err == "":
		return "ok"
	case r.Err != FailureStatus:
		return string(r.Err)
	case r.Status == http.StatusTooManyRequests:
		return "status_429"
	case r.Status >= 500:
		return "status_5xx"
	case r.Status >= 400:
		return "status_4xx"
	case r.Status >= 300:
		return "status_3xx"
	}
	return "status_1xx"
}
