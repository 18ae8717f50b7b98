package runtime

import (
	"slices"

	"trunkline/flowengine"
)

// eventsMost bounds the People events of one person that conditions see: the
// latest ones.
const eventsMost = 1000

// remembered is a People event of a person in memory, with its key, by which one
// that was read from the store is told from one that was noted here.
type remembered struct {
	key   string
	event flowengine.Happened
}

// eventsOf is what conditions ask for the person's events of a name. The first
// question reads them from the store; from then on the person in memory has all.
func (ex *executor) eventsOf(m *member) func(name string) []flowengine.Happened {
	if m.past != nil {
		return m.past
	}
	m.past = func(name string) []flowengine.Happened {
		if !m.recalled {
			if err := ex.recall(m); err != nil {
				ex.rt.log.Error("the events of a person could not be read; conditions see only the latest", "person", m.person.ID.String(), "error", err)
			}
		}
		var all []flowengine.Happened
		for i := range m.events {
			if m.events[i].event.Name == name {
				all = append(all, m.events[i].event)
			}
		}
		return all
	}
	return m.past
}

// recall reads the person's events. Those that were noted since the person came
// into memory may not be in the store yet.
func (ex *executor) recall(m *member) error {
	stored, err := readEvents(ex.rt.store, m.person.ID)
	if err != nil {
		return err
	}
	for _, e := range m.events {
		if !slices.ContainsFunc(stored, func(s remembered) bool { return s.key == e.key }) {
			stored = append(stored, e)
		}
	}
	m.events, m.recalled = stored, true
	m.forgetOldest()
	return nil
}

// note keeps an event in memory with the person.
func (m *member) note(key []byte, e *flowengine.Happened) {
	m.events = append(m.events, remembered{string(key), *e})
	m.forgetOldest()
}

func (m *member) forgetOldest() {
	if n := len(m.events) - eventsMost; n > 0 {
		m.events = slices.Delete(m.events, 0, n)
	}
}
