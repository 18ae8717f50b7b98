package prompt

import (
	"container/list"
	"sync"
	"time"
)

// memory keeps samples, up to a number of octets; what was used longest ago
// gives way. Whoever still plays what gave way has it in hand.
type memory struct {
	most int64

	mu    sync.Mutex
	used  int64
	order *list.List // of *kept, used last in front
	byKey map[string]*list.Element
}

type kept struct {
	key     string
	samples []int16
	until   time.Time // zero: for ever
}

func (k *kept) size() int64 { return int64(2*len(k.samples) + len(k.key)) }

func newMemory(most int64) *memory {
	return &memory{most: most, order: list.New(), byKey: map[string]*list.Element{}}
}

func (m *memory) get(key string, now time.Time) ([]int16, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.byKey[key]
	if !ok {
		return nil, false
	}
	k := e.Value.(*kept)
	if !k.until.IsZero() && now.After(k.until) {
		m.drop(e)
		return nil, false
	}
	m.order.MoveToFront(e)
	return k.samples, true
}

// put keeps samples for a time, 0 for ever. Those that would fill it all are not kept.
func (m *memory) put(key string, samples []int16, fresh time.Duration, now time.Time) {
	k := &kept{key: key, samples: samples}
	if fresh > 0 {
		k.until = now.Add(fresh)
	}
	if k.size() > m.most {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.byKey[key]; ok {
		m.drop(e)
	}
	m.byKey[key] = m.order.PushFront(k)
	for m.used += k.size(); m.used > m.most; {
		m.drop(m.order.Back())
	}
}

func (m *memory) drop(e *list.Element) {
	k := m.order.Remove(e).(*kept)
	delete(m.byKey, k.key)
	m.used -= k.size()
}

func (m *memory) octets() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}
