// Package host carries calls: it runs the ivr machine of each call over the legs
// of package sip and the sessions of package rtp. It plays, records, listens for
// keys, dials by the rules of forwarding, and keeps a record of every leg.
//
// It refuses to know flows: the core (gateway.CallCore) says what to do next and
// hears what came of it. Nothing on the way of the sound waits for the core.
//
// Where to read first: host.go for the life of calls, call.go for how commands of
// the machine are carried out and events reach it, forward.go for who may be dialled.
package host
