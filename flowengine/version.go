package flowengine

import (
	"encoding/hex"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Version is one immutable state of a flow's definition. Persons stay with the
// version through which they entered.
type Version struct {
	Flow string // id of the flow
	File string // that it was read from
	Name string
	// Ordinal counts the versions of a flow from 1. The caller gives it.
	Ordinal uint32
	// Hash identifies the version: SHA-256 of Canonical.
	Hash [32]byte
	// Canonical is the definition as JSON with sorted keys and without
	// insignificant space. ParseFlow makes the same version of it again.
	Canonical []byte
	Entries   []*Entry
	Settings  Settings
	Goals     []Goal // no part of Canonical
	// Warnings are findings that do not keep the flow from running, each with
	// file:line:column.
	Warnings []string

	nodes     map[string]*Node
	order     []string        // ids in the order of the file
	asked     map[string]bool // elements whose messages conditions ask about
	broadcast bool            // it is that of a broadcast

	linking   []LinkUse
	mailing   []MailUse
	files     []FileUse
	addresses []WebAddress
}

// LinkUse is a place in the file that asks for short links: the option, and its path
// of keys and indexes.
type LinkUse struct {
	Option string
	Path   []any
}

// MailUse is a place that sends mail: as which identity, "" for the usual one.
type MailUse struct {
	Identity string
	Path     []any
}

// FileUse is a place that names a file of the configuration's folder.
type FileUse struct {
	File string
	Path []any
}

// Node finds an element by id, or returns nil.
func (v *Version) Node(id string) *Node { return v.nodes[id] }

// Nodes lists the elements in the order of the file.
func (v *Version) Nodes() []*Node {
	all := make([]*Node, len(v.order))
	for i, id := range v.order {
		all[i] = v.nodes[id]
	}
	return all
}

// Linking lists the places in the file that ask for short links.
func (v *Version) Linking() []LinkUse { return v.linking }

// Mailing lists the places that send mail.
func (v *Version) Mailing() []MailUse { return v.mailing }

// Files lists the files that go along with mails.
func (v *Version) Files() []FileUse { return v.files }

// WebAddress is a place in the file that requests go to.
type WebAddress struct {
	Path []any  // keys and indexes
	URL  string // what is fixed of it: host and port always
}

// WebAddresses lists the addresses of requests, as far as they don't depend on the
// person.
func (v *Version) WebAddresses() []WebAddress { return v.addresses }

// OnlySnapshots says whether all entry points are audiences that are never
// updated: once these have left, nobody comes (rule S5).
func (v *Version) OnlySnapshots() bool {
	return !slices.ContainsFunc(v.Entries, func(e *Entry) bool {
		t, ok := e.Trigger.(*Audience)
		return !ok || t.Update != updateNever
	})
}

// HashText is the hash as 64 hexadecimal digits.
func (v *Version) HashText() string { return hex.EncodeToString(v.Hash[:]) }

// Node is an element in its place in a flow.
type Node struct {
	ID   string
	Type string
	// Line and Column are where the type stands in Version.File.
	Line, Column int

	Element Element
	// Targets are the elements that ports lead to. A port that is not there
	// ends the run.
	Targets map[string]string
	// Mark stands for the element in Membership.Visited, over all versions.
	Mark uint32
}

// ElementMark is the mark of an element: 32 bits of a hash of its id. Two
// elements of one flow with the same mark are a load error.
func ElementMark(element string) uint32 { return uint32(xxhash.Sum64String(element)) }

// leads says whether a port of the element has a target, so that a run waits for
// it. The runs of a broadcast do so in any case: it is over when they are.
func (x *Passage) leads(port string) bool {
	return x.Version.broadcast || x.Version.nodes[x.Element].Targets[port] != ""
}

// Entry is an entry point: what lets people into the flow.
type Entry struct {
	ID           string
	Type         string
	Line, Column int // of its type, in Version.File
	Trigger      Trigger
	When         *Condition // nil: always
	Interrupts   bool       // ends the person's other runs (rule R5)
	Next         string     // first element
}

// Categories of messages.
const (
	categoryTransactional = "transactional"
	categoryMarketing     = "marketing"
)

// What happens to people inside when a flow ends (rule S7).
const (
	OnEndDrain = "drain"
	OnEndExit  = "exit"
)

// What happens to people inside when a flow gets another version.
const (
	OnPublishDrain   = "drain"
	OnPublishMigrate = "migrate"
)

// LaunchManual keeps a flow a draft until somebody launches it (rule S1).
const LaunchManual = "manual"

// Settings say who may enter a flow and when it runs.
type Settings struct {
	Reenter           bool          `yaml:"reenter" default:"true" doc:"Whether a person may enter more than once, ever."`
	AllowSimultaneous bool          `yaml:"allow_simultaneous" doc:"Whether a person who is in the flow may enter once more."`
	TimeDelay         time.Duration `yaml:"time_delay" min:"0s" max:"3650d" doc:"How long after leaving the flow a person may enter again."`
	EntryLimits       []EntryLimit  `yaml:"entry_limits" doc:"How often a person may enter in a stretch of time; all limits hold."`
	Timezone          string        `yaml:"timezone" default:"UTC" doc:"IANA name of the zone that times of day are in."`
	Indefinite        bool          `yaml:"indefinite" doc:"Whether the flow goes on beyond 90 days, for as long as it is used."`
	StartAt           Moment        `yaml:"start_at" doc:"Nobody enters before."`
	EndAt             Moment        `yaml:"end_at" doc:"Nobody enters from then on, and the flow finishes."`
	OnEnd             string        `yaml:"on_end" enum:"drain,exit" default:"drain" doc:"drain: those inside go on to the end. exit: they leave at once."`
	OnPublish         string        `yaml:"on_publish" enum:"drain,migrate" default:"drain" doc:"What a new version does with those inside. drain: they go on with theirs. migrate: who waits at an element that the new version has too goes on with it."`
	Launch            string        `yaml:"launch" enum:"auto,manual" default:"auto" doc:"auto: the flow is launched when the daemon first reads it. manual: it is a draft until somebody launches it."`
	Priority          int           `yaml:"priority" min:"-1000" max:"1000" doc:"Which flow takes a message that several want; higher goes first."`
	Category          string        `yaml:"category" enum:"transactional,marketing" default:"transactional" doc:"Purpose of the messages."`
	QuietHours        *QuietHours   `yaml:"quiet_hours" doc:"When no marketing message of the flow goes out. Default: that of the configuration."`
	ControlGroup      *bool         `yaml:"control_group" doc:"Whether the control group stays out of the flow. Default: true for marketing."`
	Tracking          bool          `yaml:"tracking" default:"true" doc:"Whether opens and clicks of e-mails may be counted, where their elements do."`
	Salt              string        `yaml:"salt" doc:"What splits draw from. Default: the flow's id."`

	location   *time.Location
	start, end time.Time
}

// Lifetime is how long a flow runs that is not indefinite, and how long an
// indefinite one may lie idle (rules S3, S4).
const Lifetime = 90 * 24 * time.Hour

// MaxDrain is how long people may go on in a flow that has ended (rule S7).
const MaxDrain = 30 * 24 * time.Hour

// Start is when entries begin; zero: at launch.
func (s *Settings) Start() time.Time { return s.start }

// End is when entries end; zero: no end was set.
func (s *Settings) End() time.Time { return s.end }

// Ends is when a flow launched at that time finishes by itself: at its end_at,
// or after its lifetime (rule S3). Zero: never, or as rule S4 says.
func (s *Settings) Ends(launched time.Time) time.Time {
	last := launched.Add(Lifetime)
	switch {
	case s.Indefinite:
		return s.end
	case !s.end.IsZero() && s.end.Before(last):
		return s.end
	}
	return last
}

// open reports whether now is within [start_at, end_at) (rule S2).
func (s *Settings) open(now time.Time) bool {
	return !now.Before(s.start) && (s.end.IsZero() || now.Before(s.end))
}

// Zone is the flow's time zone.
func (s *Settings) Zone() *time.Location { return s.zone() }

func (s *Settings) zone() *time.Location {
	if s.location == nil {
		return time.UTC
	}
	return s.location
}

// salt is what splits of a flow draw from.
func (s *Settings) salt(flow string) string {
	if s.Salt != "" {
		return s.Salt
	}
	return flow
}
