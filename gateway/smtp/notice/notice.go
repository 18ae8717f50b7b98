// Package notice reads what machines write about mails that were sent: delivery
// status notifications (RFC 3464), the texts that servers write in their place, and
// feedback reports of mailbox providers (RFC 5965).
//
// It believes nothing: anybody can write such a message. Which mail of ours it is
// about, the caller finds out by [Notice.About], and whether that is proved.
package notice

import (
	"io"
	"strings"

	"github.com/emersion/go-message"
)

// Bounds on what is looked at.
const (
	depthMost      = 4 // multiparts in multiparts
	partsMost      = 32
	partMost       = 64 << 10 // octets of a part
	recipientsMost = 50
	aboutMost      = 20
	textMost       = 300 // octets of a diagnostic text
)

// Kind says what a message is.
type Kind uint8

// The kinds.
const (
	None      Kind = iota // not a notice
	Delivery              // what became of a mail
	Complaint             // a recipient calls it spam
	Feedback              // a feedback report of another kind
)

// Action is what happened to a mail (RFC 3464 §2.3.3).
type Action uint8

// The actions.
const (
	Unknown   Action = iota
	Failed           // given up
	Delayed          // tried again
	Delivered        // in the mailbox
	Relayed          // passed on to a host that sends no notices, or to a list
)

// Recipient is whom a notice is about, and what became of the mail to them.
type Recipient struct {
	Address    string // as the notice writes it; may be empty
	Action     Action
	Status     string // class.subject.detail (RFC 3463), or empty
	Diagnostic string // what the other host said, shortened; one line
}

// Notice is what a message says about others.
type Notice struct {
	Kind       Kind
	Recipients []Recipient
	// About is what may name the mail: its Message-ID, the address it came from, its
	// envelope id, as they are written, without angle brackets.
	About    []string
	Feedback string // type of a feedback report, in lower case (RFC 5965 §3.1)
}

// Read reads a message. What it is not able to read it leaves out.
func Read(e *message.Entity) *Notice {
	r := reader{}
	r.read(e, 0)
	n := &r.notice
	if n.Kind == None {
		readText(n, r.text)
	}
	if n.Kind == None {
		return n
	}
	if failed := addresses(e.Header.Get("X-Failed-Recipients")); len(n.Recipients) == 0 && n.Kind == Delivery {
		for _, a := range failed {
			n.add(Recipient{Address: a, Action: Failed})
		}
	}
	for _, field := range [...]string{"In-Reply-To", "References"} {
		for id := range strings.FieldsSeq(e.Header.Get(field)) {
			n.about(id)
		}
	}
	return n
}

// Worst is what the notice says of a mail that had one recipient: of several, to
// whom it was passed on, the first that is at an end.
func (n *Notice) Worst() Recipient {
	var out Recipient
	for i, r := range n.Recipients {
		if i == 0 || r.Action == Failed && out.Action != Failed {
			out = r
		}
	}
	return out
}

func (n *Notice) add(r Recipient) {
	if len(n.Recipients) < recipientsMost {
		r.Diagnostic = oneLine(r.Diagnostic)
		n.Recipients = append(n.Recipients, r)
	}
}

// about keeps what may name the mail.
func (n *Notice) about(s string) {
	s = strings.Trim(strings.TrimSpace(s), "<>")
	if s != "" && len(s) < 512 && len(n.About) < aboutMost {
		n.About = append(n.About, s)
	}
}

// reader goes through the parts of a message.
type reader struct {
	notice Notice
	text   string // the first one
	parts  int
}

func (r *reader) read(e *message.Entity, depth int) {
	if r.parts++; r.parts > partsMost || depth > depthMost {
		return
	}
	if parts := e.MultipartReader(); parts != nil {
		for r.parts <= partsMost {
			part, _ := parts.NextPart()
			if part == nil {
				return
			}
			r.read(part, depth+1)
		}
		return
	}
	media, _, _ := e.Header.ContentType()
	switch strings.ToLower(media) {
	case "message/delivery-status", "message/global-delivery-status":
		readStatus(&r.notice, content(e))
	case "message/feedback-report":
		readFeedback(&r.notice, content(e))
	case "message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers", "message/rfc822-headers":
		readOriginal(&r.notice, content(e))
	case "text/plain", "":
		if r.text == "" {
			r.text = content(e)
		}
	}
}

// content is the beginning of a part.
func content(e *message.Entity) string {
	raw, _ := io.ReadAll(io.LimitReader(e.Body, partMost)) // as far as it goes
	return strings.ReplaceAll(string(raw), "\r\n", "\n")
}

// readOriginal looks for what names a mail in its own header.
func readOriginal(n *Notice, text string) {
	for name, value := range fields(text) {
		switch name {
		case "":
			return // the end of the header
		case "message-id", "return-path", "x-envelope-from":
			n.about(value)
		}
	}
}

// fields are the fields of a text in the form of a header, their names in lower
// case, unfolded. An empty line gives an empty name.
func fields(text string) func(yield func(name, value string) bool) {
	return func(yield func(name, value string) bool) {
		name, value := "", ""
		for line := range strings.Lines(text) {
			line = strings.TrimRight(line, "\r\n")
			if name != "" && line != "" && (line[0] == ' ' || line[0] == '\t') && strings.TrimSpace(line) != "" {
				if len(value) < 4096 {
					value += " " + strings.TrimSpace(line)
				}
				continue
			}
			if name != "" && !yield(name, value) {
				return
			}
			name, value = "", ""
			if strings.TrimSpace(line) == "" {
				if !yield("", "") {
					return
				}
				continue
			}
			if left, right, ok := strings.Cut(line, ":"); ok {
				name, value = strings.ToLower(strings.TrimSpace(left)), strings.TrimSpace(right)
			}
		}
		if name != "" {
			yield(name, value)
		}
	}
}

// oneLine shortens a text and makes one line of it.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) > textMost {
		s = strings.ToValidUTF8(s[:textMost], "")
	}
	return s
}
