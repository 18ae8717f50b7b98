package smpp

import (
	"fmt"
	"strconv"
	"strings"

	"trunkline/gateway/smpp/pdu"
)

// class is what a refusal asks of us.
type class byte

const (
	classGiveUp   class = iota // no carrier will take the message
	classOther                 // this carrier cannot: the next one now
	classRetry                 // the same carrier later
	classThrottle              // likewise, and slower
)

// classTable holds where a carrier differs from the standard classes.
type classTable map[pdu.Status]class

// newClassTable reads the names of a configuration; the errors are field errors.
func newClassTable(c *Classes) (classTable, []error) {
	t := make(classTable)
	var f faults
	read := func(path string, names []string, as class) {
		for i, name := range names {
			s, ok := parseStatus(name)
			if !ok {
				f.add(fmt.Sprintf("errors.%s[%d]", path, i), "%q is no command_status; write its name such as ESME_RTHROTTLED or a number such as 0x58%s",
					name, didYouMean(name))
				continue
			}
			if old, twice := t[s]; twice && old != as {
				f.add(fmt.Sprintf("errors.%s[%d]", path, i), "%s is already in another class", s)
			}
			t[s] = as
		}
	}
	read("retry", c.Retry, classRetry)
	read("other_carrier", c.Other, classOther)
	read("give_up", c.GiveUp, classGiveUp)
	return t, f
}

// of returns the class of a status (SMPP 3.4 §5.1.3).
func (t classTable) of(s pdu.Status) class {
	c, set := t[s]
	switch s {
	case pdu.ESME_RTHROTTLED, pdu.ESME_RMSGQFUL:
		if !set || c == classRetry {
			return classThrottle
		}
	}
	if set {
		return c
	}
	switch s {
	// About the carrier's state or about what it lets us do: another may.
	case pdu.ESME_RINVBNDSTS, pdu.ESME_RSYSERR, pdu.ESME_RSUBMITFAIL, pdu.ESME_RDELIVERYFAILURE,
		pdu.ESME_RUNKNOWNERR, pdu.ESME_RINVSERTYP, pdu.ESME_RINVSYSTYP, pdu.ESME_RSERTYPUNAUTH,
		pdu.ESME_RPROHIBITED, pdu.ESME_RSERTYPUNAVAIL, pdu.ESME_RSERTYPDENIED, pdu.ESME_RINVSRCADR,
		pdu.ESME_RINVSRCTON, pdu.ESME_RINVSRCNPI, pdu.ESME_RINVDCS, pdu.ESME_RINVCMDID:
		return classOther
	// A receiver that cannot at the moment.
	case pdu.ESME_RX_T_APPN:
		return classRetry
	}
	if s >= 0x400 && s <= 0x4FF { // the vendor's own, whose meaning nobody knows
		return classOther
	}
	return classGiveUp
}

// passing reports whether a refusal of [classOther] is about the carrier's state
// and may end, so that the message is tried again when no other carrier is left.
// The others are about what the carrier takes, and stay.
func passing(s pdu.Status) bool {
	switch s {
	case pdu.ESME_RINVBNDSTS, pdu.ESME_RSYSERR, pdu.ESME_RSUBMITFAIL, pdu.ESME_RDELIVERYFAILURE,
		pdu.ESME_RUNKNOWNERR, pdu.ESME_RSERTYPUNAVAIL:
		return true
	}
	return false
}

// parseStatus reads a status's name or number.
func parseStatus(name string) (pdu.Status, bool) {
	if n, err := strconv.ParseUint(name, 0, 32); err == nil {
		return pdu.Status(n), true
	}
	name = strings.ToUpper(strings.TrimSpace(name))
	if !strings.HasPrefix(name, "ESME_") {
		name = "ESME_" + name
	}
	for s := pdu.Status(0); s < 0x200; s++ {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
}

// didYouMean suggests the status whose name starts like the wrong one.
func didYouMean(name string) string {
	name = strings.ToUpper(strings.TrimPrefix(strings.ToUpper(name), "ESME_"))
	best, shared := pdu.Status(0), 3 // fewer shared letters are chance
	for s := pdu.Status(0); s < 0x200; s++ {
		full, known := strings.CutPrefix(s.String(), "ESME_")
		if !known {
			continue
		}
		n := 0
		for n < len(full) && n < len(name) && full[n] == name[n] {
			n++
		}
		if n > shared {
			best, shared = s, n
		}
	}
	if shared == 3 {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}
