package flowengine

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what is shortened in one message.
const (
	linkURLMost = 2048 // octets of a URL; a longer one stays as it is
	linksMost   = 20   // URLs of a message; further ones stay as they are
)

// The marks that the filter no_shorten puts around a text. They are
// noncharacters of Unicode, which no text has, and never leave the engine.
const (
	keepBegins = "\uFDD0"
	keepEnds   = "\uFDD1"
)

var keepMarks = strings.NewReplacer(keepBegins, "", keepEnds, "")

// keepAsIs is the filter no_shorten: what goes through it is not shortened, such
// as a link for unsubscribing (rule U1).
func keepAsIs(s string) string { return keepBegins + withoutMarks(s) + keepEnds }

// withoutMarks removes what the filter no_shorten left.
func withoutMarks(s string) string {
	if !strings.Contains(s, keepBegins) && !strings.Contains(s, keepEnds) {
		return s
	}
	return keepMarks.Replace(strings.ToValidUTF8(s, "\uFFFD")) // or octets around a mark would make another one
}

// replaceURLs puts short(url) in place of every http and https URL of a text but
// those that are marked, and removes the marks. The URLs given to short are in ASCII.
func replaceURLs(text string, short func(url string) string) string {
	var out strings.Builder
	found := 0
	for text != "" {
		var kept string
		open, rest, marked := strings.Cut(text, keepBegins)
		if marked {
			kept, rest, _ = strings.Cut(rest, keepEnds)
		}
		for {
			start, end, target := nextURL(open)
			if start < 0 || found >= linksMost {
				break
			}
			out.WriteString(open[:start])
			if target == "" {
				out.WriteString(open[start:end])
			} else {
				out.WriteString(short(target))
				found++
			}
			open = open[end:]
		}
		out.WriteString(open)
		out.WriteString(kept)
		text = rest
	}
	return withoutMarks(out.String())
}

// nextURL finds the first URL of a text as people read it: text[start:end].
// start is -1 when there is none. target is "" for one that cannot be shortened.
func nextURL(text string) (start, end int, target string) {
	for from := 0; ; {
		i := strings.Index(text[from:], "://")
		if i < 0 {
			return -1, 0, ""
		}
		i += from
		from = i + len("://")
		start = schemeBefore(text, i)
		if start < 0 {
			continue
		}
		end = from + len(trimURL(untilURLEnds(text[from:])))
		if end == from {
			continue
		}
		return start, end, linkTarget(text[start:end])
	}
}

// schemeBefore is where http or https begins that ends at i, or -1.
func schemeBefore(text string, i int) int {
	for _, scheme := range [...]string{"https", "http"} {
		at := i - len(scheme)
		if at < 0 || !strings.EqualFold(text[at:i], scheme) {
			continue
		}
		if at > 0 && (isAlnum(text[at-1]) || text[at-1] == '+' || text[at-1] == '-') {
			return -1 // the end of another scheme
		}
		return at
	}
	return -1
}

func isAlnum(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }

// unspaced are scripts that do not part words with spaces: their letters after a
// URL are the text's, while those of others may be a path's.
var unspaced = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Tibetan}

// untilURLEnds is the part of a text up to what no URL contains (RFC 3986
// Appendix C, RFC 3987): space, controls, <>"\^`{|} and punctuation beyond ASCII.
func untilURLEnds(s string) string {
	end := strings.IndexFunc(s, func(r rune) bool {
		if r < utf8.RuneSelf {
			return r <= ' ' || r == 0x7F || strings.ContainsRune("<>\"\\^`{|}", r)
		}
		return r == utf8.RuneError || !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r) || unicode.In(r, unspaced...)
	})
	if end < 0 {
		return s
	}
	return s[:end]
}

// trimURL takes off what belongs to the sentence around a URL: full stops and
// the like, and closing brackets that the URL does not open.
func trimURL(s string) string {
	round := strings.Count(s, ")") - strings.Count(s, "(") // brackets closed and not opened
	square := strings.Count(s, "]") - strings.Count(s, "[")
	for ; s != ""; s = s[:len(s)-1] {
		switch last := s[len(s)-1]; {
		case strings.IndexByte(".,;:!?'", last) >= 0:
		case last == ')' && round > 0:
			round--
		case last == ']' && square > 0:
			square--
		default:
			return s
		}
	}
	return s
}

// linkTarget is where a URL leads, in ASCII so that a header can carry it, or
// "" when it must stay as it is: without a host in ASCII, with a password, too long.
func linkTarget(raw string) string {
	ascii := percentEncoded(raw)
	if len(ascii) > linkURLMost {
		return ""
	}
	u, err := url.Parse(ascii)
	if err != nil || u.Hostname() == "" || u.User != nil || percentEncoded(u.Host) != u.Host || strings.Contains(u.Host, "%") {
		return ""
	}
	return ascii
}

// percentEncoded encodes what lies beyond ASCII (RFC 3987 §3.1).
func percentEncoded(s string) string {
	plain := true
	for i := range len(s) {
		plain = plain && s[i] < utf8.RuneSelf
	}
	if plain {
		return s
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < utf8.RuneSelf {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}
