package flowengine

// Exit ends the run. A port without a target does the same; this element says
// it aloud, and counts.
type Exit struct{}

// Ports lists the outcomes of the element: none.
func (e *Exit) Ports() []string { return nil }

// Check finds nothing wrong.
func (e *Exit) Check(*Checker) {}

// Arrive ends the run.
func (e *Exit) Arrive(*Passage) Outcome { return End(exitCompleted) }
