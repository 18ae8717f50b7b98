package flowengine

import (
	"html"
	"strings"
	"time"

	nethtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// linksMostMail bounds the links of an e-mail that are tracked; further ones stay as
// they are.
const linksMostMail = 100

// Places below the base of short links: a mail's picture of one pixel, and its pages.
const (
	PixelPath       = "o/"
	UnsubscribePath = "u/"
	PreferencesPath = "p/"
)

// rootMessage is what templates of an e-mail know of it, besides its person.
const rootMessage = "message"

const (
	mailUnsubscribeURL = "unsubscribe_url"
	mailPreferencesURL = "preferences_url"
)

var mailFields = []string{mailPreferencesURL, mailUnsubscribeURL}

// tracking is what is looked at of a mail.
type tracking struct {
	opens, clicks bool
	links         bool // go through ours, counted or not
	page          bool // it has pages of its own
	list          bool // its header says how to unsubscribe
}

// MailToken is the token of an e-mail as a whole.
func (l *Links) MailToken(person PersonID, message string) LinkToken {
	return newLinkToken(l.Secret, person.Shard(), message, "")
}

// mailPages are the addresses of the pages of the mail that is being made.
func (x *Passage) mailPages() map[string]any {
	o := x.origin()
	token := x.Set.links.MailToken(o.Person, messageID(&o, x.Run.Steps)).String()
	return map[string]any{
		mailUnsubscribeURL: x.Set.links.Base + "/" + UnsubscribePath + token,
		mailPreferencesURL: x.Set.links.Base + "/" + PreferencesPath + token,
	}
}

// track puts what tells of opens and clicks into a mail, whose id is known by now.
func (l *Links) track(s *Send, now time.Time) {
	m := s.Mail
	if !l.Enabled() || s.track == (tracking{}) {
		s.Text, m.HTML = withoutMarks(s.Text), withoutMarks(m.HTML)
		return
	}
	expires := later(now, s.NotBefore).Add(l.TTL)
	whole := Link{Token: l.MailToken(s.Origin.Person, s.ID), Expires: expires, Tracked: s.track.opens, Mail: true, Whole: true}
	if s.track.links {
		l.trackClicks(s, expires)
	}
	s.Text, m.HTML = withoutMarks(s.Text), withoutMarks(m.HTML)
	if s.track.clicks {
		whole.Of = uint8(len(s.Links))
	}
	if s.track.opens && m.HTML != "" {
		m.HTML = withPixel(m.HTML, l.Base+"/"+PixelPath+whole.Token.String()+".gif")
	}
	if s.track.list {
		m.Unsubscribe = l.Base + "/" + UnsubscribePath + whole.Token.String()
	}
	s.Links = append(s.Links, whole)
}

// trackClicks lets the links of a mail go through ours.
func (l *Links) trackClicks(s *Send, expires time.Time) {
	link := func(url string) string {
		if l.own(url) {
			return ""
		}
		token := newLinkToken(l.Secret, s.Origin.Person.Shard(), s.ID, url)
		if !hasLink(s.Links, token) {
			if len(s.Links) >= linksMostMail {
				return ""
			}
			s.Links = append(s.Links, Link{Token: token, URL: url, Expires: expires, Tracked: s.track.clicks, Mail: true})
		}
		return l.Base + "/" + token.String()
	}
	s.Mail.HTML = replaceLinks(s.Mail.HTML, link)
	s.Text = replaceURLs(s.Text, func(url string) string {
		if short := link(url); short != "" {
			return short
		}
		return url
	})
}

// own tells whether a URL is that of a mail's page: it is not followed through ours.
func (l *Links) own(url string) bool {
	rest, ok := strings.CutPrefix(url, l.Base+"/")
	return ok && (strings.HasPrefix(rest, UnsubscribePath) || strings.HasPrefix(rest, PreferencesPath))
}

// replaceLinks puts link(url) in place of the http and https addresses of a page's
// links, but for those that are marked, and those of elements with data-no-track.
// Where link gives "", nothing changes. Everything else stays octet by octet.
func replaceLinks(page string, link func(url string) string) string {
	if !strings.Contains(page, "://") {
		return page
	}
	var out strings.Builder
	out.Grow(len(page) + len(page)/4)
	z := nethtml.NewTokenizer(strings.NewReader(page))
	for {
		typ := z.Next()
		raw := string(z.Raw()) // Token changes what Raw gives
		if typ == nethtml.ErrorToken {
			out.WriteString(raw)
			return out.String()
		}
		if typ == nethtml.StartTagToken || typ == nethtml.SelfClosingTagToken {
			if t := z.Token(); (t.DataAtom == atom.A || t.DataAtom == atom.Area) && followLink(&t, link) {
				raw = t.String()
			}
		}
		out.WriteString(raw)
	}
}

// followLink changes where a tag leads to, and says whether it did.
func followLink(t *nethtml.Token, link func(url string) string) bool {
	href := -1
	for i, a := range t.Attr {
		switch {
		case a.Key == "data-no-track":
			return false
		case a.Key == "href" && href < 0:
			href = i
		}
	}
	if href < 0 {
		return false
	}
	url := strings.TrimSpace(t.Attr[href].Val)
	scheme, _, ok := strings.Cut(url, "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return false
	}
	target := linkTarget(strings.ReplaceAll(url, " ", "%20"))
	if target == "" || strings.ContainsAny(target, "\r\n\t\"<>\\^`{|}") {
		return false
	}
	short := link(target)
	if short == "" {
		return false
	}
	t.Attr[href].Val = short
	return true
}

// withPixel puts a picture that nobody sees before the end of the body.
func withPixel(page, url string) string {
	image := `<img src="` + html.EscapeString(url) + `" width="1" height="1" alt="" style="display:block;width:1px;height:1px;border:0">`
	at := lastTag(page, "</body>")
	if at < 0 {
		at = lastTag(page, "</html>")
	}
	if at < 0 {
		at = len(page)
	}
	return page[:at] + image + page[at:]
}

// lastTag is where a tag stands for the last time, in upper or lower case, or -1.
func lastTag(page, tag string) int {
	for at := len(page) - len(tag); at >= 0; at-- {
		if page[at] == '<' && strings.EqualFold(page[at:at+len(tag)], tag) {
			return at
		}
	}
	return -1
}
