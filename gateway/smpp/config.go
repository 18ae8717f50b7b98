package smpp

import (
	"net/netip"
	"time"

	"trunkline/gateway/smpp/receipt"
	"trunkline/gateway/smpp/text"
)

// Config is the section `smpp:` of the daemon's configuration: what all
// carriers share. Lists that are nil and durations that are zero switch the
// thing off where the field's doc says so; everything else has a default.
type Config struct {
	Listen                   []Listener    `yaml:"listen" doc:"Addresses on which carriers bind in; none when all carriers are bound out to."`
	MaxConnections           int           `yaml:"max_connections" doc:"Connections held at once over all listeners." default:"1000" min:"1" max:"100000"`
	MaxConnectionsPerAddress int           `yaml:"max_connections_per_address" doc:"Connections held at once from one IP address." default:"100" min:"1" max:"100000"`
	MaxPDU                   int           `yaml:"max_pdu" doc:"Largest PDU in octets that is read; a longer one ends the session." default:"65536" min:"1024" max:"1048576"`
	SessionInit              time.Duration `yaml:"session_init" doc:"Time that a new connection has to bind (SMPP 3.4 §7.2)." default:"10s" min:"1s" max:"5m"`
	DrainTimeout             time.Duration `yaml:"drain_timeout" doc:"Time that messages in flight have to be answered when the daemon stops." default:"15s" min:"0s" max:"10m"`
	Queue                    int           `yaml:"queue" doc:"Messages that wait in memory for one carrier; what comes on top is retried later." default:"10000" min:"1" max:"1000000"`
	SystemID                 string        `yaml:"system_id" doc:"Name by which the gateway answers binds." default:"trunkline" max:"15"`
	MessageIDKey             string        `yaml:"message_id_key" doc:"Secret from which message ids get their check digits; taken from each carrier's password when left out."`
}

// Listener is one address on which carriers bind in.
type Listener struct {
	Address string `yaml:"address" doc:"host:port; an empty host means every address of the machine." required:"true"`
	TLS     *TLS   `yaml:"tls" doc:"Speak TLS on this address; needs cert and key."`
}

// TLS says how a connection is encrypted.
type TLS struct {
	Cert       string `yaml:"cert" doc:"File with our certificate chain (PEM)."`
	Key        string `yaml:"key" doc:"File with its private key (PEM)."`
	CA         string `yaml:"ca" doc:"File with the authorities (PEM) that the peer's certificate must come from; on a listener this makes client certificates mandatory."`
	ServerName string `yaml:"server_name" doc:"Name that the peer's certificate must carry when it is not the host of connect."`
	Insecure   bool   `yaml:"insecure" doc:"Accept any certificate of the peer. For trials only." default:"false"`
}

// BindType is how a carrier's sessions are bound.
type BindType string

// The bind types. Pair is one transmitter and one receiver.
const (
	Transceiver BindType = "transceiver"
	Transmitter BindType = "transmitter"
	Receiver    BindType = "receiver"
	Pair        BindType = "pair"
)

// Alphabet is what data_coding 0 means to a carrier.
type Alphabet = text.Alphabet

// The alphabets.
const (
	GSM7       = text.GSM7
	GSM7Packed = text.GSM7Packed
	Latin1     = text.Latin1
	ASCII      = text.ASCII
	UTF8       = text.UTF8
)

// Concatenation is how a message in parts is marked.
type Concatenation = text.Method

// The methods.
const (
	UDH8    = text.UDH8
	UDH16   = text.UDH16
	SAR     = text.SAR
	Payload = text.Payload
)

// IDForm is how a carrier writes message ids in responses and in receipts.
type IDForm = receipt.Form

// The forms. IDAuto matches whatever the carrier writes.
const (
	IDAuto        = receipt.Auto
	IDDecimal     = receipt.Decimal
	IDHexadecimal = receipt.Hexadecimal
	IDText        = receipt.Text // compared as written
)

// Carrier is one SMPP peer: a file of carriers/. Either Connect is set, and we
// bind to a message centre, or Accept is, and the carrier binds to us.
type Carrier struct {
	Name       string        `yaml:"carrier" doc:"Stable name of the carrier: a–z, 0–9 and - (at most 64 characters)." required:"true"`
	Connect    []string      `yaml:"connect" doc:"host:port of the message centre; several are tried in turn."`
	Accept     *Accept       `yaml:"accept" doc:"The carrier binds in to us."`
	SystemID   string        `yaml:"system_id" doc:"Login name of the bind (at most 15 characters)." required:"true" max:"15"`
	Password   string        `yaml:"password" doc:"Password of the bind (at most 8 characters)." max:"8"`
	SystemType string        `yaml:"system_type" doc:"system_type that the message centre wants to see." max:"12"`
	Bind       BindType      `yaml:"bind" doc:"How we bind out, or how the carrier may bind in: transceiver allows all." default:"transceiver" enum:"transceiver,transmitter,receiver,pair"`
	Binds      int           `yaml:"binds" doc:"Sessions that we keep bound." default:"1" min:"1" max:"64"`
	AddrRange  string        `yaml:"address_range" doc:"address_range of the bind." max:"40"`
	Outbind    *Outbind      `yaml:"outbind" doc:"Login with which the message centre may ask us to bind (outbind)."`
	TLS        *TLS          `yaml:"tls" doc:"Bind out over TLS."`
	Window     int           `yaml:"window" doc:"Requests of ours that may wait for an answer, per session." default:"50" min:"1" max:"10000"`
	WindowIn   int           `yaml:"window_in" doc:"Requests of the carrier that may wait for our answer, per session; more get ESME_RMSGQFUL." default:"1000" min:"1" max:"100000"`
	Rate       Rate          `yaml:"rate" doc:"Messages per second; 0 means no limit."`
	Timers     Timers        `yaml:"timers" doc:"Timers of the carrier's sessions."`
	Alphabet   Alphabet      `yaml:"alphabet" doc:"What data_coding 0 means to the carrier." default:"gsm7" enum:"gsm7,gsm7_packed,latin1,ascii,utf8"`
	Concat     Concatenation `yaml:"concatenation" doc:"How messages in parts are marked." default:"udh8" enum:"udh8,udh16,sar,payload"`
	ReceiptID  IDForm        `yaml:"receipt_id" doc:"How the carrier writes message ids in receipts." default:"auto" enum:"auto,decimal,hexadecimal,text"`
	Source     Numbering     `yaml:"source" doc:"Type and plan of the sender address; auto where left out."`
	Dest       Numbering     `yaml:"dest" doc:"Type and plan of the recipient address; auto where left out."`
	Validity   time.Duration `yaml:"default_validity" doc:"validity_period of messages that have none of their own." default:"48h" min:"1m" max:"744h"`
	Service    string        `yaml:"service_type" doc:"service_type of messages." max:"5"`
	Routes     []Route       `yaml:"routes" doc:"Which messages the carrier takes; without any it only takes those that name it."`
	Senders    []SenderRule  `yaml:"senders" doc:"Senders that are allowed or replaced, by country; the longest prefix decides."`
	Errors     Classes       `yaml:"errors" doc:"What refusals mean, where it differs from the standard."`
}

// Accept says who may bind in.
type Accept struct {
	From     []netip.Prefix `yaml:"from" doc:"Networks from which the carrier may bind; every one when left out."`
	MaxBinds int            `yaml:"max_binds" doc:"Sessions that the carrier may hold; more get ESME_RBINDFAIL." default:"4" min:"1" max:"1000"`
	TLS      bool           `yaml:"require_tls" doc:"Refuse binds that are not encrypted." default:"false"`
}

// Outbind is what a message centre must say to make us bind.
type Outbind struct {
	SystemID string         `yaml:"system_id" doc:"system_id of the outbind." required:"true" max:"15"`
	Password string         `yaml:"password" doc:"password of the outbind." max:"8"`
	From     []netip.Prefix `yaml:"from" doc:"Networks from which it may come; every one when left out."`
}

// Rate limits messages per second; 0 means no limit.
type Rate struct {
	In         float64 `yaml:"in" doc:"From the carrier, over all its sessions; more get ESME_RTHROTTLED." default:"0" min:"0"`
	InPerBind  float64 `yaml:"in_per_bind" doc:"From the carrier, per session." default:"0" min:"0"`
	Out        float64 `yaml:"out" doc:"To the carrier, over all its sessions." default:"0" min:"0"`
	OutPerBind float64 `yaml:"out_per_bind" doc:"To the carrier, per session." default:"0" min:"0"`
}

// Timers are those of SMPP 3.4 §7.2 and what surrounds them.
type Timers struct {
	EnquireLink time.Duration `yaml:"enquire_link" doc:"Silence after which the peer is asked whether it is there; 0 never asks." default:"30s" min:"0s" max:"1h"`
	Response    time.Duration `yaml:"response" doc:"Time that the peer has to answer, from the moment a request was written." default:"30s" min:"1s" max:"1h"`
	Late        time.Duration `yaml:"late_response" doc:"The same while the peer throttles or still answers others: a late answer is no failure." default:"2m" min:"1s" max:"6h"`
	Inactivity  time.Duration `yaml:"inactivity" doc:"Time without a message after which the session is unbound; 0 never." default:"0s" min:"0s" max:"24h"`
	Connect     time.Duration `yaml:"connect" doc:"Time to connect, and again to be bound." default:"10s" min:"1s" max:"5m"`
	Reconnect   time.Duration `yaml:"reconnect" doc:"First pause before binding again; it doubles, with jitter." default:"1s" min:"10ms" max:"10m"`
	ReconnectTo time.Duration `yaml:"reconnect_max" doc:"Longest pause before binding again." default:"1m" min:"10ms" max:"1h"`
}

// Numbering is a type of number and a plan. Nil means: find out from the address.
type Numbering struct {
	TON *int `yaml:"ton" doc:"Type of number (SMPP 3.4 §5.2.5)." min:"0" max:"6"`
	NPI *int `yaml:"npi" doc:"Numbering plan (SMPP 3.4 §5.2.6)." min:"0" max:"18"`
}

// Route says which messages a carrier takes and how gladly. Among the routes
// that match, the longest prefix wins, then priority, then cost; equals share
// the traffic by weight.
type Route struct {
	Prefix   string  `yaml:"prefix" doc:"First digits of the recipient; empty means every one."`
	Sender   string  `yaml:"sender" doc:"Sender, with * for any characters; empty means every one."`
	Priority int     `yaml:"priority" doc:"Higher goes first." default:"0"`
	Weight   int     `yaml:"weight" doc:"Share among equal routes." default:"1" min:"1" max:"10000"`
	Cost     float64 `yaml:"cost" doc:"Price of one part, in any unit that all routes share; the cheaper goes first." default:"0" min:"0"`
}

// SenderRule says which senders the networks behind a prefix take.
type SenderRule struct {
	Prefix  string   `yaml:"prefix" doc:"First digits of the recipient, such as the country code; empty means every one."`
	Allow   []string `yaml:"allow" doc:"Senders that pass, with * for any characters; every one when left out."`
	Replace string   `yaml:"replace" doc:"Sender that takes the place of one that does not pass; without it the message is refused."`
}

// Classes say what to do about a refusal, by the status's name such as
// ESME_RTHROTTLED or its number such as 0x58. What is not named has the
// standard class.
type Classes struct {
	Retry  []string `yaml:"retry" doc:"Temporary: the same carrier later."`
	Other  []string `yaml:"other_carrier" doc:"This carrier cannot: the next one now."`
	GiveUp []string `yaml:"give_up" doc:"Permanent: no carrier will take it."`
}
