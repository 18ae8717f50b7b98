package pdu

import "fmt"

// Tag names an optional parameter (SMPP 3.4 §5.3.2, 5.0 §4.8.1). 0x1400–0x3FFF
// belong to the vendors of message centres.
type Tag uint16

// The tags.
const (
	TagDestAddrSubunit          Tag = 0x0005
	TagDestNetworkType          Tag = 0x0006
	TagDestBearerType           Tag = 0x0007
	TagDestTelematicsID         Tag = 0x0008
	TagSourceAddrSubunit        Tag = 0x000D
	TagSourceNetworkType        Tag = 0x000E
	TagSourceBearerType         Tag = 0x000F
	TagSourceTelematicsID       Tag = 0x0010
	TagQoSTimeToLive            Tag = 0x0017
	TagPayloadType              Tag = 0x0019
	TagAdditionalStatusInfoText Tag = 0x001D
	TagReceiptedMessageID       Tag = 0x001E
	TagMSMsgWaitFacilities      Tag = 0x0030
	TagPrivacyIndicator         Tag = 0x0201
	TagSourceSubaddress         Tag = 0x0202
	TagDestSubaddress           Tag = 0x0203
	TagUserMessageReference     Tag = 0x0204
	TagUserResponseCode         Tag = 0x0205
	TagSourcePort               Tag = 0x020A
	TagDestinationPort          Tag = 0x020B
	TagSARMsgRefNum             Tag = 0x020C
	TagLanguageIndicator        Tag = 0x020D
	TagSARTotalSegments         Tag = 0x020E
	TagSARSegmentSeqnum         Tag = 0x020F
	TagSCInterfaceVersion       Tag = 0x0210
	TagCallbackNumPresInd       Tag = 0x0302
	TagCallbackNumAtag          Tag = 0x0303
	TagNumberOfMessages         Tag = 0x0304
	TagCallbackNum              Tag = 0x0381
	TagDPFResult                Tag = 0x0420
	TagSetDPF                   Tag = 0x0421
	TagMSAvailabilityStatus     Tag = 0x0422
	TagNetworkErrorCode         Tag = 0x0423
	TagMessagePayload           Tag = 0x0424
	TagDeliveryFailureReason    Tag = 0x0425
	TagMoreMessagesToSend       Tag = 0x0426
	TagMessageState             Tag = 0x0427
	TagUSSDServiceOp            Tag = 0x0501
	TagDisplayTime              Tag = 0x1201
	TagSMSSignal                Tag = 0x1203
	TagMSValidity               Tag = 0x1204
	TagAlertOnMessageDelivery   Tag = 0x130C
	TagITSReplyType             Tag = 0x1380
	TagITSSessionInfo           Tag = 0x1383

	// Of SMPP 5.0.
	TagCongestionState            Tag = 0x0428
	TagBroadcastChannelIndicator  Tag = 0x0600
	TagBroadcastContentType       Tag = 0x0601
	TagBroadcastContentTypeInfo   Tag = 0x0602
	TagBroadcastMessageClass      Tag = 0x0603
	TagBroadcastRepNum            Tag = 0x0604
	TagBroadcastFrequencyInterval Tag = 0x0605
	TagBroadcastAreaIdentifier    Tag = 0x0606
	TagBroadcastErrorStatus       Tag = 0x0607
	TagBroadcastAreaSuccess       Tag = 0x0608
	TagBroadcastEndTime           Tag = 0x0609
	TagBroadcastServiceGroup      Tag = 0x060A
	TagBillingIdentification      Tag = 0x060B
	TagSourceNetworkID            Tag = 0x060D
	TagDestNetworkID              Tag = 0x060E
	TagSourceNodeID               Tag = 0x060F
	TagDestNodeID                 Tag = 0x0610
	TagDestAddrNPResolution       Tag = 0x0611
	TagDestAddrNPInformation      Tag = 0x0612
	TagDestAddrNPCountry          Tag = 0x0613
)

// String returns the specification's name, or the number in hexadecimal.
func (t Tag) String() string {
	if name := tagSpec(t).name; name != "" {
		return name
	}
	return fmt.Sprintf("TLV 0x%04X", uint16(t))
}

// spec is what the specification says of a parameter: its name and the sizes
// in octets that its value may have.
type spec struct {
	name     string
	min, max int
}

// tagSpec returns the zero spec for an unknown tag.
func tagSpec(t Tag) spec {
	switch t {
	case TagDestAddrSubunit:
		return spec{"dest_addr_subunit", 1, 1}
	case TagDestNetworkType:
		return spec{"dest_network_type", 1, 1}
	case TagDestBearerType:
		return spec{"dest_bearer_type", 1, 1}
	case TagDestTelematicsID:
		return spec{"dest_telematics_id", 2, 2}
	case TagSourceAddrSubunit:
		return spec{"source_addr_subunit", 1, 1}
	case TagSourceNetworkType:
		return spec{"source_network_type", 1, 1}
	case TagSourceBearerType:
		return spec{"source_bearer_type", 1, 1}
	case TagSourceTelematicsID:
		return spec{"source_telematics_id", 1, 1}
	case TagQoSTimeToLive:
		return spec{"qos_time_to_live", 4, 4}
	case TagPayloadType:
		return spec{"payload_type", 1, 1}
	case TagAdditionalStatusInfoText:
		return spec{"additional_status_info_text", 1, 256}
	case TagReceiptedMessageID:
		return spec{"receipted_message_id", 1, 65}
	case TagMSMsgWaitFacilities:
		return spec{"ms_msg_wait_facilities", 1, 1}
	case TagPrivacyIndicator:
		return spec{"privacy_indicator", 1, 1}
	case TagSourceSubaddress:
		return spec{"source_subaddress", 2, 23}
	case TagDestSubaddress:
		return spec{"dest_subaddress", 2, 23}
	case TagUserMessageReference:
		return spec{"user_message_reference", 2, 2}
	case TagUserResponseCode:
		return spec{"user_response_code", 1, 1}
	case TagSourcePort:
		return spec{"source_port", 2, 2}
	case TagDestinationPort:
		return spec{"destination_port", 2, 2}
	case TagSARMsgRefNum:
		return spec{"sar_msg_ref_num", 2, 2}
	case TagLanguageIndicator:
		return spec{"language_indicator", 1, 1}
	case TagSARTotalSegments:
		return spec{"sar_total_segments", 1, 1}
	case TagSARSegmentSeqnum:
		return spec{"sar_segment_seqnum", 1, 1}
	case TagSCInterfaceVersion:
		return spec{"sc_interface_version", 1, 1}
	case TagCallbackNumPresInd:
		return spec{"callback_num_pres_ind", 1, 1}
	case TagCallbackNumAtag:
		return spec{"callback_num_atag", 0, 65}
	case TagNumberOfMessages:
		return spec{"number_of_messages", 1, 1}
	case TagCallbackNum:
		return spec{"callback_num", 4, 19}
	case TagDPFResult:
		return spec{"dpf_result", 1, 1}
	case TagSetDPF:
		return spec{"set_dpf", 1, 1}
	case TagMSAvailabilityStatus:
		return spec{"ms_availability_status", 1, 1}
	case TagNetworkErrorCode:
		return spec{"network_error_code", 3, 3}
	case TagMessagePayload:
		return spec{"message_payload", 0, 65535}
	case TagDeliveryFailureReason:
		return spec{"delivery_failure_reason", 1, 1}
	case TagMoreMessagesToSend:
		return spec{"more_messages_to_send", 1, 1}
	case TagMessageState:
		return spec{"message_state", 1, 1}
	case TagUSSDServiceOp:
		return spec{"ussd_service_op", 1, 1}
	case TagDisplayTime:
		return spec{"display_time", 1, 1}
	case TagSMSSignal:
		return spec{"sms_signal", 2, 2}
	case TagMSValidity:
		return spec{"ms_validity", 1, 4}
	case TagAlertOnMessageDelivery:
		return spec{"alert_on_message_delivery", 0, 1}
	case TagITSReplyType:
		return spec{"its_reply_type", 1, 1}
	case TagITSSessionInfo:
		return spec{"its_session_info", 2, 2}
	case TagCongestionState:
		return spec{"congestion_state", 1, 1}
	case TagBroadcastChannelIndicator:
		return spec{"broadcast_channel_indicator", 1, 1}
	case TagBroadcastContentType:
		return spec{"broadcast_content_type", 3, 3}
	case TagBroadcastContentTypeInfo:
		return spec{"broadcast_content_type_info", 1, 255}
	case TagBroadcastMessageClass:
		return spec{"broadcast_message_class", 1, 1}
	case TagBroadcastRepNum:
		return spec{"broadcast_rep_num", 2, 2}
	case TagBroadcastFrequencyInterval:
		return spec{"broadcast_frequency_interval", 3, 3}
	case TagBroadcastAreaIdentifier:
		return spec{"broadcast_area_identifier", 1, 65535}
	case TagBroadcastErrorStatus:
		return spec{"broadcast_error_status", 4, 4}
	case TagBroadcastAreaSuccess:
		return spec{"broadcast_area_success", 1, 1}
	case TagBroadcastEndTime:
		return spec{"broadcast_end_time", 16, 17}
	case TagBroadcastServiceGroup:
		return spec{"broadcast_service_group", 1, 255}
	case TagBillingIdentification:
		return spec{"billing_identification", 1, 1024}
	case TagSourceNetworkID:
		return spec{"source_network_id", 7, 65}
	case TagDestNetworkID:
		return spec{"dest_network_id", 7, 65}
	case TagSourceNodeID:
		return spec{"source_node_id", 6, 6}
	case TagDestNodeID:
		return spec{"dest_node_id", 6, 6}
	case TagDestAddrNPResolution:
		return spec{"dest_addr_np_resolution", 1, 1}
	case TagDestAddrNPInformation:
		return spec{"dest_addr_np_information", 10, 10}
	case TagDestAddrNPCountry:
		return spec{"dest_addr_np_country", 1, 5}
	}
	return spec{}
}
