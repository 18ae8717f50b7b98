// Package receipt reads and writes SMPP delivery receipts and finds the message
// that they are about.
//
// It owns the text of a receipt (SMPP 3.4 Appendix B) in all the ways in which
// peers write it, the message states (§5.2.28), and the forms of message ids.
// It refuses to know PDUs and stores.
package receipt

import (
	"fmt"
	"time"

	"trunkline/gateway"
)

// Receipt is a delivery receipt. Fields that are missing have their zero value.
type Receipt struct {
	ID        string        // message id as written
	Submitted int           // messages submitted (sub)
	Delivered int           // messages delivered (dlvrd)
	Submit    time.Time     // submit date; receipts name no zone, so it is read as UTC
	Done      time.Time     // done date, likewise
	State     gateway.State // what Stat means
	Stat      string        // status as written; Append makes it from State when empty
	Err       string        // error code of the network or the message centre, as written
	Text      string        // first characters of the message
}

const (
	dateForm   = "0601021504" // YYMMDDhhmm
	textLength = 20           // characters of the message in a receipt
)

// Append appends r to dst in the form of Appendix B.
func Append(dst []byte, r Receipt) []byte {
	stat := r.Stat
	if stat == "" {
		stat = Word(r.State)
	}
	errorCode := r.Err
	if errorCode == "" {
		errorCode = "000"
	}
	dst = append(dst, "id:"...)
	dst = append(dst, r.ID...)
	dst = fmt.Appendf(dst, " sub:%03d dlvrd:%03d submit date:", r.Submitted, r.Delivered)
	dst = appendDate(dst, r.Submit)
	dst = append(dst, " done date:"...)
	dst = appendDate(dst, r.Done)
	dst = append(dst, " stat:"...)
	dst = append(dst, stat...)
	dst = append(dst, " err:"...)
	dst = append(dst, errorCode...)
	dst = append(dst, " text:"...)
	return append(dst, firstCharacters(r.Text, textLength)...)
}

func appendDate(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(dst, "0000000000"...)
	}
	return t.UTC().AppendFormat(dst, dateForm)
}

func firstCharacters(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
