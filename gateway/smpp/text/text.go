// Package text turns messages into the user data of SMS parts and back.
//
// It owns the alphabets of short messages (3GPP TS 23.038), the user data
// header (3GPP TS 23.040 §9.2.3.24), and how a long text is cut into parts and
// joined again. It refuses to know PDUs and sessions: the caller writes what a
// [Part] says into its PDU, and hands over what it found there.
package text

import (
	"errors"
)

// Alphabet is what data_coding 0 means to a carrier.
type Alphabet string

// The alphabets.
const (
	GSM7       Alphabet = "gsm7"        // one septet per octet, as most message centres do
	GSM7Packed Alphabet = "gsm7_packed" // eight septets in seven octets (3GPP TS 23.038 §6.1.2.1)
	Latin1     Alphabet = "latin1"
	ASCII      Alphabet = "ascii"
	UTF8       Alphabet = "utf8"
)

// Method is how the parts of a message are marked.
type Method string

// The methods.
const (
	UDH8    Method = "udh8"    // user data header, reference of 8 bits
	UDH16   Method = "udh16"   // user data header, reference of 16 bits
	SAR     Method = "sar"     // sar_* parameters, which the caller writes
	Payload Method = "payload" // one PDU with message_payload
)

// Options say how a message is sent. The zero value is [GSM7] with [UDH16].
type Options struct {
	Alphabet Alphabet
	Method   Method
	// Languages are the national tables that may be used when the default
	// alphabet lacks a character: in order of preference, none by default.
	Languages []Language
}

// Part is the user data of one SMS part. Its slices share one buffer with the
// message's other parts.
type Part struct {
	Coding byte   // data_coding
	Header []byte // user data header with its length octet; nil when there is none, and then esm_class has no UDHI
	Data   []byte // user data behind the header, ready for the wire
	Ref    uint16 // reference shared by the parts; 8 bits with UDH8
	Total  uint8  // 1–255
	Seq    uint8  // 1–Total
}

// ErrTooLong says that the text needs more than 255 parts, or more octets than
// message_payload holds.
var ErrTooLong = errors.New("text: the message is too long")
