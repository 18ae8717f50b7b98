package notice

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// openings are the words by which servers begin a notice that is a text and nothing
// else. They stand in its first lines; what follows is the reason, and what follows
// the copy's border is the mail.
var openings = [...]struct {
	words  string
	action Action
}{
	{"this is the qmail-send program", Failed},                 // qmail: QSBMF
	{"this is the mail system at host", Failed},                // Postfix
	{"this is the postfix program", Failed},                    // before 2.3
	{"this message was created automatically by mail", Failed}, // Exim
	{"your message did not reach some or all", Failed},         // Exchange 2003
	{"delivery has failed to these recipients", Failed},        // Exchange from 2007
	{"your message wasn't delivered", Failed},                  // Outlook.com, Google
	{"your message couldn't be delivered", Failed},             // likewise
	{"could not be delivered to", Failed},                      // Courier, Lotus
	{"the original message was received at", Failed},           // sendmail
	{"undeliverable mail", Failed},
	{"delivery to the following recipient failed", Failed}, // Google until 2015, MDaemon
	{"delivery to the following recipients failed", Failed},
}

// delays are words that say that the host goes on trying. They overrule openings.
var delays = [...]string{
	"this is a warning message only", "has not yet been delivered", "not been delivered yet", "delivery is delayed", "has been delayed",
	"will be retried", "could not be delivered for", "still trying", "could not send message for", "delivery to the following recipients has been delayed",
	"you do not need to resend",
}

// borders stand between the notice and the copy of the mail.
var borders = regexp.MustCompile(`(?i)^[-\s]*(below this line is a copy of the message|this is a copy of (your|the) message|original message|unsent message below|included is a copy|original message (headers|follows)|the message that you sent|----- ?message header).*$`)

// openingLines is how far into the text an opening is looked for: a greeting may
// stand before it, and a person who quotes a notice writes more.
const openingLines = 12

// readText recognises notices of servers that write texts. Their writers never agreed
// on anything, so only what is certain counts: who wrote it, an address, and a status.
func readText(n *Notice, text string) {
	said, original := split(text)
	action := opens(said)
	if action == Unknown {
		return
	}
	n.Kind = Delivery
	readOriginal(n, strings.TrimLeft(original, "\n"))
	for block := range blocks(said) {
		n.add(Recipient{Address: block.address, Action: action, Status: cmp.Or(statusIn(block.reason), statusIn(said)), Diagnostic: block.reason}.completed())
	}
	if len(n.Recipients) == 0 {
		n.add(Recipient{Action: action, Status: statusIn(said)})
	}
}

// split parts a notice from the mail that it contains a copy of.
func split(text string) (said, original string) {
	at := 0
	for line := range strings.Lines(text) {
		at += len(line)
		if borders.MatchString(strings.TrimSpace(line)) {
			return text[:at-len(line)], text[at:]
		}
	}
	return text, ""
}

func opens(said string) Action {
	lines := strings.SplitN(said, "\n", openingLines+1)
	lines = slices.DeleteFunc(lines[:min(openingLines, len(lines))], func(l string) bool { return strings.HasPrefix(l, ">") }) // somebody quotes a notice
	head := strings.ToLower(strings.Join(strings.Fields(strings.Join(lines, " ")), " "))
	for _, o := range openings {
		if !strings.Contains(head, o.words) {
			continue
		}
		for _, d := range delays {
			if strings.Contains(head, d) {
				return Delayed
			}
		}
		return o.action
	}
	return Unknown
}

type block struct{ address, reason string }

// blocks are the recipients of a text: a line that begins with an address, and the
// lines up to the next one or to an empty line after a reason.
func blocks(said string) func(yield func(block) bool) {
	return func(yield func(block) bool) {
		var now block
		for line := range strings.Lines(said) {
			line = strings.TrimSpace(line)
			at := begins(line)
			switch {
			case at != "":
				if now.address != "" && !yield(now) {
					return
				}
				_, rest, _ := strings.Cut(line, at)
				now = block{at, strings.TrimLeft(rest, ">: ")}
			case now.address == "":
			case line == "" && now.reason != "":
				if !yield(now) {
					return
				}
				now = block{}
			case len(now.reason) < 2*textMost:
				now.reason += " " + line
			}
		}
		if now.address != "" {
			yield(now)
		}
	}
}

// begins is the address with which a line begins.
func begins(line string) string {
	line = strings.TrimLeft(line, "<'\"")
	if loc := address.FindStringIndex(line); loc != nil && loc[0] == 0 {
		return line[:loc[1]]
	}
	return ""
}
