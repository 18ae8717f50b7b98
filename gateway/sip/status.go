package sip

import "time"

// TrunkStatus is a trunk at a glance.
type TrunkStatus struct {
	Trunk        string        `json:"trunk"`
	Transport    string        `json:"transport"`
	Peers        []string      `json:"peers"` // addresses to which calls are sent; the one in use first
	State        string        `json:"state"` // up, down, inbound: it only brings calls
	Since        *time.Time    `json:"since,omitempty"`
	Calls        int           `json:"calls"`
	Limit        int           `json:"limit"`
	Registration string        `json:"registration,omitempty"` // registered, failed
	RoundTrip    time.Duration `json:"round_trip_ns,omitempty"`
	LastError    string        `json:"last_error,omitempty"`
	LastAt       time.Time     `json:"last_at,omitzero"`
}

// Status tells of all trunks, in the order of the configuration.
func (e *Edge) Status() []TrunkStatus {
	s := e.current.Load()
	list := make([]TrunkStatus, 0, len(s.order))
	for _, name := range s.order {
		list = append(list, s.trunks[name].status())
	}
	return list
}

func (t *trunk) status() TrunkStatus {
	conf := t.conf.Load()
	s := TrunkStatus{Trunk: t.name, Transport: string(conf.Transport), State: "inbound", Calls: int(t.calls.Load()), Limit: conf.Limits.Calls}
	if len(conf.Connect) > 0 {
		s.State = "down"
		if t.up() {
			s.State = "up"
		}
	}
	list := t.list()
	h := &t.health
	h.mu.Lock()
	for i := range list {
		s.Peers = append(s.Peers, list[(h.active+i)%len(list)].addr.String())
	}
	s.RoundTrip, s.LastError, s.LastAt = h.roundTrip, h.lastError, h.lastAt
	if !h.since.IsZero() {
		since := h.since
		s.Since = &since
	}
	h.mu.Unlock()
	if conf.Register != nil {
		s.Registration = "failed"
		if t.registered() {
			s.Registration = "registered"
		}
		t.registration.mu.Lock()
		if t.registration.lastError != "" {
			s.LastError = t.registration.lastError
		}
		t.registration.mu.Unlock()
	}
	return s
}
