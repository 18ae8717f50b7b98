package ivr

import "time"

// Limits of tasks. A machine keeps to them whatever a task says.
const (
	MaxLoop     = 10 // times that a prompt is played
	MaxSounds   = 20 // of one prompt
	MaxDigits   = 64 // that are collected at once, and that are kept of what is typed ahead
	MaxRetries  = 10
	MaxTargets  = 10 // of a forwarded call
	MaxChoices  = 20 // of a menu
	MaxGreeting = 60 * time.Second
	MaxRecord   = time.Hour
)

// Kind says what a task is.
type Kind string

// The kinds of tasks.
const (
	KindAnswer    Kind = "answer"
	KindPlay      Kind = "play"    // Prompt
	KindCollect   Kind = "collect" // Prompt, Collect
	KindRecord    Kind = "record"  // Prompt, Record
	KindForward   Kind = "forward" // Forward
	KindDetect    Kind = "detect"  // Detect
	KindHangUp    Kind = "hang_up" // Cause
	KindStartCall Kind = "start_call"
)

// Task is one call element's work on a call: plain data that travels as JSON.
// A call that is not answered yet is answered first by every task but KindForward,
// KindHangUp and a prompt that is Early.
type Task struct {
	Kind    Kind     `json:"kind"`
	Prompt  *Prompt  `json:"prompt,omitempty"`
	Collect *Collect `json:"collect,omitempty"`
	Record  *Record  `json:"record,omitempty"`
	Forward *Forward `json:"forward,omitempty"`
	Detect  *Detect  `json:"detect,omitempty"`
	Dial    *Dial    `json:"dial,omitempty"`  // KindStartCall
	Cause   Cause    `json:"cause,omitempty"` // KindHangUp
}

// Prompt is what one side of a call hears.
type Prompt struct {
	Sounds []Sound `json:"sounds"`
	// Loop is how often the sounds are played, 1–MaxLoop; 0 is once.
	Loop int `json:"loop,omitempty"`
	// Silence comes before the sounds.
	Silence time.Duration `json:"silence,omitempty"`
	// Barge lets a key end the prompt. Without it the prompt is heard to the end,
	// and no key that is pressed before counts.
	Barge bool `json:"barge,omitempty"`
	// Early plays before the call is answered, as early media.
	Early bool `json:"early,omitempty"`
}

// Sound is one piece of a prompt. Exactly one of File, URL, Text and Recording is set.
type Sound struct {
	File string `json:"file,omitempty"` // below the prompts folder
	URL  string `json:"url,omitempty"`
	Text string `json:"text,omitempty"` // is spoken
	// Recording is the id of something that was recorded on a call.
	Recording string `json:"recording,omitempty"`
	// Language (BCP 47), Voice and Rate (1 is usual, 0 means that) are of Text.
	Language string  `json:"language,omitempty"`
	Voice    string  `json:"voice,omitempty"`
	Rate     float64 `json:"rate,omitempty"`
}

// Collect says which digits a caller is asked for.
type Collect struct {
	Min int `json:"min,omitempty"` // 1–MaxDigits
	Max int `json:"max,omitempty"`
	// First is how long to wait for the first digit after the prompt, Between for
	// each further one.
	First   time.Duration `json:"first"`
	Between time.Duration `json:"between"`
	// Finish ends the entry and is no part of it; "" when no key does.
	Finish string `json:"finish,omitempty"`
	// Retries is how often the caller is asked again.
	Retries int `json:"retries,omitempty"`
	// Invalid and Timeout are played before asking again; nil: nothing is.
	Invalid *Prompt `json:"invalid,omitempty"`
	Timeout *Prompt `json:"timeout,omitempty"`
	// Choices are the entries of a menu; none: any digits will do. Then Min and
	// Max follow from them.
	Choices []string `json:"choices,omitempty"`
	// Fresh forgets what was typed before the element began.
	Fresh bool `json:"fresh,omitempty"`
	// Masked digits must not be logged or shown by whoever sees them.
	Masked bool `json:"masked,omitempty"`
}

// Record says how a caller's voice is recorded.
type Record struct {
	Beep    bool          `json:"beep,omitempty"`
	Max     time.Duration `json:"max"`               // up to MaxRecord
	Silence time.Duration `json:"silence,omitempty"` // that ends it; 0: none does
	Finish  string        `json:"finish,omitempty"`  // keys of which any ends it
}

// Forward connects the caller with somebody else.
type Forward struct {
	Targets  []string `json:"targets"` // numbers in international digits, or sip: addresses
	Parallel bool     `json:"parallel,omitempty"`
	CallerID string   `json:"caller_id,omitempty"` // "": that of the caller, as the trunk's policy allows
	Trunk    string   `json:"trunk,omitempty"`     // "": chosen by prefix, cost and health
	// Timeout is how long a target may ring; in parallel all of them together.
	Timeout time.Duration `json:"timeout"`
	// MaxTalk ends the talk; 0: the trunk's own limit does.
	MaxTalk time.Duration `json:"max_talk,omitempty"`
	// Ringback is what the caller hears meanwhile.
	Ringback Ringback `json:"ringback,omitempty"`
	Music    *Prompt  `json:"music,omitempty"` // of RingbackMusic; it is repeated
	// Whisper is played to who answers, before the two are connected.
	Whisper *Prompt `json:"whisper,omitempty"`
	// Confirm is a key that who answers must press to take the call; "": none.
	Confirm        string        `json:"confirm,omitempty"`
	ConfirmTimeout time.Duration `json:"confirm_timeout,omitempty"`
	// Hangup ends the caller's call too when the other side hangs up.
	Hangup bool `json:"hangup,omitempty"`
}

// Ringback is what a caller hears while another one rings.
type Ringback string

// The kinds of ringback.
const (
	RingbackTone  Ringback = "tone"        // the usual tone; before the answer, a 180
	RingbackMusic Ringback = "music"       // Forward.Music
	RingbackEarly Ringback = "early_media" // what the other side sends; until it does, the tone
	RingbackNone  Ringback = "none"
)

// Detect listens whether a human, a machine or a fax has answered.
type Detect struct {
	Timeout time.Duration `json:"timeout"` // after which it is Unknown
	// Greeting is how long to wait for the end of a machine's greeting, up to
	// MaxGreeting; 0: not at all.
	Greeting time.Duration `json:"greeting,omitempty"`
}

// Dial makes an outgoing call. With a Prompt in its task, that is played to who
// answers, and the call ends.
type Dial struct {
	To       string        `json:"to"`
	CallerID string        `json:"caller_id,omitempty"`
	Trunk    string        `json:"trunk,omitempty"`
	Timeout  time.Duration `json:"timeout"` // that it may ring
	// MaxTalk ends the call; 0: the trunk's own limit does.
	MaxTalk time.Duration `json:"max_talk,omitempty"`
	// Detect says whether a machine has answered; nil: whoever answers is a human.
	Detect *Detect `json:"detect,omitempty"`
	// Message plays the task's prompt to machines as well.
	Message bool `json:"message,omitempty"`
	// Retries are further attempts, each Pause after the last one; the host's.
	Retries int           `json:"retries,omitempty"`
	Pause   time.Duration `json:"pause,omitempty"`
}

// Cause says why we hang up, and what a caller who was not answered is told.
type Cause string

// The causes.
const (
	CauseNormal   Cause = ""         // BYE, or 480 before the answer
	CauseBusy     Cause = "busy"     // 486
	CauseRejected Cause = "rejected" // 603
	CauseNotFound Cause = "not_found"
)
