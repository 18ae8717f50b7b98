package flowengine

// StartBroadcast starts a broadcast that was prepared, to its own recipients.
// Whoever comes later finds it started and leaves through `refused`.
type StartBroadcast struct {
	Broadcast string `yaml:"broadcast" required:"true" pattern:"^[a-z0-9-]{1,64}$" doc:"Id of the broadcast. It starts if it is a draft that needs no approval, or scheduled, and has not been started."`
}

// Ports lists the outcomes of the element.
func (e *StartBroadcast) Ports() []string { return []string{portDone, portRefused} }

// Check has nothing to look at: broadcasts are made while flows run.
func (e *StartBroadcast) Check(*Checker) {}

// Arrive asks for the start.
func (e *StartBroadcast) Arrive(x *Passage) Outcome {
	if !x.Set.prepared[e.Broadcast] {
		return Take(portRefused)
	}
	x.result.Broadcasts = append(x.result.Broadcasts, e.Broadcast)
	return Take(portDone)
}

// WithBroadcasts is the set with other broadcasts that can be started.
func (s *Set) WithBroadcasts(prepared map[string]bool) *Set {
	c := *s
	c.prepared = prepared
	return &c
}
