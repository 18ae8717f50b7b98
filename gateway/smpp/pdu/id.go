package pdu

import "fmt"

// ID is a command_id (SMPP 3.4 §5.1.2.1). Responses have the top bit set.
type ID uint32

// The command ids.
const (
	IDGenericNack         ID = 0x80000000
	IDBindReceiver        ID = 0x00000001
	IDBindReceiverResp    ID = 0x80000001
	IDBindTransmitter     ID = 0x00000002
	IDBindTransmitterResp ID = 0x80000002
	IDQuerySM             ID = 0x00000003
	IDQuerySMResp         ID = 0x80000003
	IDSubmitSM            ID = 0x00000004
	IDSubmitSMResp        ID = 0x80000004
	IDDeliverSM           ID = 0x00000005
	IDDeliverSMResp       ID = 0x80000005
	IDUnbind              ID = 0x00000006
	IDUnbindResp          ID = 0x80000006
	IDReplaceSM           ID = 0x00000007
	IDReplaceSMResp       ID = 0x80000007
	IDCancelSM            ID = 0x00000008
	IDCancelSMResp        ID = 0x80000008
	IDBindTransceiver     ID = 0x00000009
	IDBindTransceiverResp ID = 0x80000009
	IDOutbind             ID = 0x0000000B
	IDEnquireLink         ID = 0x00000015
	IDEnquireLinkResp     ID = 0x80000015
	IDSubmitMulti         ID = 0x00000021
	IDSubmitMultiResp     ID = 0x80000021
	IDAlertNotification   ID = 0x00000102
	IDDataSM              ID = 0x00000103
	IDDataSMResp          ID = 0x80000103

	// Of SMPP 5.0 (§4.7.5); named here, without a body type.
	IDBroadcastSM           ID = 0x00000111
	IDBroadcastSMResp       ID = 0x80000111
	IDQueryBroadcastSM      ID = 0x00000112
	IDQueryBroadcastSMResp  ID = 0x80000112
	IDCancelBroadcastSM     ID = 0x00000113
	IDCancelBroadcastSMResp ID = 0x80000113
)

const responseBit ID = 0x80000000

// IsResponse reports whether the PDU answers another; generic_nack does.
func (id ID) IsResponse() bool { return id&responseBit != 0 }

// Response returns the id of the answer to id. Outbind and alert_notification
// have none (SMPP 3.4 §4.1.7, §4.12): the result is no known id.
func (id ID) Response() ID { return id | responseBit }

// String returns the specification's name, or the number in hexadecimal.
func (id ID) String() string {
	if id == IDGenericNack {
		return "generic_nack"
	}
	name := requestName(id &^ responseBit)
	switch {
	case name == "", id == IDOutbind.Response(), id == IDAlertNotification.Response():
		return fmt.Sprintf("0x%08X", uint32(id))
	case id.IsResponse():
		return name + "_resp"
	}
	return name
}

func requestName(id ID) string {
	switch id {
	case IDBindReceiver:
		return "bind_receiver"
	case IDBindTransmitter:
		return "bind_transmitter"
	case IDBindTransceiver:
		return "bind_transceiver"
	case IDQuerySM:
		return "query_sm"
	case IDSubmitSM:
		return "submit_sm"
	case IDDeliverSM:
		return "deliver_sm"
	case IDUnbind:
		return "unbind"
	case IDReplaceSM:
		return "replace_sm"
	case IDCancelSM:
		return "cancel_sm"
	case IDOutbind:
		return "outbind"
	case IDEnquireLink:
		return "enquire_link"
	case IDSubmitMulti:
		return "submit_multi"
	case IDAlertNotification:
		return "alert_notification"
	case IDDataSM:
		return "data_sm"
	case IDBroadcastSM:
		return "broadcast_sm"
	case IDQueryBroadcastSM:
		return "query_broadcast_sm"
	case IDCancelBroadcastSM:
		return "cancel_broadcast_sm"
	}
	return ""
}
