package sip

import "sync"

// mailbox runs functions one after the other, in the order in which they came,
// on a goroutine that is there only while there is something to run: a call
// that is silent has none.
type mailbox struct {
	mu     sync.Mutex
	queue  []func()
	active bool
}

// maxMailbox bounds what messages of a peer may wait; what we do ourselves
// (timers, commands) is bounded by its causes.
const maxMailbox = 128

// offer puts f in line unless the line is too long.
func (m *mailbox) offer(run func(func()), f func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queue) >= maxMailbox {
		return false
	}
	m.put(run, f)
	return true
}

// post puts f in line.
func (m *mailbox) post(run func(func()), f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(run, f)
}

func (m *mailbox) put(run func(func()), f func()) {
	m.queue = append(m.queue, f)
	if !m.active {
		m.active = true
		go m.drain(run)
	}
}

func (m *mailbox) drain(run func(func())) {
	for {
		m.mu.Lock()
		if len(m.queue) == 0 {
			m.queue, m.active = nil, false
			m.mu.Unlock()
			return
		}
		f := m.queue[0]
		m.queue = m.queue[1:]
		m.mu.Unlock()
		run(f)
	}
}
