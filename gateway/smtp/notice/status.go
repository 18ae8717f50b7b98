package notice

import (
	"regexp"
	"strings"
)

// readStatus reads a message/delivery-status: fields about the message, then those of
// each recipient, with an empty line before each (RFC 3464 §2.1).
func readStatus(n *Notice, text string) {
	n.Kind = Delivery
	var r Recipient
	final := ""
	end := func() {
		if r.Address == "" {
			r.Address = final
		}
		if r.Action != Unknown || r.Status != "" {
			n.add(r.completed())
		}
		r, final = Recipient{}, ""
	}
	for name, value := range fields(text) {
		switch name {
		case "":
			end()
		case "original-envelope-id":
			n.about(value)
		case "original-recipient":
			r.Address = typed(value)
		case "final-recipient":
			final = typed(value)
		case "action":
			r.Action = actions[firstWord(value)]
		case "status":
			r.Status = status.FindString(value)
		case "diagnostic-code":
			r.Diagnostic = typed(value)
		}
	}
	end()
}

var actions = map[string]Action{
	"failed": Failed, "delayed": Delayed, "delivered": Delivered, "relayed": Relayed, "expanded": Relayed,
}

// typed is a value without its type: "rfc822; ana@b.example" (RFC 3464 §2.1.2).
func typed(s string) string {
	if _, value, ok := strings.Cut(s, ";"); ok {
		s = value
	}
	return strings.Trim(strings.TrimSpace(s), "<>")
}

// firstWord is what stands before spaces and comments, in lower case.
func firstWord(s string) string {
	if i := strings.IndexAny(s, " \t(;"); i >= 0 {
		s = s[:i]
	}
	return strings.ToLower(s)
}

var (
	status    = regexp.MustCompile(`\b[245]\.\d{1,3}\.\d{1,3}\b`) // RFC 3463 §2
	replyCode = regexp.MustCompile(`\b[45][0-5]\d\b`)
	address   = regexp.MustCompile(`[^\s<>"',;:()\[\]]+@[^\s<>"',;:()\[\]]+`)
)

// completed fills in what one part of a notice says and another leaves out. The
// reason of a failure may be more exact in the host's words than in the status that
// the notice's writer chose.
func (r Recipient) completed() Recipient {
	exact := statusIn(r.Diagnostic)
	if exact != "" && (r.Status == "" || strings.HasSuffix(r.Status, ".0.0") && exact[0] == r.Status[0]) {
		r.Status = exact
	}
	if r.Action == Unknown && r.Status != "" {
		r.Action = map[byte]Action{'2': Delivered, '4': Delayed, '5': Failed}[r.Status[0]]
	}
	return r
}

// statusIn finds a status in a text, or makes one of a reply code.
func statusIn(text string) string {
	if s := status.FindString(text); s != "" {
		return s
	}
	if code := replyCode.FindString(text); code != "" {
		return code[:1] + ".0.0"
	}
	return ""
}

// addresses are those in a text.
func addresses(s string) []string {
	return address.FindAllString(s, recipientsMost)
}
