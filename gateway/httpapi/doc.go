// Package httpapi is the HTTP API: people, events, flows, the Flow API's
// participants and messages, as JSON over HTTP with errors after RFC 9457 and a
// description after OpenAPI 3.1 at /openapi.json.
//
// It owns the wire: who may call (keys, tokens, scopes), how much and how often
// (limits, rates), what a request must look like, and the audit log. What a
// request means is the runtime's business: every change is one of its causes,
// and is answered after it is durable. Unlike the edges of carriers it is a front
// of the engine itself, so it speaks the engine's types and no protocol of its own.
package httpapi
