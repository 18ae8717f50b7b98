// Package smpp is the gateway's SMPP 3.4 edge: the server to which carriers
// bind, the client that binds to message centres, and the sender that shares
// messages out among them.
//
// It owns sessions: binding, windows, timers, rates, routing, segmentation,
// receipts, and the answer to everything a peer may do wrong. It refuses to
// know flows, persons and storage: what comes in goes to a [gateway.Core], and
// is acknowledged when the core says that it is durable, not before.
//
// Octets are the business of the package pdu, alphabets and parts that of text,
// delivery receipts that of receipt.
//
// Where to read first: edge.go for the life of everything, session.go and
// window.go for one connection, handle.go for what is answered to what,
// carrier.go and outbound.go for the way out, inbound.go for the way in.
package smpp
