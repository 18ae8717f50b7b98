package smtp

import (
	"strings"

	"github.com/emersion/go-message"
)

// kind says who wrote a message. The values are those of the metric's label.
type kind string

const (
	fromPerson kind = "accepted"
	autoReply  kind = "auto_reply" // a machine's answer or a mailing (RFC 3834)
	bounce     kind = "bounce"     // a delivery status notification (RFC 3464)
	complaint  kind = "complaint"  // a feedback report (RFC 5965)
	loop       kind = "loop"       // from one of our own addresses
)

var kinds = [...]kind{fromPerson, autoReply, bounce, complaint, loop}

// kindOf tells from a header and the return path, which is empty for
// notifications, who wrote a message. Whatever a machine wrote must neither start
// a flow nor be answered (RFC 3834 §2).
func kindOf(h *message.Header, returnPath string) kind {
	media, params, _ := h.ContentType()
	report := ""
	if strings.EqualFold(media, "multipart/report") {
		report = strings.ToLower(params["report-type"])
	}
	switch {
	case report == "feedback-report":
		return complaint
	case report == "delivery-status", h.Has("X-Failed-Recipients"):
		return bounce
	case report != "", returnPath == "":
		return autoReply
	case automatic(h):
		return autoReply
	}
	return fromPerson
}

// automatic looks for the headers by which programs make themselves known: that of
// RFC 3834 §5, and those that came before it.
func automatic(h *message.Header) bool {
	if word := firstWord(h.Get("Auto-Submitted")); word != "" && word != "no" {
		return true
	}
	switch firstWord(h.Get("Precedence")) {
	case "bulk", "junk", "list", "auto_reply":
		return true
	}
	if word := firstWord(h.Get("X-Auto-Response-Suppress")); word != "" && word != "none" {
		return true
	}
	return h.Has("X-Autoreply") || h.Has("X-Autorespond") || h.Has("List-Id")
}

// firstWord is what stands before parameters and comments, in lower case.
func firstWord(s string) string {
	if i := strings.IndexAny(s, ";(,"); i >= 0 {
		s = s[:i]
	}
	return strings.ToLower(strings.TrimSpace(s))
}
