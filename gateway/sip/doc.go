// Package sip is the signalling of calls: trunks, and the legs of calls over
// them. It takes care of everything that RFC 3261 and its companions ask for on
// the way: transactions, dialogs, digests, registration, health, session
// timers, reliable provisional responses, and what a peer may get wrong.
//
// It refuses to know flows and sound. A [Handler] hears of each call that
// comes in, as a [Leg]; [Edge.Dial] makes one that goes out. Whoever has a leg
// tells it what to do and hears events; the description of the sound is agreed
// with package rtp/sdp, the sound itself is the host's.
//
// Where to read first: leg.go for what a leg offers, edge.go for how the parts
// are joined, receive.go for the way of a message, incoming.go and outgoing.go
// for the two sides of INVITE.
package sip
