package flowengine

import (
	"encoding/json"
	"strings"
	"time"

	"trunkline/ivr"
)

const portMachineAnswered = "machine_answered"

// CallOptions are what elements have that call the person.
type CallOptions struct {
	From          string        `yaml:"from" doc:"Number that the person sees: one of ours. Default: the number that the person called."`
	RingTimeout   time.Duration `yaml:"ring_timeout" default:"30s" min:"5s" max:"180s" doc:"How long it may ring."`
	DetectMachine bool          `yaml:"detect_machine" doc:"Find out whether a machine has answered; that takes up to four seconds."`
	MaxDuration   time.Duration `yaml:"max_duration" min:"10s" max:"24h" doc:"After which the call ends. Default: that of the trunk."`
	Trunk         string        `yaml:"trunk" max:"64" doc:"Trunk to use. Default: chosen by prefix, cost and health."`
	Validity      time.Duration `yaml:"validity" default:"48h" min:"1m" max:"48h" doc:"How long the call may be tried, from the moment it may be made."`
	Retries       int           `yaml:"retries" default:"0" min:"0" max:"10" doc:"Further attempts when nobody answers or it is busy."`
	RetryPeriod   time.Duration `yaml:"retry_period" default:"15m" min:"1m" max:"24h" doc:"Pause between attempts."`
	Category      string        `yaml:"category" enum:"transactional,marketing" doc:"Purpose of the call. Default: the flow's."`
	Window        *Window       `yaml:"window" doc:"When the call may be made; outside, it waits. Default for marketing: outside of quiet hours."`
	Speed         *Speed        `yaml:"speed" doc:"How fast calls are made, in the order in which persons came. The rest waits."`

	timing SendOptions // its category, window, speed and validity
	from   string
}

// machineTime is how long a call listens who has answered.
const machineTime = 4 * time.Second

func (o *CallOptions) check(c *Checker, path ...any) {
	in := func(key string) []any { return append(path[:len(path):len(path)], key) }
	if o.From != "" {
		o.from = c.Sender(channelVoice, o.From, in("from")...)
	}
	if o.Category == "" {
		o.Category = c.Settings.Category
	}
	if o.Window != nil {
		o.Window.check(c, in("window")...)
	}
	o.Speed.check(c, in("speed")...)
	o.timing = SendOptions{Category: o.Category, Window: o.Window, Speed: o.Speed, Validity: o.Validity}
}

// validity is how long the call may be tried.
func (o *CallOptions) validity() time.Duration { return o.Validity }

// dial calls the person, unless the person cannot or must not be called.
func dial(x *Passage, s Send, notSent string, hold time.Time) Outcome {
	switch {
	case strings.HasPrefix(notSent, NotSentRenderError):
		x.Log(NotSent, notSent)
		return Take(portRenderError)
	case notSent != "":
		x.Log(NotSent, notSent)
		return Take(portNotSent)
	case !hold.IsZero():
		return Hold(hold, s.Expires)
	}
	return WaitForSend(x.Send(s))
}

// outbound makes the message that is a call. With a prompt the call is over when it was
// said; message: to machines too.
func (o *CallOptions) outbound(x *Passage, lane int, prompt *ivr.Prompt, message bool) (s Send, notSent string, hold time.Time) {
	to, ok := x.Person.Address(Phone)
	switch {
	case !ok:
		return s, NotSentNoAddress, hold
	case x.Person.Blocked(Phone):
		return s, NotSentBlocked, hold
	}
	d := &ivr.Dial{To: to, CallerID: o.callerID(x), Trunk: o.Trunk, Timeout: o.RingTimeout, MaxTalk: o.MaxDuration, Message: message, Retries: o.Retries, Pause: o.RetryPeriod}
	if o.DetectMachine {
		d.Detect = &ivr.Detect{Timeout: machineTime}
		if message {
			d.Detect.Greeting = ivr.MaxGreeting
		}
	}
	task, err := json.Marshal(ivr.Task{Kind: ivr.KindStartCall, Prompt: prompt, Dial: d})
	if err != nil { // unreachable: all of it can be written
		return s, NotSentRenderError + ": " + err.Error(), hold
	}
	s = Send{Channel: channelVoice, From: d.CallerID, To: to, Text: string(task), Marketing: o.Category == categoryMarketing}
	notSent, hold = o.timing.time(x, &s, lane)
	return s, notSent, hold
}

func (o *CallOptions) callerID(x *Passage) string {
	switch call := x.Run.Call; {
	case o.from != "" || call == nil:
		return o.from
	case call.Outbound:
		return call.From
	default:
		return call.To
	}
}

// began takes what came of the attempts to call the person.
func (o *CallOptions) began(x *Passage, r *SendResult) Outcome {
	x.Run.Call = &CallState{Outbound: true, From: o.callerID(x), To: r.To}
	if r.Call == nil { // it expired, or a restart left open what became of it
		if r.Accepted {
			x.Run.Call.Code = codeLost
			return Take(portHungUp)
		}
		x.Run.Call.Code = r.Reason
		return Take(portFailed)
	}
	x.Run.Call.Code = r.Call.Code
	if r.Accepted && !r.Call.Over {
		x.Run.Call.ID = r.ID
		x.result.CallsChanged = true
	}
	if r.Call.Port == ivr.PortMachine {
		return Take(portMachineAnswered)
	}
	return Take(string(r.Call.Port))
}
