package main

import (
	"io/fs"
	"log/slog"
	"path/filepath"
	"reflect"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
	"trunkline/flowengine/tariff"
	"trunkline/gateway/links"
	"trunkline/gateway/sip"
	"trunkline/gateway/smpp"
	"trunkline/gateway/smtp"
	"trunkline/gateway/smtp/outbound"
	"trunkline/gateway/webhook"
	"trunkline/storage/badger"
)

// settings is the main configuration file, trunkline.yaml.
type settings struct {
	Data     string           `yaml:"data" default:"data" doc:"Folder that holds everything durable; relative to this file."`
	Include  []string         `yaml:"include" doc:"Further files, with numbers, people and segments; patterns such as segments/*.yaml, relative to this file."`
	Carriers []string         `yaml:"carriers" doc:"Files with one carrier each. Default: carriers/*.yaml."`
	Flows    []string         `yaml:"flows" doc:"Files with one flow each. Default: flows/*.yaml."`
	Tariffs  []string         `yaml:"tariffs" doc:"CSV files that say what messages cost. Default: tariffs/*.csv."`
	API      apiSettings      `yaml:"api" doc:"The HTTP API."`
	Admin    adminSettings    `yaml:"admin" doc:"Listener for monitoring."`
	Log      logSettings      `yaml:"log" doc:"What is logged, to standard error."`
	Storage  storageSettings  `yaml:"storage" doc:"How the store is kept."`
	Messages messageSettings  `yaml:"messages" doc:"How long what is known of messages is kept."`
	SMPP     smpp.Config      `yaml:"smpp" doc:"The SMPP edge."`
	SMTP     smtp.Config      `yaml:"smtp" doc:"The mail edge: e-mail to our addresses, which are numbers of channel email."`
	SIP      sip.Config       `yaml:"sip" doc:"The edge of calls (SIP)."`
	Trunks   []string         `yaml:"trunks" doc:"Files with one SIP trunk each. Default: trunks/*.yaml."`
	Voice    voiceSettings    `yaml:"voice" doc:"Calls."`
	Email    outbound.Config  `yaml:"email" doc:"How mail is sent: identities, signatures, routes, encryption, limits."`
	HTTP     webhook.Config   `yaml:"http" doc:"Requests to APIs and webhooks."`
	Links    links.Config     `yaml:"links" doc:"Short links in messages."`
	Webhooks []hookSettings   `yaml:"webhooks" max:"100" doc:"Systems that are told of events, with webhooks after the Standard Webhooks specification."`
	People   peopleSettings   `yaml:"people" doc:"What is known of people."`
	Numbers  []numberSettings `yaml:"numbers" doc:"Our numbers: what people write to. Once there is one of a channel, messages to others are refused (SMPP: ESME_RINVDSTADR)."`
	Segments segmentSettings  `yaml:"segments" max:"1000" doc:"Conditions on people with a name, which flows look at and tools list."`

	Broadcasts broadcastSettings `yaml:"broadcasts" doc:"What holds for all broadcasts."`

	flowengine.Policy `yaml:",inline"`
}

type broadcastSettings struct {
	Approval string `yaml:"approval" enum:"none,required" default:"none" doc:"required: somebody other than its creator has to approve each broadcast. Those who use the command line are told apart by their user of the system, others by the name of their key."`
}

type segmentSettings = []flowengine.PeopleSegment

// included is a further file.
type included struct {
	People   includedPeople   `yaml:"people" doc:"What is known of people."`
	Numbers  []numberSettings `yaml:"numbers" doc:"Our numbers: what people write to. Once there is one of a channel, messages to others are refused (SMPP: ESME_RINVDSTADR)."`
	Segments segmentSettings  `yaml:"segments" max:"1000" doc:"Conditions on people with a name, which flows look at and tools list."`
}

type includedPeople struct {
	Attributes []attributeSettings `yaml:"attributes" doc:"Attributes besides those that every person has."`
	Events     []eventSettings     `yaml:"events" max:"1000" doc:"Kinds of People events, with their properties."`
}

type adminSettings struct {
	Listen string `yaml:"listen" default:"127.0.0.1:9090" doc:"host:port for /healthz, /readyz and /metrics; \"\" switches it off."`
	Pprof  bool   `yaml:"pprof" default:"false" doc:"Also serve profiles of the process below /debug/pprof/."`
}

type logSettings struct {
	Level  string `yaml:"level" enum:"debug,info,warn,error" default:"info" doc:"Least important messages to log."`
	Format string `yaml:"format" enum:"text,json" default:"text" doc:"Form of a line."`
	Bodies bool   `yaml:"bodies" default:"false" doc:"Log texts and full numbers too. For trials only: they are personal data."`
}

func (s *logSettings) level() slog.Level {
	var l slog.Level
	_ = l.UnmarshalText([]byte(s.Level)) // one of the enum
	return l
}

type storageSettings struct {
	EncryptionKey encryptionKey `yaml:"encryption_key" doc:"Key that everything at rest is encrypted with: 32, 48 or 64 hexadecimal digits (AES-128, -192, -256), best as ${file:…}. A store is made with or without a key and stays so."`
	ReserveMiB    int           `yaml:"reserve_mib" default:"512" min:"16" max:"1048576" doc:"Room on the disk, in MiB, below which nothing more is accepted."`
}

type messageSettings struct {
	History         time.Duration `yaml:"history" default:"100d" min:"1d" max:"3650d" doc:"How long what happened to a person is kept."`
	Reports         time.Duration `yaml:"reports" default:"7d" min:"1m" max:"60d" doc:"How long a delivery report is expected."`
	EarlyReports    time.Duration `yaml:"early_reports" default:"1h" min:"1s" max:"7d" doc:"How long a delivery report that no message matches, yet, is kept."`
	Reassembly      time.Duration `yaml:"reassembly" default:"5m" min:"1s" max:"7d" doc:"How long the parts of a message wait for the missing ones."`
	Incomplete      string        `yaml:"incomplete" enum:"drop,deliver" default:"drop" doc:"What then happens to the parts that came: they are dropped, or handed on with … for what is missing."`
	ReceiptValidity time.Duration `yaml:"receipt_validity" default:"48h" min:"1m" max:"30d" doc:"How long a delivery report that we owe waits for its carrier to bind."`
}

type peopleSettings struct {
	Attributes []attributeSettings `yaml:"attributes" doc:"Attributes besides those that every person has: id, phone, email, created, firstName, lastName, middleName, address, city, country, gender, birthDate, preferredLanguage, externalId, timezone."`
	Events     []eventSettings     `yaml:"events" max:"1000" doc:"Kinds of People events, with their properties: what comes with another property, or a value of another type, is refused. Events that are not declared may come too, with any properties."`
	OnConflict string              `yaml:"on_conflict" enum:"merge,reject" default:"merge" doc:"When the contacts of a request or of a row of an import are those of several persons: they are merged into the oldest of them, or that is an error."`
}

type attributeSettings struct {
	Name string `yaml:"name" required:"true" pattern:"^[A-Za-z_][A-Za-z0-9_]{0,63}$" doc:"Name of the attribute."`
	Type string `yaml:"type" required:"true" enum:"text,whole_number,decimal,boolean,date,date_time,list" doc:"Type of its values."`
}

type numberSettings struct {
	Number          string           `yaml:"number" required:"true" doc:"The number in international digits, a short code, or a name. Of channel email: an address, which takes mail to shop+anything@example.com too; *@example.com takes what no other takes."`
	Channel         string           `yaml:"channel" enum:"sms,voice,email" default:"sms" doc:"Channel of the number."`
	Name            string           `yaml:"name" doc:"Name for people."`
	DuplicateWindow time.Duration    `yaml:"duplicate_window" default:"2s" min:"0s" max:"1h" doc:"How long an equal text from the same sender counts as the same message; 0s switches that off."`
	Reserved        reservedSettings `yaml:"reserved" doc:"Words that are handled before flows."`
	Replies         replySettings    `yaml:"replies" doc:"Answers to reserved words."`
	DefaultReply    string           `yaml:"default_reply" max:"1000" doc:"Answer to a message that no flow consumes."`
}

type reservedSettings struct {
	Stop  []string `yaml:"stop" max:"50" doc:"Opt-out: nothing more is sent to the person, such as STOP."`
	Start []string `yaml:"start" max:"50" doc:"Opt-in again, such as UNSTOP."`
	Help  []string `yaml:"help" max:"50" doc:"Help, such as HELP and INFO."`
}

type replySettings struct {
	Stop  string `yaml:"stop" max:"1000" doc:"After an opt-out."`
	Start string `yaml:"start" max:"1000" doc:"After an opt-in."`
	Help  string `yaml:"help" max:"1000" doc:"To a call for help."`
}

// data is the data folder.
func (s *settings) data(src source) string {
	if src.bundled() {
		return exampleData
	}
	return src.resolve(s.Data)
}

func (s *settings) storeOptions(src source, log *slog.Logger) badger.Options {
	return badger.Options{
		Dir: filepath.Join(s.data(src), "store"), EncryptionKey: s.Storage.EncryptionKey, ReserveBytes: uint64(s.Storage.ReserveMiB) << 20, Log: log,
	}
}

func (s *settings) runtimeOptions() runtime.Options {
	m := &s.Messages
	return runtime.Options{
		History: m.History, Reports: m.Reports, Early: m.EarlyReports, Reassembly: m.Reassembly,
		DeliverIncomplete: m.Incomplete == "deliver", ReceiptValidity: m.ReceiptValidity, Calls: s.Voice.Records.Retention,
	}
}

// restartNeeded names the parts in which two configurations differ that are
// read only at the start.
func (s *settings) restartNeeded(old *settings) (parts []string) {
	for _, p := range []struct {
		name    string
		changed bool
	}{
		{"data", s.Data != old.Data},
		{"storage", string(s.Storage.EncryptionKey) != string(old.Storage.EncryptionKey) || s.Storage.ReserveMiB != old.Storage.ReserveMiB},
		{"messages", s.Messages != old.Messages},
		{"admin", s.Admin != old.Admin},
		{"api", apiRestart(&s.API, &old.API)},
		{"links", linksRestart(&s.Links, &old.Links)},
		{"smtp", !reflect.DeepEqual(s.SMTP, old.SMTP)},
		{"voice", voiceRestart(&s.Voice, &old.Voice)},
		{"sip.listen", !reflect.DeepEqual(s.SIP.Listen, old.SIP.Listen)},
		{"log.format", s.Log.Format != old.Log.Format},
		{"log.bodies", s.Log.Bodies != old.Log.Bodies},
	} {
		if p.changed {
			parts = append(parts, p.name)
		}
	}
	return parts
}

// configuration is everything that a source says, checked as a whole.
type configuration struct {
	settings settings
	carriers []smpp.Carrier
	trunks   []sip.Trunk
	schema   *flowengine.Schema
	numbers  []*flowengine.Number
	segments []*flowengine.PeopleSegment
	flows    []*flowengine.Version
	tariffs  *tariff.Table
	files    fs.FS // the folder that it is in
	warnings []string
}

func (c *configuration) publication() runtime.Publication {
	return runtime.Publication{
		Schema: c.schema, Numbers: c.numbers, Segments: c.segments, Flows: c.flows, Tariffs: c.tariffs, Policy: &c.settings.Policy,
		Links: c.settings.shortLinks(), Mailing: c.settings.mailing(), Files: c.files, Hooks: hooksOf(c.settings.Webhooks),
		RejectConflicts: c.settings.People.OnConflict == "reject", ApproveBroadcasts: c.settings.Broadcasts.Approval == "required",
	}
}
