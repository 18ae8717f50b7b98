package pdu

import "fmt"

// Status is a command_status (SMPP 3.4 §5.1.3, 5.0 §4.7.6). The constants keep
// the specification's spelling, by which operators know them.
//
// 0x400–0x4FF belong to the vendors of message centres; all else is reserved.
type Status uint32

// The statuses; those from 0x100 on are of SMPP 5.0.
const (
	ESME_ROK                 Status = 0x000 // no error
	ESME_RINVMSGLEN          Status = 0x001 // message length is invalid
	ESME_RINVCMDLEN          Status = 0x002 // command length is invalid
	ESME_RINVCMDID           Status = 0x003 // command id is invalid
	ESME_RINVBNDSTS          Status = 0x004 // wrong bind state for the command
	ESME_RALYBND             Status = 0x005 // already bound
	ESME_RINVPRTFLG          Status = 0x006 // priority_flag is invalid
	ESME_RINVREGDLVFLG       Status = 0x007 // registered_delivery is invalid
	ESME_RSYSERR             Status = 0x008 // system error
	ESME_RINVSRCADR          Status = 0x00A // source address is invalid
	ESME_RINVDSTADR          Status = 0x00B // destination address is invalid
	ESME_RINVMSGID           Status = 0x00C // message_id is invalid
	ESME_RBINDFAIL           Status = 0x00D // bind failed
	ESME_RINVPASWD           Status = 0x00E // password is invalid
	ESME_RINVSYSID           Status = 0x00F // system_id is invalid
	ESME_RCANCELFAIL         Status = 0x011 // cancel_sm failed
	ESME_RREPLACEFAIL        Status = 0x013 // replace_sm failed
	ESME_RMSGQFUL            Status = 0x014 // message queue is full
	ESME_RINVSERTYP          Status = 0x015 // service_type is invalid
	ESME_RINVNUMDESTS        Status = 0x033 // number_of_dests is invalid
	ESME_RINVDLNAME          Status = 0x034 // dl_name is invalid
	ESME_RINVDESTFLAG        Status = 0x040 // dest_flag is invalid
	ESME_RINVSUBREP          Status = 0x042 // submit with replace is not supported
	ESME_RINVESMCLASS        Status = 0x043 // esm_class is invalid
	ESME_RCNTSUBDL           Status = 0x044 // cannot submit to the distribution list
	ESME_RSUBMITFAIL         Status = 0x045 // submit_sm or submit_multi failed
	ESME_RINVSRCTON          Status = 0x048 // source_addr_ton is invalid
	ESME_RINVSRCNPI          Status = 0x049 // source_addr_npi is invalid
	ESME_RINVDSTTON          Status = 0x050 // dest_addr_ton is invalid
	ESME_RINVDSTNPI          Status = 0x051 // dest_addr_npi is invalid
	ESME_RINVSYSTYP          Status = 0x053 // system_type is invalid
	ESME_RINVREPFLAG         Status = 0x054 // replace_if_present_flag is invalid
	ESME_RINVNUMMSGS         Status = 0x055 // number of messages is invalid
	ESME_RTHROTTLED          Status = 0x058 // over the allowed rate
	ESME_RINVSCHED           Status = 0x061 // schedule_delivery_time is invalid
	ESME_RINVEXPIRY          Status = 0x062 // validity_period is invalid
	ESME_RINVDFTMSGID        Status = 0x063 // sm_default_msg_id is invalid
	ESME_RX_T_APPN           Status = 0x064 // receiver's temporary application error
	ESME_RX_P_APPN           Status = 0x065 // receiver's permanent application error
	ESME_RX_R_APPN           Status = 0x066 // receiver rejects the message
	ESME_RQUERYFAIL          Status = 0x067 // query_sm failed
	ESME_RINVOPTPARSTREAM    Status = 0x0C0 // optional part of the body is broken (5.0: ESME_RINVTLVSTREAM)
	ESME_ROPTPARNOTALLWD     Status = 0x0C1 // optional parameter is not allowed (5.0: ESME_RTLVNOTALLWD)
	ESME_RINVPARLEN          Status = 0x0C2 // parameter length is invalid (5.0: ESME_RINVTLVLEN)
	ESME_RMISSINGOPTPARAM    Status = 0x0C3 // expected optional parameter is missing (5.0: ESME_RMISSINGTLV)
	ESME_RINVOPTPARAMVAL     Status = 0x0C4 // optional parameter value is invalid (5.0: ESME_RINVTLVVAL)
	ESME_RDELIVERYFAILURE    Status = 0x0FE // delivery failed (data_sm_resp)
	ESME_RUNKNOWNERR         Status = 0x0FF // unknown error
	ESME_RSERTYPUNAUTH       Status = 0x100 // not authorised for the service_type
	ESME_RPROHIBITED         Status = 0x101 // operation is prohibited
	ESME_RSERTYPUNAVAIL      Status = 0x102 // service_type is unavailable
	ESME_RSERTYPDENIED       Status = 0x103 // service_type is denied
	ESME_RINVDCS             Status = 0x104 // data_coding is invalid
	ESME_RINVSRCADDRSUBUNIT  Status = 0x105 // source_addr_subunit is invalid
	ESME_RINVDSTADDRSUBUNIT  Status = 0x106 // dest_addr_subunit is invalid
	ESME_RINVBCASTFREQINT    Status = 0x107 // broadcast_frequency_interval is invalid
	ESME_RINVBCASTALIAS_NAME Status = 0x108 // broadcast alias is invalid
	ESME_RINVBCASTAREAFMT    Status = 0x109 // broadcast_area format is invalid
	ESME_RINVNUMBCAST_AREAS  Status = 0x10A // number of broadcast areas is invalid
	ESME_RINVBCASTCNTTYPE    Status = 0x10B // broadcast_content_type is invalid
	ESME_RINVBCASTMSGCLASS   Status = 0x10C // broadcast_message_class is invalid
	ESME_RBCASTFAIL          Status = 0x10D // broadcast_sm failed
	ESME_RBCASTQUERYFAIL     Status = 0x10E // query_broadcast_sm failed
	ESME_RBCASTCANCELFAIL    Status = 0x10F // cancel_broadcast_sm failed
	ESME_RINVBCAST_REP       Status = 0x110 // broadcast repetitions are invalid
	ESME_RINVBCASTSRVGRP     Status = 0x111 // broadcast_service_group is invalid
	ESME_RINVBCASTCHANIND    Status = 0x112 // broadcast_channel_indicator is invalid
)

// String returns the specification's name, or the number in hexadecimal.
func (s Status) String() string {
	switch s {
	case ESME_ROK:
		return "ESME_ROK"
	case ESME_RINVMSGLEN:
		return "ESME_RINVMSGLEN"
	case ESME_RINVCMDLEN:
		return "ESME_RINVCMDLEN"
	case ESME_RINVCMDID:
		return "ESME_RINVCMDID"
	case ESME_RINVBNDSTS:
		return "ESME_RINVBNDSTS"
	case ESME_RALYBND:
		return "ESME_RALYBND"
	case ESME_RINVPRTFLG:
		return "ESME_RINVPRTFLG"
	case ESME_RINVREGDLVFLG:
		return "ESME_RINVREGDLVFLG"
	case ESME_RSYSERR:
		return "ESME_RSYSERR"
	case ESME_RINVSRCADR:
		return "ESME_RINVSRCADR"
	case ESME_RINVDSTADR:
		return "ESME_RINVDSTADR"
	case ESME_RINVMSGID:
		return "ESME_RINVMSGID"
	case ESME_RBINDFAIL:
		return "ESME_RBINDFAIL"
	case ESME_RINVPASWD:
		return "ESME_RINVPASWD"
	case ESME_RINVSYSID:
		return "ESME_RINVSYSID"
	case ESME_RCANCELFAIL:
		return "ESME_RCANCELFAIL"
	case ESME_RREPLACEFAIL:
		return "ESME_RREPLACEFAIL"
	case ESME_RMSGQFUL:
		return "ESME_RMSGQFUL"
	case ESME_RINVSERTYP:
		return "ESME_RINVSERTYP"
	case ESME_RINVNUMDESTS:
		return "ESME_RINVNUMDESTS"
	case ESME_RINVDLNAME:
		return "ESME_RINVDLNAME"
	case ESME_RINVDESTFLAG:
		return "ESME_RINVDESTFLAG"
	case ESME_RINVSUBREP:
		return "ESME_RINVSUBREP"
	case ESME_RINVESMCLASS:
		return "ESME_RINVESMCLASS"
	case ESME_RCNTSUBDL:
		return "ESME_RCNTSUBDL"
	case ESME_RSUBMITFAIL:
		return "ESME_RSUBMITFAIL"
	case ESME_RINVSRCTON:
		return "ESME_RINVSRCTON"
	case ESME_RINVSRCNPI:
		return "ESME_RINVSRCNPI"
	case ESME_RINVDSTTON:
		return "ESME_RINVDSTTON"
	case ESME_RINVDSTNPI:
		return "ESME_RINVDSTNPI"
	case ESME_RINVSYSTYP:
		return "ESME_RINVSYSTYP"
	case ESME_RINVREPFLAG:
		return "ESME_RINVREPFLAG"
	case ESME_RINVNUMMSGS:
		return "ESME_RINVNUMMSGS"
	case ESME_RTHROTTLED:
		return "ESME_RTHROTTLED"
	case ESME_RINVSCHED:
		return "ESME_RINVSCHED"
	case ESME_RINVEXPIRY:
		return "ESME_RINVEXPIRY"
	case ESME_RINVDFTMSGID:
		return "ESME_RINVDFTMSGID"
	case ESME_RX_T_APPN:
		return "ESME_RX_T_APPN"
	case ESME_RX_P_APPN:
		return "ESME_RX_P_APPN"
	case ESME_RX_R_APPN:
		return "ESME_RX_R_APPN"
	case ESME_RQUERYFAIL:
		return "ESME_RQUERYFAIL"
	case ESME_RINVOPTPARSTREAM:
		return "ESME_RINVOPTPARSTREAM"
	case ESME_ROPTPARNOTALLWD:
		return "ESME_ROPTPARNOTALLWD"
	case ESME_RINVPARLEN:
		return "ESME_RINVPARLEN"
	case ESME_RMISSINGOPTPARAM:
		return "ESME_RMISSINGOPTPARAM"
	case ESME_RINVOPTPARAMVAL:
		return "ESME_RINVOPTPARAMVAL"
	case ESME_RDELIVERYFAILURE:
		return "ESME_RDELIVERYFAILURE"
	case ESME_RUNKNOWNERR:
		return "ESME_RUNKNOWNERR"
	case ESME_RSERTYPUNAUTH:
		return "ESME_RSERTYPUNAUTH"
	case ESME_RPROHIBITED:
		return "ESME_RPROHIBITED"
	case ESME_RSERTYPUNAVAIL:
		return "ESME_RSERTYPUNAVAIL"
	case ESME_RSERTYPDENIED:
		return "ESME_RSERTYPDENIED"
	case ESME_RINVDCS:
		return "ESME_RINVDCS"
	case ESME_RINVSRCADDRSUBUNIT:
		return "ESME_RINVSRCADDRSUBUNIT"
	case ESME_RINVDSTADDRSUBUNIT:
		return "ESME_RINVDSTADDRSUBUNIT"
	case ESME_RINVBCASTFREQINT:
		return "ESME_RINVBCASTFREQINT"
	case ESME_RINVBCASTALIAS_NAME:
		return "ESME_RINVBCASTALIAS_NAME"
	case ESME_RINVBCASTAREAFMT:
		return "ESME_RINVBCASTAREAFMT"
	case ESME_RINVNUMBCAST_AREAS:
		return "ESME_RINVNUMBCAST_AREAS"
	case ESME_RINVBCASTCNTTYPE:
		return "ESME_RINVBCASTCNTTYPE"
	case ESME_RINVBCASTMSGCLASS:
		return "ESME_RINVBCASTMSGCLASS"
	case ESME_RBCASTFAIL:
		return "ESME_RBCASTFAIL"
	case ESME_RBCASTQUERYFAIL:
		return "ESME_RBCASTQUERYFAIL"
	case ESME_RBCASTCANCELFAIL:
		return "ESME_RBCASTCANCELFAIL"
	case ESME_RINVBCAST_REP:
		return "ESME_RINVBCAST_REP"
	case ESME_RINVBCASTSRVGRP:
		return "ESME_RINVBCASTSRVGRP"
	case ESME_RINVBCASTCHANIND:
		return "ESME_RINVBCASTCHANIND"
	}
	return fmt.Sprintf("0x%08X", uint32(s))
}
