package receipt

import (
	"strings"

	"trunkline/gateway"
)

// states are the values of message_state (SMPP 3.4 §5.2.28) with the words of
// Appendix B.
var states = [...]struct {
	state gateway.State
	word  string
}{
	1: {gateway.Enroute, "ENROUTE"},
	2: {gateway.Delivered, "DELIVRD"},
	3: {gateway.Expired, "EXPIRED"},
	4: {gateway.Deleted, "DELETED"},
	5: {gateway.Undeliverable, "UNDELIV"},
	6: {gateway.Accepted, "ACCEPTD"},
	7: {gateway.StateUnknown, "UNKNOWN"},
	8: {gateway.Rejected, "REJECTD"},
}

// words are the beginnings by which a status is known, whatever follows: peers
// write DELIVRD, DELIVERED, DELIVERED_TO_HANDSET and so on.
var words = [...]struct {
	prefix string
	state  gateway.State
}{
	{"DELI", gateway.Delivered},
	{"DLVR", gateway.Delivered},
	{"READ", gateway.Delivered},
	{"SEEN", gateway.Delivered},
	{"UNDEL", gateway.Undeliverable},
	{"EXPI", gateway.Expired},
	{"EXPR", gateway.Expired},
	{"DELE", gateway.Deleted},
	{"CANCEL", gateway.Deleted},
	{"ACCE", gateway.Accepted},
	{"ACPT", gateway.Accepted},
	{"REJ", gateway.Rejected},
	{"BLOCK", gateway.Rejected},
	{"FAIL", gateway.Undeliverable},
	{"SKIP", gateway.Undeliverable}, // SMPP 5.0
	{"NOTDEL", gateway.Undeliverable},
	{"ENROU", gateway.Enroute},
	{"BUFF", gateway.Enroute},
	{"SCHED", gateway.Enroute}, // SMPP 5.0
	{"QUEUE", gateway.Enroute},
	{"PEND", gateway.Enroute},
	{"SENT", gateway.Enroute},
	{"SUBMI", gateway.Enroute},
	{"UNKN", gateway.StateUnknown},
}

// StateOf gives the meaning of a receipt's status: a word in any case and
// length, or the number of message_state. ok is false when it is none that is known.
func StateOf(stat string) (s gateway.State, ok bool) {
	if len(stat) == 1 && stat[0] >= '1' && stat[0] <= '8' {
		return MessageState(stat[0] - '0'), true
	}
	var buf [8]byte
	word := letters(&buf, stat)
	for _, w := range words {
		if strings.HasPrefix(string(word), w.prefix) {
			return w.state, true
		}
	}
	return gateway.StateUnknown, false
}

// letters returns the first letters of s in upper case, without what some put
// between words (EN_ROUTE).
func letters(buf *[8]byte, s string) []byte {
	word := buf[:0]
	for i := 0; i < len(s) && len(word) < len(buf); i++ {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z':
			word = append(word, c-'a'+'A')
		case c >= 'A' && c <= 'Z':
			word = append(word, c)
		}
	}
	return word
}

// Word gives the status of Appendix B for a state.
func Word(s gateway.State) string { return states[Code(s)].word }

// MessageState gives the meaning of the parameter message_state; values that
// SMPP 3.4 does not have are unknown.
func MessageState(v byte) gateway.State {
	if v == 0 || int(v) >= len(states) {
		return gateway.StateUnknown
	}
	return states[v].state
}

// Code gives the value of message_state for a state.
func Code(s gateway.State) byte {
	for v := 1; v < len(states); v++ {
		if states[v].state == s {
			return byte(v)
		}
	}
	return 7 // UNKNOWN
}
