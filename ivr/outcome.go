package ivr

import "time"

// Outcome is what came of a task.
type Outcome struct {
	Port Port `json:"port"`
	// Over says that the call has ended. With PortAnswered and PortRecorded this
	// is the usual end of what was asked for.
	Over bool `json:"over,omitempty"`
	// Digits are what was collected, or the choice of a menu; with PortInvalid the
	// last entry. Masked ones must not be logged, shown or put into histories.
	Digits string `json:"digits,omitempty"`
	Masked bool   `json:"masked,omitempty"`
	// Recording is the id of what was recorded, Length how long it is.
	Recording string        `json:"recording,omitempty"`
	Length    time.Duration `json:"length,omitempty"`
	// Talk is how long the two of a forwarded call were connected, Target who
	// took it.
	Talk   time.Duration `json:"talk,omitempty"`
	Target string        `json:"target,omitempty"`
	// Code is the detail of a failure, such as sip_503 or no_route; never digits.
	Code string `json:"code,omitempty"`
}

// Port is a named outcome.
type Port string

// The outcomes.
const (
	PortDone     Port = "done"
	PortHungUp   Port = "hung_up" // the other side ended the call before the element was done
	PortFailed   Port = "failed"  // it could not be carried out; Code
	PortInvalid  Port = "invalid" // what was typed last does not fit
	PortTimeout  Port = "timeout" // nothing was typed
	PortRecorded Port = "recorded"
	PortSilent   Port = "silent" // nothing was said that could be recorded
	PortAnswered Port = "answered"
	PortBusy     Port = "busy"
	PortNoAnswer Port = "no_answer"
	PortHuman    Port = "human"
	PortMachine  Port = "machine" // of KindStartCall too: a machine has answered
	PortFax      Port = "fax"
	PortUnknown  Port = "unknown"
)
