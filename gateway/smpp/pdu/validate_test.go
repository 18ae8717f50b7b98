package pdu

import (
	"bytes"
	"errors"
	"testing"
)

func tlv(t *testing.T, tag Tag, v string) TLVs {
	t.Helper()
	out, err := TLVs(nil).Append(tag, []byte(v))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestValidateSM(t *testing.T) {
	cases := []struct {
		name   string
		change func(m *SM)
		status Status // of submit_sm
		mo     Status // of deliver_sm
	}{
		{"as it is", func(m *SM) {}, 0, 0},
		{"service_type", func(m *SM) { m.ServiceType = []byte("a\x07") }, ESME_RINVSERTYP, ESME_RINVSERTYP},
		{"source ton", func(m *SM) { m.Source.TON = 7 }, ESME_RINVSRCTON, ESME_RINVSRCTON},
		{"source npi", func(m *SM) { m.Source.NPI = 2 }, ESME_RINVSRCNPI, ESME_RINVSRCNPI},
		{"source unknown", func(m *SM) { m.Source = Address{} }, 0, 0},
		{"source letters in a number", func(m *SM) { m.Source = Address{1, 1, []byte("49a")} }, ESME_RINVSRCADR, ESME_RINVSRCADR},
		{"source plus", func(m *SM) { m.Source = Address{1, 1, []byte("+491")} }, 0, 0},
		{"source inner plus", func(m *SM) { m.Source = Address{1, 1, []byte("4+91")} }, ESME_RINVSRCADR, ESME_RINVSRCADR},
		{"source control octet", func(m *SM) { m.Source = Address{0, 0, []byte("4\x01")} }, ESME_RINVSRCADR, ESME_RINVSRCADR},
		{"source letters of unknown type", func(m *SM) { m.Source = Address{0, 0, []byte("INFO")} }, 0, 0},
		{"dest ton", func(m *SM) { m.Dest.TON = 0xFF }, ESME_RINVDSTTON, ESME_RINVDSTTON},
		{"dest npi", func(m *SM) { m.Dest.NPI = 19 }, ESME_RINVDSTNPI, ESME_RINVDSTNPI},
		{"dest empty", func(m *SM) { m.Dest.Addr = nil }, ESME_RINVDSTADR, ESME_RINVDSTADR},
		{"dest letters", func(m *SM) { m.Dest.Addr = []byte("49x") }, ESME_RINVDSTADR, ESME_RINVDSTADR},
		{"dest IP address", func(m *SM) { m.Dest = Address{1, NPIInternet, []byte("192.0.2.1")} }, 0, 0},
		{"esm_class reserved type", func(m *SM) { m.ESMClass = 0x0C }, ESME_RINVESMCLASS, ESME_RINVESMCLASS},
		{"esm_class reserved type high", func(m *SM) { m.ESMClass = 0x3C }, ESME_RINVESMCLASS, ESME_RINVESMCLASS},
		{"esm_class receipt", func(m *SM) { m.ESMClass = TypeReceipt }, ESME_RINVESMCLASS, 0},
		{"esm_class intermediate", func(m *SM) { m.ESMClass = TypeIntermediate }, ESME_RINVESMCLASS, 0},
		{"esm_class ack", func(m *SM) { m.ESMClass = TypeDeliveryAck | ReplyPath }, 0, 0},
		{"esm_class header", func(m *SM) { m.ESMClass = UDHI; m.ShortMessage = []byte("\x05\x00\x03\x01\x02\x01Hi") }, 0, 0},
		{"esm_class header only", func(m *SM) { m.ESMClass = UDHI; m.ShortMessage = []byte("\x05\x00\x03\x01\x02\x01") }, 0, 0},
		{"esm_class header missing", func(m *SM) { m.ESMClass = UDHI; m.ShortMessage = nil }, ESME_RINVESMCLASS, ESME_RINVESMCLASS},
		{"esm_class header cut", func(m *SM) { m.ESMClass = UDHI; m.ShortMessage = []byte("\x05\x00\x03\x01\x02") }, ESME_RINVESMCLASS, ESME_RINVESMCLASS},
		{"priority", func(m *SM) { m.Priority = 5 }, ESME_RINVPRTFLG, ESME_RINVPRTFLG},
		{"schedule", func(m *SM) { m.Schedule = []byte("261302030405600+") }, ESME_RINVSCHED, 0},
		{"schedule short", func(m *SM) { m.Schedule = []byte("26") }, ESME_RINVSCHED, 0},
		{"validity", func(m *SM) { m.Validity = []byte("000001000000000X") }, ESME_RINVEXPIRY, 0},
		{"registered_delivery", func(m *SM) { m.RegisteredDelivery = 0x20 }, ESME_RINVREGDLVFLG, ESME_RINVREGDLVFLG},
		{"registered_delivery everything", func(m *SM) { m.RegisteredDelivery = ReceiptOnFailure | AckDelivery | AckUser | Intermediate }, 0, 0},
		{"replace_if_present_flag", func(m *SM) { m.ReplaceIfPresent = 2 }, ESME_RINVREPFLAG, 0},
		{"data_coding reserved", func(m *SM) { m.DataCoding = 0x0F }, ESME_RINVDCS, ESME_RINVDCS},
		{"data_coding flash", func(m *SM) { m.DataCoding = 0x10 }, 0, 0},
		{"sm_default_msg_id", func(m *SM) { m.DefaultMsgID = 255 }, ESME_RINVDFTMSGID, 0},
		{"sm_length", func(m *SM) { m.ShortMessage = bytes.Repeat([]byte("x"), 255) }, ESME_RINVMSGLEN, ESME_RINVMSGLEN},
		{"two messages", func(m *SM) { m.TLVs = tlv(t, TagMessagePayload, "Hi") }, ESME_RINVMSGLEN, ESME_RINVMSGLEN},
		{"two messages, one empty", func(m *SM) { m.TLVs = tlv(t, TagMessagePayload, "") }, ESME_RINVMSGLEN, ESME_RINVMSGLEN},
		{"payload", func(m *SM) { m.ShortMessage = nil; m.TLVs = tlv(t, TagMessagePayload, "Hi") }, 0, 0},
		{"TLV length", func(m *SM) { m.TLVs = tlv(t, TagSARMsgRefNum, "1") }, ESME_RINVPARLEN, ESME_RINVPARLEN},
		{"TLV value", func(m *SM) { m.TLVs = tlv(t, TagMessageState, "\x0A") }, ESME_RINVOPTPARAMVAL, ESME_RINVOPTPARAMVAL},
		{"TLV unknown", func(m *SM) { m.TLVs = tlv(t, 0x1403, "anything") }, 0, 0},
		{"sar complete", func(m *SM) { m.TLVs = sar(1, 2, 2) }, 0, 0},
		{"sar alone", func(m *SM) { m.TLVs = TLVs(nil).AppendUint16(TagSARMsgRefNum, 1) }, 0, 0},
		{"sar beyond", func(m *SM) { m.TLVs = sar(1, 2, 3) }, ESME_RINVOPTPARAMVAL, ESME_RINVOPTPARAMVAL},
		{"sar zero", func(m *SM) { m.TLVs = sar(1, 0, 0) }, ESME_RINVOPTPARAMVAL, ESME_RINVOPTPARAMVAL},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := fullSM()
			c.change(m)
			wantStatus(t, m.Validate(IDSubmitSM), c.status)
			wantStatus(t, m.Validate(IDDeliverSM), c.mo)
		})
	}
}

func sar(ref uint16, total, seq uint8) TLVs {
	return TLVs(nil).AppendUint16(TagSARMsgRefNum, ref).
		AppendUint8(TagSARTotalSegments, total).AppendUint8(TagSARSegmentSeqnum, seq)
}

func wantStatus(t *testing.T, err error, want Status) {
	t.Helper()
	got := ESME_ROK
	var e *Error
	if errors.As(err, &e) {
		got = e.Status
	}
	if got != want || (err == nil) != (want == ESME_ROK) {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestValidateOthers(t *testing.T) {
	src := Address{1, 1, []byte("12345")}
	dst := Address{1, 1, []byte("67890")}
	bad := Address{9, 1, []byte("1")}
	id := []byte("42")
	multi := func(ds ...Dest) *SubmitMulti { return &SubmitMulti{Source: src, Dests: ds} }
	cases := []struct {
		body interface{ Validate() error }
		want Status
	}{
		{multi(Dest{Address: dst}, Dest{List: []byte("all")}), ESME_ROK},
		{multi(), ESME_RINVNUMDESTS},
		{multi(make([]Dest, 255)...), ESME_RINVNUMDESTS},
		{multi(Dest{List: []byte{}}), ESME_RINVDLNAME},
		{multi(Dest{Address: dst}, Dest{Address: bad}), ESME_RINVDSTTON},
		{&SubmitMulti{Source: bad, Dests: []Dest{{Address: dst}}}, ESME_RINVSRCTON},
		{&SubmitMulti{Source: src, Dests: []Dest{{Address: dst}}, ESMClass: TypeReceipt}, ESME_RINVESMCLASS},
		{&SubmitMulti{Source: src, Dests: []Dest{{Address: dst}}, ReplaceIfPresent: 9}, ESME_RINVREPFLAG},
		{&DataSM{Source: src, Dest: dst, ESMClass: TypeReceipt}, ESME_ROK},
		{&DataSM{Source: src}, ESME_RINVDSTADR},
		{&DataSM{Source: src, Dest: dst, ESMClass: UDHI}, ESME_RINVESMCLASS},
		{&DataSM{Source: src, Dest: dst, DataCoding: 0x80}, ESME_RINVDCS},
		{&QuerySM{MessageID: id, Source: src}, ESME_ROK},
		{&QuerySM{Source: src}, ESME_RINVMSGID},
		{&QuerySM{MessageID: id, Source: bad}, ESME_RINVSRCTON},
		{&CancelSM{MessageID: id, Source: src}, ESME_ROK},
		{&CancelSM{Source: src, Dest: dst}, ESME_ROK},
		{&CancelSM{Source: src}, ESME_RINVDSTADR},
		{&CancelSM{MessageID: id, Source: src, Dest: bad}, ESME_RINVDSTTON},
		{&ReplaceSM{MessageID: id, Source: src}, ESME_ROK},
		{&ReplaceSM{Source: src}, ESME_RINVMSGID},
		{&ReplaceSM{MessageID: id, Source: src, Schedule: []byte("x")}, ESME_RINVSCHED},
		{&ReplaceSM{MessageID: id, Source: src, Validity: []byte("x")}, ESME_RINVEXPIRY},
		{&ReplaceSM{MessageID: id, Source: src, DefaultMsgID: 255}, ESME_RINVDFTMSGID},
	}
	for _, c := range cases {
		t.Logf("%+v", c.body)
		wantStatus(t, c.body.Validate(), c.want)
	}
}
