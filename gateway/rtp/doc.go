// Package rtp is the sound of calls: RTP sessions over UDP with everything
// that keeps a voice intact on the way — pacing, jitter buffer, concealment of
// losses, digits, reports, recording, and bridging two sessions.
//
// It knows addresses, payload types and samples at 8 kHz. It refuses to know
// signalling, flows and files: the SIP edge opens a [Session] with what its
// descriptions (package sdp) came to, plays and records into what it is given,
// and reads digits from it.
//
// Where to read first: session.go for the life of a session, receive.go and
// frame.go for what happens to packets in either direction, wheel.go for who
// sets the pace.
package rtp
