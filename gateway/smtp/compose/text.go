package compose

import (
	"html"
	"strings"

	nethtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// withPreheader puts what lists of mails show behind the subject before everything
// else, where nobody sees it who opens the mail. What follows keeps the beginning of
// the mail out of those lists.
func withPreheader(body, preheader string) string {
	if preheader == "" {
		return body
	}
	hidden := `<div style="display:none;max-height:0;max-width:0;overflow:hidden;opacity:0;font-size:1px;line-height:1px;mso-hide:all">` +
		html.EscapeString(preheader) + strings.Repeat("&#847;&zwnj;&nbsp;", preheaderFill) + "</div>"
	at := bodyBegins(body)
	return body[:at] + hidden + body[at:]
}

// preheaderFill is how much invisible space follows a preheader.
const preheaderFill = 40

// bodyBegins is where the content of the body begins: behind its tag, or at the start
// when there is none.
func bodyBegins(s string) int {
	z := nethtml.NewTokenizer(strings.NewReader(s))
	at := 0
	for {
		typ := z.Next()
		if typ == nethtml.ErrorToken {
			return 0
		}
		at += len(z.Raw())
		if typ == nethtml.StartTagToken {
			if name, _ := z.TagName(); atom.Lookup(name) == atom.Body {
				return at
			}
		}
	}
}

// Text is HTML as a plain text: what a reader sees of it, in lines, with the addresses
// of links behind them. What is hidden is left out.
func Text(s string) string {
	z := nethtml.NewTokenizer(strings.NewReader(s))
	t := new(plain)
	for {
		switch typ := z.Next(); typ {
		case nethtml.ErrorToken:
			return strings.Trim(t.out.String(), " \n") + "\n"
		case nethtml.TextToken:
			if t.hidden == 0 {
				t.text(string(z.Text()))
			}
		case nethtml.StartTagToken, nethtml.SelfClosingTagToken:
			t.open(z.Token(), typ == nethtml.SelfClosingTagToken)
		case nethtml.EndTagToken:
			t.close(z.Token().DataAtom)
		}
	}
}

// plain is a text that is being made of HTML.
type plain struct {
	out    strings.Builder
	breaks int       // line ends that are owed before what follows
	space  bool      // a space is
	hidden int       // depth within what nobody sees
	hides  atom.Atom // the element that hides
	links  []anchor  // that are open
	pre    int       // depth within pre
}

// anchor is a link that is open.
type anchor struct {
	href  string
	begin int // of its text
}

// text adds what is read, with its white space as a browser shows it.
func (t *plain) text(s string) {
	if t.pre > 0 {
		t.flush()
		t.out.WriteString(strings.ReplaceAll(s, "\r\n", "\n"))
		return
	}
	words := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == '\f' })
	if len(words) == 0 {
		t.space = t.space || s != ""
		return
	}
	t.space = t.space || strings.IndexByte(" \t\n\r\f", s[0]) >= 0
	for i, word := range words {
		t.space = t.space || i > 0
		t.flush()
		t.out.WriteString(word)
	}
	t.space = strings.IndexByte(" \t\n\r\f", s[len(s)-1]) >= 0
}

// flush writes the line ends and the space that are owed.
func (t *plain) flush() {
	switch {
	case t.out.Len() == 0:
	case t.breaks > 0:
		t.out.WriteString(strings.Repeat("\n", t.breaks))
	case t.space:
		t.out.WriteByte(' ')
	}
	t.breaks, t.space = 0, false
}

// line owes n line ends at least.
func (t *plain) line(n int) { t.breaks = max(t.breaks, n) }

// open looks at a tag that begins an element.
func (t *plain) open(tag nethtml.Token, closed bool) {
	name := tag.DataAtom
	void := closed || voids[name]
	if t.hidden > 0 && t.hides == atom.Head && name == atom.Body { // its end may be left out
		t.hidden = 0
	}
	if t.hidden > 0 {
		if name == t.hides && !void {
			t.hidden++
		}
		return
	}
	if unseen[name] || isHidden(tag.Attr) {
		if !void {
			t.hidden, t.hides = 1, name
		}
		return
	}
	t.line(lineEnds[name])
	switch name {
	case atom.Br:
		t.breaks = min(t.breaks+1, 3)
	case atom.Li:
		t.flush()
		t.out.WriteString("- ")
	case atom.Td, atom.Th:
		t.space = true
	case atom.Hr:
		t.flush()
		t.out.WriteString("---")
		t.line(1)
	case atom.Pre:
		t.pre++
	case atom.Img:
		if alt := attribute(tag.Attr, "alt"); alt != "" {
			t.text(alt)
		}
	case atom.A:
		t.links = append(t.links, anchor{attribute(tag.Attr, "href"), t.out.Len()})
	}
}

// close looks at a tag that ends an element.
func (t *plain) close(name atom.Atom) {
	if t.hidden > 0 {
		if name == t.hides {
			t.hidden--
		}
		return
	}
	switch name {
	case atom.A:
		t.closeLink()
	case atom.Pre:
		t.pre = max(0, t.pre-1)
	}
	t.line(lineEnds[name])
}

// closeLink writes the address of a link behind its text, unless it is the text.
func (t *plain) closeLink() {
	if len(t.links) == 0 {
		return
	}
	l := t.links[len(t.links)-1]
	t.links = t.links[:len(t.links)-1]
	href := strings.TrimPrefix(l.href, "mailto:")
	if href == "" || strings.HasPrefix(href, "#") || strings.HasPrefix(strings.ToLower(href), "javascript:") {
		return
	}
	shown := strings.TrimSpace(t.out.String()[l.begin:])
	switch {
	case strings.HasSuffix(shown, href):
	case shown == "":
		t.flush()
		t.out.WriteString(href)
	default:
		t.space = false
		t.out.WriteString(" (" + href + ")")
	}
}

func attribute(all []nethtml.Attribute, name string) string {
	for _, a := range all {
		if a.Key == name {
			return strings.TrimSpace(a.Val)
		}
	}
	return ""
}

func isHidden(all []nethtml.Attribute) bool {
	for _, a := range all {
		switch a.Key {
		case "hidden":
			return true
		case "style":
			if style := strings.ReplaceAll(strings.ToLower(a.Val), " ", ""); strings.Contains(style, "display:none") {
				return true
			}
		}
	}
	return false
}

// unseen are elements of which a reader sees nothing.
var unseen = map[atom.Atom]bool{
	atom.Head: true, atom.Title: true, atom.Style: true, atom.Script: true, atom.Template: true, atom.Noscript: true, atom.Svg: true, atom.Object: true,
}

// voids are elements without an end (HTML, §13.1.2).
var voids = map[atom.Atom]bool{
	atom.Area: true, atom.Base: true, atom.Br: true, atom.Col: true, atom.Embed: true, atom.Hr: true, atom.Img: true, atom.Input: true, atom.Link: true,
	atom.Meta: true, atom.Source: true, atom.Track: true, atom.Wbr: true,
}

// lineEnds is how many line ends stand before and after an element.
var lineEnds = map[atom.Atom]int{
	atom.P: 2, atom.H1: 2, atom.H2: 2, atom.H3: 2, atom.H4: 2, atom.H5: 2, atom.H6: 2, atom.Ul: 2, atom.Ol: 2, atom.Blockquote: 2, atom.Pre: 2, atom.Table: 2,
	atom.Div: 1, atom.Li: 1, atom.Tr: 1, atom.Hr: 1, atom.Section: 1, atom.Article: 1, atom.Header: 1, atom.Footer: 1, atom.Center: 1, atom.Dt: 1, atom.Dd: 1,
	atom.Address: 1, atom.Figure: 1, atom.Figcaption: 1, atom.Main: 1, atom.Nav: 1, atom.Aside: 1, atom.Form: 1, atom.Fieldset: 1,
}
