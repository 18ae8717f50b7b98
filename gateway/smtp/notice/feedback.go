package notice

import "strings"

// readFeedback reads a message/feedback-report (RFC 5965 §3). A mail that somebody
// says is no spam, or that failed authentication (RFC 6591), is no complaint.
func readFeedback(n *Notice, text string) {
	var r Recipient
	for name, value := range fields(text) {
		switch name {
		case "feedback-type":
			n.Feedback = firstWord(value)
		case "original-envelope-id", "original-mail-from":
			n.about(value)
		case "original-rcpt-to", "removal-recipient":
			r.Address = strings.Trim(value, "<>")
		}
	}
	switch n.Feedback {
	case "":
		return // a required field
	case "abuse", "fraud", "virus", "miscategorized", "opt-out", "opt-out-list", "other":
		n.Kind = Complaint
	default:
		n.Kind = Feedback
	}
	n.add(r)
}
