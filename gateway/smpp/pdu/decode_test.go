package pdu

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// fullSM is a submit_sm with every kind of field in use.
func fullSM() *SM {
	tlvs := TLVs(nil).AppendUint16(TagUserMessageReference, 7)
	return &SM{
		ServiceType:        []byte("CMT"),
		Source:             Address{TONAlphanumeric, NPIUnknown, []byte("Trunkline")},
		Dest:               Address{TONInternational, NPIISDN, []byte("491701234567")},
		ESMClass:           ModeStoreAndForward,
		Priority:           1,
		Schedule:           []byte("260102030405600+"),
		Validity:           []byte("000001000000000R"),
		RegisteredDelivery: ReceiptAlways,
		DataCoding:         0x00,
		ShortMessage:       []byte("Hello, this is a message of a usual length."),
		TLVs:               tlvs,
	}
}

func encode(t testing.TB, id ID, body Body) []byte {
	t.Helper()
	wire, err := body.Append(nil, Header{ID: id, Sequence: 1})
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// frame puts a header before raw body octets.
func frame(id ID, body string) []byte {
	wire := append(AppendHeader(nil, Header{ID: id, Sequence: 1}), body...)
	wire[3] = byte(len(wire))
	wire[2] = byte(len(wire) >> 8)
	return wire
}

// An octet-for-octet submit_sm in the layout of SMPP 3.4 §4.4.1.
func TestSubmitSMLayout(t *testing.T) {
	wire := "\x00\x00\x00\x3D\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x02" +
		"CMT\x00" + "\x02\x08" + "555\x00" + "\x01\x01" + "555555555\x00" +
		"\x40\x00\x00" + "\x00" + "\x00" + "\x01\x00\x03\x00" + "\x0DHello, world!"
	h, err := DecodeHeader([]byte(wire))
	if err != nil || h != (Header{Length: 0x3D, ID: IDSubmitSM, Sequence: 2}) {
		t.Fatalf("header %+v, %v", h, err)
	}
	var m SM
	if err := m.Decode([]byte(wire)); err != nil {
		t.Fatal(err)
	}
	if string(m.ServiceType) != "CMT" || string(m.Source.Addr) != "555" || m.Source.TON != 2 || m.Source.NPI != 8 ||
		string(m.Dest.Addr) != "555555555" || m.ESMClass != UDHI || m.RegisteredDelivery != ReceiptAlways ||
		m.DataCoding != 3 || string(m.ShortMessage) != "Hello, world!" || m.TLVs != nil {
		t.Fatalf("%+v", m)
	}
	again, err := m.Append(nil, h)
	if err != nil || string(again) != wire {
		t.Fatalf("%x, %v", again, err)
	}
}

// Every way in which the structure of a body can be wrong, and its answer.
func TestDecodeFaults(t *testing.T) {
	const (
		addr12 = "\x01\x01" + "12\x00"
		tail   = "\x00\x00\x00" + "\x00\x00" + "\x00\x00\x00\x00" // esm_class to sm_default_msg_id
	)
	digits := func(n int) string { return strings.Repeat("1", n) }
	cases := []struct {
		name   string
		id     ID
		body   string
		status Status
		field  string
	}{
		{"empty", IDSubmitSM, "", ESME_RINVCMDLEN, "service_type"},
		{"service_type too long", IDSubmitSM, "ABCDEF\x00", ESME_RINVSERTYP, "service_type"},
		{"service_type unterminated", IDSubmitSM, "ABC", ESME_RINVSERTYP, "service_type"},
		{"ends before source_addr_ton", IDSubmitSM, "\x00", ESME_RINVCMDLEN, "source_addr_ton"},
		{"ends before source_addr_npi", IDSubmitSM, "\x00\x01", ESME_RINVCMDLEN, "source_addr_npi"},
		{"ends before source_addr", IDSubmitSM, "\x00\x01\x01", ESME_RINVCMDLEN, "source_addr"},
		{"source_addr too long", IDSubmitSM, "\x00\x01\x01" + digits(21) + "\x00" + addr12 + tail + "\x00", ESME_RINVSRCADR, "source_addr"},
		{"source_addr unterminated", IDSubmitSM, "\x00\x01\x01123", ESME_RINVSRCADR, "source_addr"},
		{"destination_addr too long", IDSubmitSM, "\x00" + addr12 + "\x01\x01" + digits(21) + "\x00" + tail + "\x00", ESME_RINVDSTADR, "destination_addr"},
		{"destination_addr unterminated", IDDeliverSM, "\x00" + addr12 + "\x01\x01123", ESME_RINVDSTADR, "destination_addr"},
		{"ends before esm_class", IDSubmitSM, "\x00" + addr12 + addr12, ESME_RINVCMDLEN, "esm_class"},
		{"schedule too long", IDSubmitSM, "\x00" + addr12 + addr12 + "\x00\x00\x00" + digits(17) + "\x00", ESME_RINVSCHED, "schedule_delivery_time"},
		{"validity too long", IDSubmitSM, "\x00" + addr12 + addr12 + "\x00\x00\x00\x00" + digits(17) + "\x00", ESME_RINVEXPIRY, "validity_period"},
		{"ends before sm_length", IDSubmitSM, "\x00" + addr12 + addr12 + tail, ESME_RINVCMDLEN, "sm_length"},
		{"sm_length beyond the PDU", IDSubmitSM, "\x00" + addr12 + addr12 + tail + "\x05Hell", ESME_RINVMSGLEN, "short_message"},
		{"sm_length too small", IDSubmitSM, "\x00" + addr12 + addr12 + tail + "\x03Hello", ESME_RINVOPTPARSTREAM, "optional parameters"},
		{"TLV header cut", IDSubmitSM, "\x00" + addr12 + addr12 + tail + "\x00" + "\x02\x04\x00", ESME_RINVOPTPARSTREAM, "optional parameters"},
		{"TLV overrun", IDSubmitSM, "\x00" + addr12 + addr12 + tail + "\x00" + "\x02\x04\x00\x02\x00", ESME_RINVOPTPARSTREAM, "optional parameters"},
		{"second TLV overrun", IDDeliverSM, "\x00" + addr12 + addr12 + tail + "\x00" + "\x02\x04\x00\x02\x00\x01" + "\x14\x00\xff\xff", ESME_RINVOPTPARSTREAM, "optional parameters"},

		{"bind without system_id", IDBindReceiver, "", ESME_RINVCMDLEN, "system_id"},
		{"system_id too long", IDBindTransceiver, digits(16) + "\x00", ESME_RINVSYSID, "system_id"},
		{"password too long", IDBindTransmitter, "id\x00" + digits(9) + "\x00", ESME_RINVPASWD, "password"},
		{"password unterminated", IDBindTransmitter, "id\x00pw", ESME_RINVPASWD, "password"},
		{"system_type too long", IDBindReceiver, "id\x00pw\x00" + digits(13) + "\x00", ESME_RINVSYSTYP, "system_type"},
		{"ends before interface_version", IDBindReceiver, "id\x00pw\x00\x00", ESME_RINVCMDLEN, "interface_version"},
		{"address_range too long", IDBindReceiver, "id\x00pw\x00\x00\x34\x00\x00" + digits(41) + "\x00", ESME_RBINDFAIL, "address_range"},
		{"bind_resp unterminated", IDBindReceiverResp, "id", ESME_RINVSYSID, "system_id"},
		{"outbind system_id", IDOutbind, digits(16) + "\x00", ESME_RINVSYSID, "system_id"},
		{"outbind password", IDOutbind, "id\x00" + digits(9) + "\x00", ESME_RINVPASWD, "password"},

		{"message_id of resp too long", IDSubmitSMResp, digits(65) + "\x00", ESME_RINVMSGID, "message_id"},
		{"message_id of resp unterminated", IDDeliverSMResp, "1", ESME_RINVMSGID, "message_id"},
		{"data_sm_resp TLV", IDDataSMResp, "1\x00\x04\x25\x00\x01", ESME_RINVOPTPARSTREAM, "optional parameters"},
		{"data_sm source too long", IDDataSM, "\x00\x01\x01" + digits(65) + "\x00", ESME_RINVSRCADR, "source_addr"},
		{"data_sm dest too long", IDDataSM, "\x00" + addr12 + "\x01\x01" + digits(65) + "\x00", ESME_RINVDSTADR, "destination_addr"},
		{"data_sm ends before data_coding", IDDataSM, "\x00" + addr12 + addr12 + "\x00\x00", ESME_RINVCMDLEN, "data_coding"},

		{"submit_multi without dests", IDSubmitMulti, "\x00" + addr12, ESME_RINVCMDLEN, "number_of_dests"},
		{"fewer dests than announced", IDSubmitMulti, "\x00" + addr12 + "\x02\x01" + addr12, ESME_RINVNUMDESTS, "number_of_dests"},
		{"dest_flag", IDSubmitMulti, "\x00" + addr12 + "\x01\x03" + addr12, ESME_RINVDESTFLAG, "dest_flag"},
		{"dl_name too long", IDSubmitMulti, "\x00" + addr12 + "\x01\x02" + digits(21) + "\x00", ESME_RINVDLNAME, "dl_name"},
		{"dl_name unterminated", IDSubmitMulti, "\x00" + addr12 + "\x01\x02abc", ESME_RINVDLNAME, "dl_name"},
		{"dest address too long", IDSubmitMulti, "\x00" + addr12 + "\x01\x01\x01\x01" + digits(21) + "\x00", ESME_RINVDSTADR, "destination_addr"},
		{"submit_multi sm_length", IDSubmitMulti, "\x00" + addr12 + "\x01\x01" + addr12 + tail + "\x01", ESME_RINVMSGLEN, "short_message"},
		{"submit_multi_resp cut", IDSubmitMultiResp, "1\x00\x01" + addr12 + "\x00\x00\x00", ESME_RINVCMDLEN, "error_status_code"},

		{"query_sm message_id", IDQuerySM, digits(65) + "\x00", ESME_RINVMSGID, "message_id"},
		{"query_sm source", IDQuerySM, "1\x00\x01\x01" + digits(21) + "\x00", ESME_RINVSRCADR, "source_addr"},
		{"query_sm_resp final_date", IDQuerySMResp, "1\x00" + digits(17) + "\x00", ESME_RQUERYFAIL, "final_date"},
		{"query_sm_resp cut", IDQuerySMResp, "1\x00\x00\x02", ESME_RINVCMDLEN, "error_code"},
		{"cancel_sm service_type", IDCancelSM, "ABCDEF\x00", ESME_RINVSERTYP, "service_type"},
		{"cancel_sm message_id", IDCancelSM, "\x00" + digits(65) + "\x00", ESME_RINVMSGID, "message_id"},
		{"cancel_sm source", IDCancelSM, "\x00" + "1\x00" + "\x01\x01" + digits(21) + "\x00", ESME_RINVSRCADR, "source_addr"},
		{"cancel_sm dest", IDCancelSM, "\x00" + "1\x00" + addr12 + "\x01\x01" + digits(21) + "\x00", ESME_RINVDSTADR, "destination_addr"},
		{"replace_sm message_id", IDReplaceSM, digits(65) + "\x00", ESME_RINVMSGID, "message_id"},
		{"replace_sm schedule", IDReplaceSM, "1\x00" + addr12 + digits(17) + "\x00", ESME_RINVSCHED, "schedule_delivery_time"},
		{"replace_sm validity", IDReplaceSM, "1\x00" + addr12 + "\x00" + digits(17) + "\x00", ESME_RINVEXPIRY, "validity_period"},
		{"replace_sm sm_length", IDReplaceSM, "1\x00" + addr12 + "\x00\x00\x00\x00\x09abc", ESME_RINVMSGLEN, "short_message"},
		{"alert source", IDAlertNotification, "\x01\x01" + digits(65) + "\x00", ESME_RINVSRCADR, "source_addr"},
		{"alert esme", IDAlertNotification, addr12 + "\x01\x01" + digits(65) + "\x00", ESME_RINVDSTADR, "esme_addr"},
		{"enquire_link with rubbish", IDEnquireLink, "abc", ESME_RINVOPTPARSTREAM, "optional parameters"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			body, ok := NewBody(c.id)
			if !ok {
				t.Fatal("no body")
			}
			wire := frame(c.id, c.body)
			err := body.Decode(wire[:len(wire):len(wire)])
			var e *Error
			if !errors.As(err, &e) || e.Status != c.status || e.Field != c.field {
				t.Fatalf("%v, want %s in %s", err, c.status, c.field)
			}
			if e.Offset < HeaderLen || e.Offset > len(wire) {
				t.Errorf("offset %d is outside the body", e.Offset)
			}
		})
	}
}

// Octets behind the PDU's end must never complete a string.
func TestDecodeNeverReadsBehindThePDU(t *testing.T) {
	whole := encode(t, IDSubmitSM, fullSM())
	for n := range whole {
		var m SM
		err := m.Decode(whole[:n]) // the capacity reaches further
		if n == len(whole)-6 {     // exactly without the TLV
			if err != nil {
				t.Fatalf("cut before the TLV: %v", err)
			}
			continue
		}
		if err == nil {
			t.Fatalf("cut at %d of %d is accepted", n, len(whole))
		}
	}
}

func TestBroadcastHasNoBody(t *testing.T) {
	for _, id := range []ID{IDBroadcastSM, IDQueryBroadcastSM, IDCancelBroadcastSM, 0, 0x0A, 0x80000015 + 1, IDOutbind.Response()} {
		if b, ok := NewBody(id); ok {
			t.Errorf("%s has the body %T", id, b)
		}
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		IDSubmitSM.String():                          "submit_sm",
		IDSubmitSMResp.String():                      "submit_sm_resp",
		IDGenericNack.String():                       "generic_nack",
		IDBroadcastSM.String():                       "broadcast_sm",
		IDOutbind.Response().String():                "0x8000000B",
		ID(0x77).String():                            "0x00000077",
		ESME_RTHROTTLED.String():                     "ESME_RTHROTTLED",
		Status(0x401).String():                       "0x00000401",
		TagMessagePayload.String():                   "message_payload",
		Tag(0x1401).String():                         "TLV 0x1401",
		StateDelivered.String():                      "DELIVERED",
		MessageState(77).String():                    "state 77",
		Header{ID: IDDataSM}.Response(0).ID.String(): "data_sm_resp",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for _, id := range bodyIDs {
		if strings.HasPrefix(id.String(), "0x") {
			t.Errorf("%s has no name", id)
		}
	}
}

func TestRead(t *testing.T) {
	link := AppendHeader(nil, Header{ID: IDEnquireLink, Sequence: 9})
	sm := encode(t, IDSubmitSM, fullSM())
	r := bytes.NewReader(append(append([]byte(nil), link...), sm...))
	buf := make([]byte, 0, 512)
	first := &buf[:1][0]
	buf, h, err := Read(r, buf, 1024)
	if err != nil || h.ID != IDEnquireLink || !bytes.Equal(buf, link) {
		t.Fatalf("%x %+v %v", buf, h, err)
	}
	buf, h, err = Read(r, buf, 1024)
	if err != nil || h.ID != IDSubmitSM || !bytes.Equal(buf, sm) {
		t.Fatalf("%x %+v %v", buf, h, err)
	}
	if &buf[0] != first {
		t.Error("the buffer was not used again")
	}
	if _, _, err = Read(r, buf, 1024); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	for _, n := range []int{1, HeaderLen - 1, HeaderLen, len(sm) - 1} {
		if _, _, err = Read(bytes.NewReader(sm[:n]), nil, 1024); err != io.ErrUnexpectedEOF {
			t.Errorf("stream cut after %d: %v", n, err)
		}
	}
}

func TestReadRefusesLengths(t *testing.T) {
	for _, length := range []string{"\x00\x00\x00\x00", "\x00\x00\x00\x0F", "\x00\x00\x04\x01", "\xFF\xFF\xFF\xFF"} {
		wire := length + "\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x2A"
		_, h, err := Read(strings.NewReader(wire), nil, 1024)
		var e *Error
		if !errors.As(err, &e) || e.Status != ESME_RINVCMDLEN {
			t.Fatalf("%x: %v", length, err)
		}
		if n := h.Nack(e.Status); n != (Header{ID: IDGenericNack, Status: ESME_RINVCMDLEN, Sequence: 0x2A}) {
			t.Errorf("nack %+v", n)
		}
	}
	var e *Error
	if _, err := DecodeHeader(make([]byte, 15)); !errors.As(err, &e) || e.Status != ESME_RINVCMDLEN {
		t.Errorf("15 octets: %v", err)
	}
}
