package sip

import (
	"net/netip"
	"time"
)

// Config is the section `sip:` of the daemon's configuration: what all trunks
// share.
type Config struct {
	Listen         []Listener    `yaml:"listen" max:"16" doc:"Addresses at which calls are taken and from which they are made; none switches calls off."`
	MaxCalls       int           `yaml:"max_calls" default:"10000" min:"1" max:"1000000" doc:"Calls at once over all trunks; further ones get 503."`
	CallsPerSecond float64       `yaml:"calls_per_second" default:"0" min:"0" doc:"New calls per second over all trunks; more get 503. 0 means no limit."`
	MaxDelay       time.Duration `yaml:"max_delay" default:"300ms" min:"10ms" max:"5s" doc:"How long a new call may wait for its first answer; while the newest one waited longer, because the machine is behind, new calls get 503. Callers ask again after 500ms."`
	MaxMessage     int           `yaml:"max_message" default:"32768" min:"4096" max:"65535" doc:"Largest message in octets; a larger one gets 513."`
	SourceRate     float64       `yaml:"source_rate" default:"20000" min:"1" doc:"Messages per second from one IP address of a trunk; of what is more, requests get 503."`

	MaxConnections           int           `yaml:"max_connections" default:"1000" min:"1" max:"100000" doc:"TCP and TLS connections held at once."`
	MaxConnectionsPerAddress int           `yaml:"max_connections_per_address" default:"50" min:"1" max:"100000" doc:"The same from one IP address."`
	IdleTimeout              time.Duration `yaml:"idle_timeout" default:"15m" min:"10s" max:"24h" doc:"Silence after which a connection without calls is closed."`

	DrainTimeout time.Duration `yaml:"drain_timeout" default:"15s" min:"0s" max:"1h" doc:"Time that calls have to come to their end when the daemon stops; then they are hung up."`
	UserAgent    string        `yaml:"user_agent" default:"Trunkline" max:"100" doc:"How we name ourselves to peers."`
}

// Listener is one address at which calls are taken.
type Listener struct {
	Address   string    `yaml:"address" required:"true" doc:"host:port; an empty host means every address of the machine. Port 0 takes any that is free."`
	Transport Transport `yaml:"transport" default:"udp" enum:"udp,tcp,tls" doc:"How messages travel."`
	TLS       *TLS      `yaml:"tls" doc:"Certificate of a listener with transport tls."`
	Advertise string    `yaml:"advertise" max:"255" doc:"host:port, or host, under which peers reach this address, when it is behind a NAT. Default: the address itself."`
}

// Transport is how messages travel.
type Transport string

// The transports.
const (
	UDP    Transport = "udp"
	TCP    Transport = "tcp"
	TLSTCP Transport = "tls"
)

// TLS says how a connection is encrypted.
type TLS struct {
	Cert       string `yaml:"cert" doc:"File with our certificate chain (PEM)."`
	Key        string `yaml:"key" doc:"File with its private key (PEM)."`
	CA         string `yaml:"ca" doc:"File with the authorities (PEM) that the peer's certificate must come from; on a listener this makes client certificates mandatory."`
	ServerName string `yaml:"server_name" doc:"Name that the peer's certificate must carry when it is not the host of connect."`
	Insecure   bool   `yaml:"insecure" default:"false" doc:"Accept any certificate of the peer. For trials only."`
}

// Trunk is one SIP peer: a file of trunks/.
type Trunk struct {
	Name        string         `yaml:"trunk" required:"true" doc:"Stable name of the trunk: a–z, 0–9 and - (at most 64 characters)."`
	Connect     []string       `yaml:"connect" max:"16" doc:"host or host:port to which calls are sent; several are tried in turn. Without it the trunk only brings calls."`
	From        []netip.Prefix `yaml:"from" max:"64" doc:"Networks from which the trunk's messages come. Default: the addresses of connect. What comes from elsewhere is dropped unread."`
	Transport   Transport      `yaml:"transport" default:"udp" enum:"udp,tcp,tls" doc:"How messages are sent to the peer."`
	TLS         *TLS           `yaml:"tls" doc:"Encryption towards the peer; needed with transport tls when there is more to say than the host's name."`
	Certificate string         `yaml:"certificate" max:"255" doc:"Name in the client certificate by which the trunk is known on a TLS listener with ca, wherever it comes from."`

	Domain       string        `yaml:"domain" max:"255" doc:"Host part of the addresses that we write to the peer. Default: the host of connect."`
	Login        *Login        `yaml:"login" doc:"Who we say we are when the peer asks (digest)."`
	Authenticate *Authenticate `yaml:"authenticate" doc:"Calls of the trunk have to prove who they come from (digest)."`
	Register     *Register     `yaml:"register" doc:"Register with the provider, and stay registered."`
	Ping         Ping          `yaml:"ping" doc:"OPTIONS that ask whether the peer is there."`

	Codecs   []string `yaml:"codecs" max:"2" doc:"Codecs in order of preference: pcma, pcmu. Default: both, pcma first."`
	SRTP     string   `yaml:"srtp" default:"off" enum:"off,optional,required" doc:"Encryption of the sound (SRTP with keys in the signalling, RFC 4568). off: none. optional: where the peer wants it. required: calls without it are refused. The keys are as secret as the signalling: use it with transport tls."`
	Limits   Limits   `yaml:"limits" doc:"How many calls the trunk takes and brings."`
	CallerID CallerID `yaml:"caller_id" doc:"Which number of a caller is believed and shown."`
	Routes   []Route  `yaml:"routes" max:"1000" doc:"Numbers that may be called over the trunk; without any it takes only calls that name it."`

	SessionExpires time.Duration `yaml:"session_expires" default:"30m" min:"90s" max:"24h" doc:"How long a call stands without a sign of life (RFC 4028)."`
	MinSE          time.Duration `yaml:"min_se" default:"90s" min:"90s" max:"24h" doc:"Shortest time for that which the peer may ask for; a shorter one gets 422."`
	Reliable       string        `yaml:"reliable_provisional" default:"supported" enum:"never,supported,required" doc:"Whether early media is announced reliably (100rel, RFC 3262) when the peer can; required refuses peers that cannot with 421."`
	Transfer       string        `yaml:"transfer" default:"refuse" enum:"refuse,allow" doc:"Whether the peer may transfer a call (REFER); refuse answers 603."`
	RingTimeout    time.Duration `yaml:"ring_timeout" default:"3m" min:"1s" max:"10m" doc:"How long a call may ring, either way, before it is given up."`
	MaxDuration    time.Duration `yaml:"max_duration" default:"4h" min:"1s" max:"48h" doc:"How long a call may last."`
	Symmetric      bool          `yaml:"symmetric" default:"true" doc:"Answer to the port that a request came from, also when the peer does not ask for it (RFC 3581)."`
}

// Login is who we are to the peer.
type Login struct {
	Username string `yaml:"username" required:"true" max:"255" doc:"Name in digests."`
	Password string `yaml:"password" required:"true" max:"255" doc:"Password; write it as ${env:NAME} or ${file:path}."`
	Realm    string `yaml:"realm" max:"255" doc:"The only realm in which we say it; empty: any."`
}

// Authenticate is what the peer has to prove.
type Authenticate struct {
	Username      string        `yaml:"username" required:"true" max:"255" doc:"Name in digests."`
	Password      string        `yaml:"password" required:"true" max:"255" doc:"Password; write it as ${env:NAME} or ${file:path}."`
	Realm         string        `yaml:"realm" default:"trunkline" max:"255" doc:"Realm that we name."`
	Algorithms    []string      `yaml:"algorithms" max:"2" doc:"Digests that we take, in order of preference: SHA-256, MD5. Default: both."`
	NonceLifetime time.Duration `yaml:"nonce_lifetime" default:"5m" min:"5s" max:"24h" doc:"How long a challenge can be answered."`
}

// Register keeps us registered (RFC 3261 §10).
type Register struct {
	Registrar string        `yaml:"registrar" max:"255" doc:"host[:port] of the registrar. Default: the first of connect."`
	User      string        `yaml:"user" required:"true" max:"255" doc:"User part of the address of record, often a number."`
	Domain    string        `yaml:"domain" max:"255" doc:"Its host part. Default: the trunk's domain."`
	Expires   time.Duration `yaml:"expires" default:"10m" min:"30s" max:"24h" doc:"Lifetime that we ask for; it is renewed in time."`
}

// Ping is how the peer's health is watched.
type Ping struct {
	Interval  time.Duration `yaml:"interval" default:"30s" min:"0s" max:"1h" doc:"Time between two OPTIONS; 0 sends none, and the trunk counts as up."`
	DownAfter int           `yaml:"down_after" default:"2" min:"1" max:"100" doc:"Failures in a row after which the trunk is down and gets no calls."`
	UpAfter   int           `yaml:"up_after" default:"1" min:"1" max:"100" doc:"Answers in a row after which it is up again."`
}

// Limits bound a trunk's calls.
type Limits struct {
	Calls             int     `yaml:"calls" default:"1000" min:"1" max:"1000000" doc:"Calls at once, both ways together."`
	CallsPerSecondIn  float64 `yaml:"calls_per_second_in" default:"0" min:"0" doc:"New calls per second from the peer; more get 503. 0 means no limit."`
	CallsPerSecondOut float64 `yaml:"calls_per_second_out" default:"0" min:"0" doc:"New calls per second to the peer. 0 means no limit."`
}

// CallerID says whose number is shown.
type CallerID struct {
	Trust   string   `yaml:"trust" default:"from" enum:"from,asserted" doc:"Where the number of an incoming call's caller is: in From, or in P-Asserted-Identity when there is one (RFC 3325)."`
	Allow   []string `yaml:"allow" max:"1000" doc:"Numbers, or beginnings with a final *, that may be shown on outgoing calls; every one when left out."`
	Default string   `yaml:"default" max:"64" doc:"Number that takes the place of one that may not be shown; without it such a call is refused."`
	Assert  bool     `yaml:"assert" default:"false" doc:"Also write the number into P-Asserted-Identity, and keep it there when the caller is withheld."`
	Format  string   `yaml:"format" default:"plus" enum:"plus,plain" doc:"How international numbers are written to the peer: +385… or 385…."`
	Refuse  []string `yaml:"refuse" max:"1000" doc:"Callers, or beginnings with a final *, whose calls get 403."`
}

// Route is numbers that may be called. Among the trunks whose routes match, the
// longest prefix wins, then priority, then cost.
type Route struct {
	Prefix   string  `yaml:"prefix" max:"32" doc:"First digits of the called number, with its country code; empty means every one."`
	Priority int     `yaml:"priority" default:"0" doc:"Higher goes first."`
	Cost     float64 `yaml:"cost" default:"0" min:"0" doc:"Price of a minute, in any unit that all routes share; the cheaper goes first."`
}
