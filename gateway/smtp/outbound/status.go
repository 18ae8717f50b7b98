package outbound

import (
	"cmp"
	"slices"
	"time"
)

// DestinationStatus is how a destination stands at the moment.
type DestinationStatus struct {
	Destination string     `json:"destination"` // domain, or "smart host"
	Waiting     int        `json:"waiting"`     // messages in memory
	Connections int        `json:"connections"`
	Allowed     int        `json:"allowed"`         // connections that it bears
	Rate        float64    `json:"rate"`            // messages per second lately
	Pause       string     `json:"pause,omitempty"` // between messages, after complaints
	Until       *time.Time `json:"until,omitempty"` // no connection is tried before
	LastError   string     `json:"last_error,omitempty"`
}

// Status lists the destinations that are remembered, those first for which most waits.
func (e *Edge) Status() []DestinationStatus {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	all := make([]DestinationStatus, 0, len(e.known))
	for name, d := range e.known {
		v := DestinationStatus{Destination: name, Waiting: d.queue.Len(), Connections: d.workers, Allowed: min(d.allowed, d.most), Rate: d.rate, LastError: d.reason}
		if name == "" {
			v.Destination = "smart host"
		}
		if d.gap > 0 {
			v.Pause = d.gap.Round(time.Millisecond).String()
		}
		if now.Before(d.until) {
			until := d.until
			v.Until = &until
		}
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b DestinationStatus) int {
		return cmp.Or(cmp.Compare(b.Waiting, a.Waiting), cmp.Compare(a.Destination, b.Destination))
	})
	return all
}
