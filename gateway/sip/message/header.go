package message

import "strings"

// Name is a header that this package knows; Other stands for all others.
type Name uint8

// The headers that signalling looks at.
const (
	Other Name = iota
	Accept
	Allow
	AllowEvents
	Authorization
	CSeq
	CallID
	Contact
	ContentDisposition
	ContentEncoding
	ContentLength
	ContentType
	Date
	Event
	Expires
	From
	MaxForwards
	MinExpires
	MinSE
	PAssertedIdentity
	Privacy
	ProxyAuthenticate
	ProxyAuthorization
	ProxyRequire
	RAck
	RSeq
	Reason
	RecordRoute
	ReferTo
	ReferredBy
	Require
	RetryAfter
	Route
	Server
	SessionExpires
	SubscriptionState
	Supported
	To
	Unsupported
	UserAgent
	ViaHeader
	WWWAuthenticate
	Warning
	names // their count
)

var nameTexts = [names]string{
	"", "Accept", "Allow", "Allow-Events", "Authorization", "CSeq", "Call-ID", "Contact", "Content-Disposition", "Content-Encoding",
	"Content-Length", "Content-Type", "Date", "Event", "Expires", "From", "Max-Forwards", "Min-Expires", "Min-SE",
	"P-Asserted-Identity", "Privacy", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Require", "RAck", "RSeq", "Reason",
	"Record-Route", "Refer-To", "Referred-By", "Require", "Retry-After", "Route", "Server", "Session-Expires",
	"Subscription-State", "Supported", "To", "Unsupported", "User-Agent", "Via", "WWW-Authenticate", "Warning",
}

// String is the header's name as it is written.
func (n Name) String() string { return nameTexts[n] }

// byText finds names in lower case, the compact forms included (RFC 3261 §20,
// RFC 3515, RFC 3892, RFC 4028, RFC 6665).
var byText = func() map[string]Name {
	m := map[string]Name{
		"b": ReferredBy, "c": ContentType, "e": ContentEncoding, "f": From, "i": CallID, "k": Supported, "l": ContentLength,
		"m": Contact, "o": Event, "r": ReferTo, "t": To, "u": AllowEvents, "v": ViaHeader, "x": SessionExpires,
	}
	for n := Other + 1; n < names; n++ {
		m[strings.ToLower(nameTexts[n])] = n
	}
	return m
}()

const longestName = 20 // of the known ones

// nameOf finds a header's name in any case.
func nameOf(text string) Name {
	if len(text) > longestName {
		return Other
	}
	var lower [longestName]byte
	for i := range len(text) {
		c := text[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	return byText[string(lower[:len(text)])]
}

// Header is one header field. Value is unfolded, without blanks around it.
type Header struct {
	Name  Name
	Text  string // the name as it was written
	Value string
}

// single are the headers that a message has at most once (RFC 3261 §7.3.1, §20).
var single = [names]bool{
	CSeq: true, CallID: true, ContentLength: true, ContentType: true, Date: true, Event: true, Expires: true, From: true, MaxForwards: true,
	MinSE: true, RAck: true, RSeq: true, ReferTo: true, SessionExpires: true, SubscriptionState: true, To: true,
}
