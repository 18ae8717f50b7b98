package rtp

import (
	"errors"
	"sync"

	"trunkline/gateway/rtp/dtmf"
)

// Bridge lets two sessions hear each other, whatever codecs they use. With
// relay, keys that one presses are pressed at the other instead of being read
// here. What is played to a session is heard in the other's place.
func Bridge(a, b *Session, relay bool) error {
	if a == b {
		return errors.New("rtp: a session cannot be bridged with itself")
	}
	if err := a.attach(b, relay); err != nil {
		return err
	}
	if err := b.attach(a, relay); err != nil {
		a.detach(b)
		return err
	}
	return nil
}

// Unbridge parts a session from the one that it is bridged with, if any.
func (s *Session) Unbridge() {
	s.mu.Lock()
	other := s.bridged
	s.mu.Unlock()
	if other != nil {
		s.detach(other)
		other.detach(s)
	}
}

func (s *Session) attach(other *Session, relay bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.bridged != nil {
		return errors.New("rtp: the session has ended or is bridged already")
	}
	s.bridged, s.relay = other, relay
	return nil
}

func (s *Session) detach(other *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bridged == other {
		s.bridged, s.relay = nil, false
	}
}

// inbox is what a bridged session leaves for this one. It has a lock of its
// own, so that two sessions never wait for each other's.
type inbox struct {
	mu     sync.Mutex
	frames [3][frameLen]int16 // both tick at the same pace: one waits, two when slots drift past each other
	count  int
	keys   []passedKey
}

// passedKey is a key for the other session's peer.
type passedKey struct {
	digit   dtmf.Digit
	inSound bool // heard in the sound, which the other session passes on anyhow
}

// put leaves a frame; the oldest gives way.
func (i *inbox) put(frame *[frameLen]int16) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.count == len(i.frames) {
		copy(i.frames[:], i.frames[1:])
		i.count--
	}
	i.frames[i.count] = *frame
	i.count++
}

// get takes the oldest frame.
func (i *inbox) get(frame *[frameLen]int16) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.count == 0 {
		return false
	}
	*frame = i.frames[0]
	copy(i.frames[:], i.frames[1:])
	i.count--
	return true
}

func (i *inbox) key(k passedKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.keys) < typeAhead {
		i.keys = append(i.keys, k)
	}
}

func (i *inbox) nextKey() (k passedKey, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.keys) == 0 {
		return k, false
	}
	k = i.keys[0]
	i.keys = i.keys[1:]
	return k, true
}
