package sip

import (
	"fmt"
	"strconv"
	"strings"

	"trunkline/gateway/sip/message"
)

// Party is who did something.
type Party uint8

// The parties.
const (
	Us      Party = iota // the host of the call
	Peer                 // the other end of the leg
	Gateway              // the edge itself: a timer, a limit, a fault
)

func (p Party) String() string { return [...]string{"us", "peer", "edge"}[p] }

// Cause is why a leg ended.
type Cause struct {
	By     Party
	Code   int    // SIP status that tells it best; 200 for an ordinary end of a call
	Q850   int    // cause of Q.850, 0 when nobody knows
	Text   string // short, for people
	Answer bool   // the call had been answered
}

func (c Cause) String() string {
	return fmt.Sprintf("%d %s (Q.850 %d, by %s)", c.Code, c.Text, c.Q850, c.By)
}

// The causes that the edge itself finds.
var (
	causeNormal    = Cause{Code: 200, Q850: 16, Text: "Normal call clearing"}
	causeNoAck     = Cause{By: Gateway, Code: 408, Q850: 102, Text: "No ACK"}
	causeSession   = Cause{By: Gateway, Code: 408, Q850: 102, Text: "Session expired"}
	causeDuration  = Cause{By: Gateway, Code: 200, Q850: 16, Text: "Longest duration reached"}
	causeRing      = Cause{By: Gateway, Code: 408, Q850: 18, Text: "Not answered in time"}
	causeNoReply   = Cause{By: Gateway, Code: 408, Q850: 18, Text: "No response"}
	causeTransport = Cause{By: Gateway, Code: 503, Q850: 27, Text: "The peer cannot be reached"}
	causeGone      = Cause{By: Gateway, Code: 481, Q850: 41, Text: "The peer does not know the call"}
	causeFault     = Cause{By: Gateway, Code: 500, Q850: 41, Text: "Internal fault"}
	causeMedia     = Cause{By: Gateway, Code: 488, Q850: 65, Text: "No common media"}
	causeStopping  = Cause{By: Gateway, Code: 503, Q850: 38, Text: "The gateway stops"}
	causeRestart   = Cause{By: Gateway, Code: 500, Q850: 41, Text: "The gateway was restarted"}
	causeCancelled = Cause{By: Peer, Code: 487, Q850: 16, Text: "Cancelled"}
)

// phrases are the reason phrases that we write.
var phrases = map[int]string{
	100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued", 183: "Session Progress", 200: "OK", 202: "Accepted",
	400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
	406: "Not Acceptable", 407: "Proxy Authentication Required", 408: "Request Timeout", 410: "Gone", 413: "Request Entity Too Large",
	415: "Unsupported Media Type", 416: "Unsupported URI Scheme", 420: "Bad Extension", 421: "Extension Required",
	422: "Session Interval Too Small", 480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected",
	483: "Too Many Hops", 484: "Address Incomplete", 486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here",
	491: "Request Pending", 500: "Server Internal Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
	504: "Server Time-out", 505: "Version Not Supported", 513: "Message Too Large", 600: "Busy Everywhere", 603: "Decline",
	604: "Does Not Exist Anywhere", 606: "Not Acceptable",
}

func phrase(code int) string {
	if p, ok := phrases[code]; ok {
		return p
	}
	return "Error"
}

// q850Of maps statuses to causes of Q.850 (RFC 3398 §8.2.6.1 and its inverse).
var q850Of = map[int]int{
	400: 41, 401: 21, 402: 21, 403: 21, 404: 1, 405: 63, 406: 79, 407: 21, 408: 102, 410: 22, 413: 127, 414: 127, 415: 79, 416: 127, 420: 127,
	421: 127, 422: 127, 423: 127, 480: 18, 481: 41, 482: 25, 483: 25, 484: 28, 485: 1, 486: 17, 487: 16, 488: 65, 491: 41, 500: 41, 501: 79, 502: 38,
	503: 41, 504: 102, 505: 127, 513: 127, 600: 17, 603: 21, 604: 1, 606: 65,
}

// codeOf is the way back (RFC 3398 §7.2.4.1).
var codeOf = map[int]int{
	1: 404, 2: 404, 3: 404, 16: 480, 17: 486, 18: 480, 19: 480, 20: 480, 21: 403, 22: 410, 23: 410, 25: 482, 26: 404, 27: 502, 28: 484, 29: 501, 31: 480,
	34: 503, 38: 503, 41: 503, 42: 503, 47: 503, 55: 403, 57: 403, 58: 503, 65: 488, 70: 488, 79: 501, 87: 403, 88: 503, 102: 504, 111: 500, 127: 500,
}

// Q850 is the cause of Q.850 that a status stands for; 0 for a success.
func Q850(status int) int {
	if c, ok := q850Of[status]; ok {
		return c
	}
	switch {
	case status >= 600:
		return 21
	case status >= 500:
		return 41
	case status >= 400:
		return 31
	}
	return 0
}

// Status is the status that a cause of Q.850 stands for: what a call that has
// not been answered is refused with.
func Status(q850 int) int {
	if c, ok := codeOf[q850]; ok {
		return c
	}
	return 500
}

// reason writes a Reason header (RFC 3326).
func (c Cause) reason() string {
	if c.Q850 == 0 {
		return ""
	}
	return "Q.850;cause=" + strconv.Itoa(c.Q850) + ";text=" + message.Quote(c.Text)
}

// readReason takes a cause of Q.850 from a message, 0 when it has none.
func readReason(m *message.Message) (q850 int, text string) {
	m.Each(message.Reason, func(e string) bool {
		protocol, _, _ := strings.Cut(e, ";")
		if !strings.EqualFold(strings.TrimSpace(protocol), "Q.850") {
			return true
		}
		params := message.Params(e[len(protocol):])
		cause, _ := params.Get("cause")
		if n, err := strconv.ParseUint(cause, 10, 7); err == nil {
			q850 = int(n)
		}
		text, _ = params.Get("text")
		return false
	})
	if len(text) > 100 {
		text = text[:100]
	}
	return q850, text
}
