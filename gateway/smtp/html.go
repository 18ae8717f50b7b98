package smtp

import (
	"html"
	"strings"
)

// htmlText is what a reader sees of HTML, without quotations. It is for mail that
// has no plain text: no browser, just enough that a keyword or a sentence comes
// through. Elements that start a line start one; what is in head, style, script and
// blockquote is left out.
func htmlText(s string) string {
	var b strings.Builder
	hidden := "" // the element that hides everything until it ends
	depth := 0   // of elements of that name
	for s != "" {
		text, rest, found := strings.Cut(s, "<")
		if hidden == "" {
			b.WriteString(html.UnescapeString(collapsed(text, b.Len() == 0 || strings.HasSuffix(b.String(), "\n"))))
		}
		if !found {
			break
		}
		if comment, ok := strings.CutPrefix(rest, "!--"); ok {
			_, s, _ = strings.Cut(comment, "-->")
			continue
		}
		var tag string
		tag, s, _ = strings.Cut(rest, ">")
		name, closing := tagName(tag)
		switch {
		case hidden == "" && !closing && hides(name, tag):
			hidden, depth = name, 1
			b.WriteByte('\n')
		case hidden == "head" && name == "body":
			hidden = ""
		case hidden == name && hidden != "" && closing:
			if depth--; depth == 0 {
				hidden = ""
			}
		case hidden == name && hidden != "":
			depth++
		case hidden == "" && breaks[name]:
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// hides tells whether nothing inside of an element is what the writer wrote.
func hides(name, tag string) bool {
	switch name {
	case "head", "style", "script", "title", "blockquote":
		return true
	case "div":
		return strings.Contains(tag, "gmail_quote") || strings.Contains(tag, "moz-cite-prefix")
	}
	return false
}

var breaks = map[string]bool{"br": true, "p": true, "div": true, "tr": true, "li": true, "h1": true, "h2": true, "h3": true, "table": true, "ul": true, "ol": true, "hr": true, "pre": true}

// tagName is the name of a tag, in lower case.
func tagName(tag string) (name string, closing bool) {
	name, closing = strings.CutPrefix(tag, "/")
	if i := strings.IndexAny(name, " \t\r\n/"); i >= 0 {
		name = name[:i]
	}
	return strings.ToLower(name), closing
}

// collapsed makes one space of white space.
func collapsed(s string, begins bool) string {
	words := strings.Join(strings.Fields(s), " ")
	if words == "" {
		if s != "" && !begins {
			return " "
		}
		return ""
	}
	if !begins && strings.ContainsAny(s[:1], " \t\r\n") {
		words = " " + words
	}
	if strings.ContainsAny(s[len(s)-1:], " \t\r\n") {
		words += " "
	}
	return words
}
