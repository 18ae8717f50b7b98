package flowengine

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// DefaultLinkTTL is how long a short link leads somewhere (rule U1).
const DefaultLinkTTL = 100 * 24 * time.Hour

// Links says how messages shorten what they link to. The zero Links shortens nothing.
type Links struct {
	// Base is what a short link begins with, without a slash at the end:
	// https://l.example.org.
	Base string
	// TTL is how long a link leads somewhere after its message may go out.
	TTL time.Duration
	// Secret makes tokens that nobody guesses. It never changes: a step that is
	// computed again has to make the same links.
	Secret []byte
}

// Enabled says whether URLs are shortened at all.
func (l *Links) Enabled() bool { return l.Base != "" }

// WithLinks gives the set what short links look like. It belongs to the making
// of a set and returns s.
func (s *Set) WithLinks(l Links) *Set {
	s.links = l
	return s
}

// LinkToken names a short link: 56 bits that only the holder of the secret can
// compute, and the shard in which the link is kept. A token stands for one URL
// of one message, so a click tells who clicked.
type LinkToken uint64

// linkTokenLen is the length of a token's text: 62^11 > 2^64.
const linkTokenLen = 11

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// newLinkToken makes the token of a URL in a message to a person of the shard.
func newLinkToken(secret []byte, shard Shard, message, url string) LinkToken {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(message))
	mac.Write([]byte{0})
	mac.Write([]byte(url))
	return LinkToken(binary.BigEndian.Uint64(mac.Sum(nil))&^(Shards-1) | uint64(shard))
}

// Shard is where the link is kept: that of the message's person.
func (t LinkToken) Shard() Shard { return Shard(t % Shards) }

// String gives the token's 11 letters and digits.
func (t LinkToken) String() string {
	var b [linkTokenLen]byte
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = base62[t%62]
		t /= 62
	}
	return string(b[:])
}

var errLinkToken = errors.New("it is not the token of a short link: 11 letters and digits are expected")

// ParseLinkToken reads what String wrote. Upper and lower case are different.
func ParseLinkToken(s string) (LinkToken, error) {
	if len(s) != linkTokenLen {
		return 0, errLinkToken
	}
	var t uint64
	for i := range len(s) {
		digit := uint64(strings.IndexByte(base62, s[i])) // -1 becomes huge
		if digit >= 62 || t > (1<<64-1-digit)/62 {
			return 0, errLinkToken
		}
		t = t*62 + digit
	}
	return LinkToken(t), nil
}

// Link is a short link that a message contains.
type Link struct {
	Token   LinkToken
	URL     string // where it leads, in ASCII
	Expires time.Time
	Tracked bool // clicks, or opens, are counted, and are People events
	// Mail says that the link is in an e-mail; Whole, that it stands for the whole mail:
	// its picture of one pixel and its pages. Then it leads nowhere, and Of is how many
	// tracked links the mail has.
	Mail, Whole bool
	Of          uint8
}

// shortening is what a message wants to become of its URLs.
type shortening struct {
	track          bool
	removeProtocol bool
}

// shorten replaces the URLs of a message, whose id is known by now. It is the
// last thing that changes the text: parts are counted after it (rule M4).
func (l *Links) shorten(s *Send, now time.Time) {
	base := l.Base
	if s.shorten.removeProtocol {
		_, base, _ = strings.Cut(base, "://")
	}
	expires := now
	if s.NotBefore.After(now) {
		expires = s.NotBefore
	}
	expires = expires.Add(l.TTL)
	s.Text = replaceURLs(s.Text, func(url string) string {
		token := newLinkToken(l.Secret, s.Origin.Person.Shard(), s.ID, url)
		if !hasLink(s.Links, token) {
			s.Links = append(s.Links, Link{Token: token, URL: url, Expires: expires, Tracked: s.shorten.track})
		}
		return base + "/" + token.String()
	})
}

func hasLink(links []Link, t LinkToken) bool {
	for i := range links {
		if links[i].Token == t {
			return true
		}
	}
	return false
}

// EventLinkClicked is the People event that a click makes. Its properties are
// url, link (the token), message, flow and element, and those of the message's data.
const EventLinkClicked = "link_clicked"

// Click is the cause that a person has followed a short link (rule U1).
type Click struct {
	Link    LinkToken
	Message string // id of the message that contains the link
	Origin  Origin
	URL     string
	Data    Attrs // of the message
	At      time.Time
	Mail    bool // the message is an e-mail
}

func (*Click) cause() {}

// clickedURLMost bounds how much of a URL the history keeps.
const clickedURLMost = 200

// click counts a click, tells the run that the message belongs to, and lets it
// be a People event.
func (st *step) click(c *Click) {
	if c.Mail && !st.person.tracked() {
		return
	}
	o := st.ours(c.Origin)
	e := Event{Kind: Clicked, Flow: o.Flow, Version: o.Version, Element: o.Element, Number: o.Number, Detail: c.URL[:min(len(c.URL), clickedURLMost)]}
	if o.Flow != "" && o.Element != "" {
		e.First = st.passages.Membership(o.Flow).click(ElementMark(o.Element))
		e.Message = lastOfID(c.Message)
	}
	st.log(e)
	st.result.PassagesChanged = true
	st.seen(o, c.Message, func(m *MessageSeen) { m.Clicked, m.Opened = true, m.Opened || c.Mail })
	if c.Mail && st.waitsForReport(o) {
		st.tellSender(o, c.Message, c)
	}
	for _, name := range [...]string{EventLinkClicked, EventEmailClicked} {
		if name == EventEmailClicked && !c.Mail {
			continue
		}
		e := &Happened{ID: fmt.Sprintf("click/%s/%d", c.Link, c.At.UnixMilli()), Name: name, At: c.At}
		if c.Mail {
			e.ID = name + "/" + e.ID
		}
		for _, a := range c.Data {
			e.Props.Set(a.Name, a.Value)
		}
		for name, value := range map[string]string{"url": c.URL, "link": c.Link.String(), "message": c.Message, "flow": o.Flow, "element": o.Element} {
			e.Props.Set(name, TextValue(value))
		}
		st.happened(e)
	}
}
