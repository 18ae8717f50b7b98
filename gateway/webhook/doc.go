// Package webhook is the gateway's outgoing HTTP edge: it carries out the calls
// of the element Call API (rule X9) and delivers webhooks that are signed after
// the Standard Webhooks specification 1.0.0 (https://www.standardwebhooks.com).
//
// It owns where a request may go (guard), how many go at once and in which
// order (schedule), attempts and pauses between them, redirects, the bounds of
// what is read, signatures, and the variables of a JSON answer. It refuses to
// know flows, persons and storage: a [Request] goes in, one [Response] comes
// out. Nothing is durable here; an answer for which [Response.Again] holds asks
// the caller to hand the same request in later.
//
// A request may reach its server more than once, each time with the same
// Idempotency-Key: delivery is at least once.
package webhook
