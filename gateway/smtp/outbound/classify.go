package outbound

import (
	"math/rand/v2"
	"strings"
	"time"

	"trunkline/gateway"
)

// Codes of results that no server gave.
const (
	codeAddress   = "bad_address"
	codeCompose   = "not_composed"
	codeCrowded   = "crowded"       // the destination has as many as it can take
	codeDown      = "unreachable"   // the destination did not answer lately
	codeStopping  = "stopping"      // the daemon ends
	codeBroken    = "broken_off"    // the connection ended before the message was there
	codeInDoubt   = "no_answer"     // it ended when the message was there
	codeTooOld    = "tried_5_days"  // RFC 5321 §4.5.4.1
	codeAllowance = "warm_up"       // the sending domain has sent what it may today
	codeNullMX    = "556 5.1.10"    // RFC 7505 §4.1
	codeNoDomain  = "550 5.1.2"     // the domain does not exist
	codeNoRoute   = "451 4.4.4"     // where it is could not be found out
	codeNoConnect = "451 4.4.1"     // no server of it answers
	codePolicy    = "451 4.7.5"     // TLS is not as it has to be (RFC 8461 §4.2, RFC 7672)
	codeLogin     = "454 4.7.0"     // the smart host refuses the log-in
	codeLoop      = "554 5.4.6"     // the best mail exchanger is this host
	codeUnsent    = "not_connected" // the attempt ended for another message of the destination
)

// pauses follow each attempt (RFC 5321 §4.5.4.1: at least 30 minutes after the first
// attempts, up to 5 days).
var pauses = [...]time.Duration{
	time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute, time.Hour, time.Hour, 2 * time.Hour,
}

const (
	pauseLater = 3 * time.Hour
	attempts   = 45 // until 5 days are over
)

// again is the pause after n attempts failed, n being at least 1, lengthened by up to a
// fifth so that what failed together does not come back together. It is false when
// the message has been tried for 5 days.
func again(n int) (time.Duration, bool) {
	if n >= attempts {
		return 0, false
	}
	p := pauseLater
	if n <= len(pauses) {
		p = pauses[max(n-1, 0)]
	}
	return p + rand.N(p/5), true
}

// outcome is what a delivery means for its message.
func outcome(d delivery, attempt uint8) gateway.Result {
	switch {
	case d.err != nil && d.stage == stageEnd:
		return gateway.Result{Fate: gateway.FateInDoubt, Code: codeInDoubt, After: doubtPause + rand.N(doubtPause)}
	case d.err != nil:
		return retry(codeBroken, attempt)
	case d.reply.class() == 2:
		return gateway.Result{Fate: gateway.FateAccepted, Code: d.reply.status(), Parts: 1}
	case d.reply.class() == 5:
		return gateway.Result{Fate: gateway.FateRejected, Code: d.reply.status(), Dead: hardBounce(d)}
	}
	return retry(d.reply.status(), attempt)
}

// doubtPause is how long a message rests whose fate is open: a server that took it
// recognises the Message-ID, if ever, when it has dealt with it.
const doubtPause = 5 * time.Minute

// retry answers that the message is to be tried again, or that it was tried long enough.
func retry(code string, attempt uint8) gateway.Result {
	pause, ok := again(int(attempt) + 1)
	if !ok {
		return gateway.Result{Fate: gateway.FateExpired, Code: codeTooOld}
	}
	return gateway.Result{Fate: gateway.FateRetry, Code: code, After: pause}
}

// hardBounce tells whether the server says that the address takes no mail and will not:
// it goes on the suppression list. What speaks of policy, of size or of the sender does not.
func hardBounce(d delivery) bool {
	r := d.reply
	switch {
	case r.class() != 5 || d.stage != stageRcpt && d.stage != stageEnd:
		return false
	case r.enhanced[0] != 0: // RFC 3463 §3.2 and §3.3, RFC 7505
		return r.is(1, 1, 2, 3, 6, 10) || r.is(2, 1)
	}
	return d.stage == stageRcpt && (r.code == 550 || r.code == 551 || r.code == 553) && !speaksOfPolicy(r.text)
}

func speaksOfPolicy(text string) bool {
	text = strings.ToLower(text)
	for _, word := range [...]string{"spam", "block", "policy", "reputation", "blacklist", "rbl", "denied", "relay", "spf", "dkim", "dmarc", "quota", "rate"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// throttles tells whether a reply asks us to be slower, rather than speaking of this
// one message. Greylisting speaks of the message.
func throttles(d delivery) bool {
	r := d.reply
	switch {
	case r.code == 421:
		return true
	case r.class() != 4:
		return false
	case speaksOfGreylisting(r.text):
		return false
	case r.is(7) || r.is(3, 1, 2) || r.is(4, 5) || r.is(5, 3):
		return true
	}
	return d.stage != stageRcpt || r.code == 450 && r.enhanced[0] == 0
}

func speaksOfGreylisting(text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(text, "greylist") || strings.Contains(text, "graylist")
}
