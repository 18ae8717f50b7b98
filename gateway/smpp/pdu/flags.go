package pdu

import "fmt"

// ESMClass is esm_class (SMPP 3.4 §5.2.12): messaging mode, message type and
// the GSM features, each in bits of its own.
type ESMClass byte

// Messaging modes, of which a message has one.
const (
	ModeDefault         ESMClass = 0x00
	ModeDatagram        ESMClass = 0x01
	ModeForward         ESMClass = 0x02
	ModeStoreAndForward ESMClass = 0x03
)

// Message types, of which a message has one.
const (
	TypeDefault      ESMClass = 0x00
	TypeReceipt      ESMClass = 0x04 // delivery receipt; deliver_sm and data_sm only
	TypeDeliveryAck  ESMClass = 0x08
	TypeUserAck      ESMClass = 0x10
	TypeAbort        ESMClass = 0x18 // conversation abort (Korean CDMA); deliver_sm only
	TypeIntermediate ESMClass = 0x20 // intermediate notification; deliver_sm and data_sm only
)

// GSM features, in any combination.
const (
	UDHI      ESMClass = 0x40 // the message starts with a user data header
	ReplyPath ESMClass = 0x80
)

// Mode returns the messaging mode.
func (c ESMClass) Mode() ESMClass { return c & 0x03 }

// Type returns the message type.
func (c ESMClass) Type() ESMClass { return c & 0x3C }

// HasUDH reports whether the message starts with a user data header.
func (c ESMClass) HasUDH() bool { return c&UDHI != 0 }

// RegisteredDelivery is registered_delivery (SMPP 3.4 §5.2.17).
type RegisteredDelivery byte

// The reports a sender can ask for. The three receipts exclude one another;
// acknowledgements and Intermediate can be added.
const (
	ReceiptNever     RegisteredDelivery = 0x00
	ReceiptAlways    RegisteredDelivery = 0x01 // on success or failure
	ReceiptOnFailure RegisteredDelivery = 0x02
	ReceiptOnSuccess RegisteredDelivery = 0x03 // SMPP 5.0 §4.7.21
	AckDelivery      RegisteredDelivery = 0x04 // by the recipient's SME
	AckUser          RegisteredDelivery = 0x08 // by the recipient
	Intermediate     RegisteredDelivery = 0x10
)

// Receipt returns which receipt is asked for.
func (d RegisteredDelivery) Receipt() RegisteredDelivery { return d & 0x03 }

// MessageState is message_state (SMPP 3.4 §5.2.28).
type MessageState byte

// The states.
const (
	StateScheduled     MessageState = 0 // SMPP 5.0 §4.7.15
	StateEnroute       MessageState = 1
	StateDelivered     MessageState = 2
	StateExpired       MessageState = 3
	StateDeleted       MessageState = 4
	StateUndeliverable MessageState = 5
	StateAccepted      MessageState = 6
	StateUnknown       MessageState = 7
	StateRejected      MessageState = 8
	StateSkipped       MessageState = 9 // SMPP 5.0 §4.7.15
)

// Final reports whether the message will stay in the state.
func (s MessageState) Final() bool {
	switch s {
	case StateScheduled, StateEnroute, StateAccepted, StateUnknown:
		return false
	}
	return s <= StateSkipped
}

// String returns the specification's name, or the number.
func (s MessageState) String() string {
	names := [...]string{"SCHEDULED", "ENROUTE", "DELIVERED", "EXPIRED", "DELETED",
		"UNDELIVERABLE", "ACCEPTED", "UNKNOWN", "REJECTED", "SKIPPED"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("state %d", byte(s))
}
