package smpp

import (
	"cmp"
	"slices"
	"time"

	"trunkline/gateway/smpp/pdu"
)

// CarrierStatus is how a carrier stands at the moment.
type CarrierStatus struct {
	Carrier string `json:"carrier"`
	// Role is "client" when we bind out and "server" when the carrier binds in.
	Role  string `json:"role"`
	State string `json:"state"` // bound, connecting (we bind out), waiting (the carrier binds in), stopped
	Bound int    `json:"bound"` // sessions that are bound
	Want  int    `json:"want"`  // sessions that we keep bound, or that the carrier may bind
	Queue int    `json:"queue"` // messages that wait for a free window
	// Pace is the rate in messages per second at which the carrier is fed at
	// present; 0 is unlimited.
	Pace      float64         `json:"pace"`
	RateOut   float64         `json:"rate_out"` // configured; 0 is unlimited
	RateIn    float64         `json:"rate_in"`
	LastError string          `json:"last_error,omitempty"`
	LastAt    time.Time       `json:"last_error_at,omitzero"`
	Sessions  []SessionStatus `json:"sessions"`
}

// SessionStatus is one session of a carrier.
type SessionStatus struct {
	Peer       string    `json:"peer"`
	Bind       string    `json:"bind"`  // transceiver, transmitter or receiver
	State      string    `json:"state"` // open, binding, bound, parting or closed
	TLS        bool      `json:"tls"`
	Since      time.Time `json:"since,omitzero"`
	Window     int       `json:"window"`
	WindowUsed int       `json:"window_used"` // messages that wait for the peer's answer
	Owed       int       `json:"owed"`        // requests that wait for our answer
	Version    string    `json:"version,omitempty"`
}

// Status tells how every carrier stands, by name.
func (e *Edge) Status() []CarrierStatus {
	list := []CarrierStatus{}
	set := e.current.Load()
	if set == nil { // metrics are asked while the edge is made
		return list
	}
	for _, c := range set.carriers {
		list = append(list, c.status())
	}
	slices.SortFunc(list, func(a, b CarrierStatus) int { return cmp.Compare(a.Carrier, b.Carrier) })
	return list
}

func (c *carrier) status() CarrierStatus {
	t := c.terms.Load()
	st := CarrierStatus{
		Carrier: c.name, Role: "client", State: "connecting", Want: c.sessions(t), Pace: c.pace.current(),
		RateOut: t.Rate.Out, RateIn: t.Rate.In, Sessions: []SessionStatus{},
	}
	if t.Accept != nil {
		st.Role, st.State, st.Want = "server", "waiting", t.Accept.MaxBinds
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	st.Queue, st.LastError, st.LastAt = c.queue.len(), c.last, c.lastAt
	for _, s := range c.binds {
		one := s.status()
		if one.State == stateBound.String() {
			st.Bound++
			st.State = "bound"
		}
		st.Sessions = append(st.Sessions, one)
	}
	if c.stopped.Load() {
		st.State = "stopped"
	}
	return st
}

func (s *session) status() SessionStatus {
	at := s.at()
	st := SessionStatus{Peer: s.remote.String(), State: at.String(), TLS: s.secure,
		WindowUsed: int(s.inFlight.Load()), Owed: int(s.owed.Load())}
	if at != stateBound { // what follows is set before this
		return st
	}
	st.Since, st.Window = s.since, s.window
	st.Bind = map[pdu.ID]string{pdu.IDBindTransceiver: "transceiver", pdu.IDBindTransmitter: "transmitter", pdu.IDBindReceiver: "receiver"}[s.kind]
	switch s.version {
	case 0x50:
		st.Version = "5.0"
	case 0x34:
		st.Version = "3.4"
	default:
		st.Version = "3.3"
	}
	return st
}
