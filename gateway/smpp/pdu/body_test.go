package pdu

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Every command id whose body this package speaks.
var bodyIDs = []ID{
	IDGenericNack, IDBindReceiver, IDBindReceiverResp, IDBindTransmitter, IDBindTransmitterResp,
	IDBindTransceiver, IDBindTransceiverResp, IDQuerySM, IDQuerySMResp, IDSubmitSM, IDSubmitSMResp,
	IDDeliverSM, IDDeliverSMResp, IDUnbind, IDUnbindResp, IDReplaceSM, IDReplaceSMResp, IDCancelSM,
	IDCancelSMResp, IDOutbind, IDEnquireLink, IDEnquireLinkResp, IDSubmitMulti, IDSubmitMultiResp,
	IDAlertNotification, IDDataSM, IDDataSMResp,
}

// sizes are the greatest lengths without NUL, by the name of a body's field and
// where they differ by body, Type.Field.
var sizes = map[string]int{
	"ServiceType": 5, "SystemID": 15, "Password": 8, "SystemType": 12, "AddressRange": 40,
	"MessageID": 64, "Schedule": 16, "Validity": 16, "FinalDate": 16, "List": 20,
	"Addr": 20, "DataSM.Addr": 64, "AlertNotification.Addr": 64,
}

// drawBody fills every field of a body within its bounds.
func drawBody(t *rapid.T, body Body) {
	v := reflect.ValueOf(body).Elem()
	fill(t, v.Type().Name(), "", v)
}

func fill(t *rapid.T, body, field string, v reflect.Value) {
	label := body + "." + field
	switch v.Interface().(type) {
	case TLVs:
		v.Set(reflect.ValueOf(drawTLVs(t)))
		return
	case []Dest:
		ds := make([]Dest, rapid.IntRange(0, 5).Draw(t, label))
		for i := range ds {
			if rapid.Bool().Draw(t, "list") {
				ds[i].List = drawCString(t, "List", sizes["List"])
			} else {
				fill(t, body, "Address", reflect.ValueOf(&ds[i].Address).Elem())
			}
		}
		v.Set(reflect.ValueOf(ds))
		return
	case []Failed:
		fs := make([]Failed, rapid.IntRange(0, 5).Draw(t, label))
		for i := range fs {
			fill(t, body, "Address", reflect.ValueOf(&fs[i].Address).Elem())
			fs[i].Status = Status(rapid.Uint32().Draw(t, "status"))
		}
		v.Set(reflect.ValueOf(fs))
		return
	case []byte:
		if field == "ShortMessage" {
			v.SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 255).Draw(t, label))
			return
		}
		size, ok := sizes[label]
		if !ok {
			if size, ok = sizes[field]; !ok {
				t.Fatalf("no size for %s", label)
			}
		}
		v.SetBytes(drawCString(t, label, size))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, body, v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.Uint8:
		v.SetUint(uint64(rapid.Byte().Draw(t, label)))
	default:
		t.Fatalf("no generator for %s", label)
	}
}

func drawCString(t *rapid.T, label string, size int) []byte {
	return rapid.SliceOfN(rapid.ByteRange(1, 255), 0, size).Draw(t, label)
}

func drawTLVs(t *rapid.T) TLVs {
	var out TLVs
	for range rapid.IntRange(0, 4).Draw(t, "tlvs") {
		var err error
		out, err = out.Append(Tag(rapid.Uint16().Draw(t, "tag")), rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "value"))
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// What Append writes, Decode reads back, whatever the receiver held before,
// and Append writes it again octet for octet.
func TestBodyRoundTrip(t *testing.T) {
	for _, id := range bodyIDs {
		t.Run(id.String(), func(t *testing.T) {
			back, _ := NewBody(id) // used again in every round
			rapid.Check(t, func(t *rapid.T) {
				body, ok := NewBody(id)
				if !ok {
					t.Fatalf("no body for %s", id)
				}
				drawBody(t, body)
				h := Header{ID: id, Status: rapid.SampledFrom([]Status{ESME_ROK, ESME_RSYSERR}).Draw(t, "status"),
					Sequence: rapid.Uint32().Draw(t, "sequence")}
				prefix := []byte("before")
				wire, err := body.Append(prefix, h)
				if err != nil {
					t.Fatalf("append: %v", err)
				}
				if !bytes.HasPrefix(wire, prefix) {
					t.Fatalf("dst was not kept: %q", wire)
				}
				wire = wire[len(prefix):]
				got, err := DecodeHeader(wire)
				if h.Length = uint32(len(wire)); err != nil || got != h {
					t.Fatalf("header %+v, %v; want %+v", got, err, h)
				}
				if err := back.Decode(wire); err != nil {
					t.Fatalf("decode: %v", err)
				}
				if !same(reflect.ValueOf(body).Elem(), reflect.ValueOf(back).Elem()) {
					t.Fatalf("decoded %+v\nwant    %+v", back, body)
				}
				again, err := back.Append(nil, h)
				if err != nil || !bytes.Equal(again, wire) {
					t.Fatalf("again %x, %v\nwant  %x", again, err, wire)
				}
			})
		})
	}
}

// same is DeepEqual that takes nil and empty slices for one, except for a
// Dest's List, where they differ.
func same(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Struct:
		if x, ok := a.Interface().(Dest); ok && (x.List == nil) != (b.Interface().(Dest).List == nil) {
			return false
		}
		for i := range a.NumField() {
			if !same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !same(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	}
	return a.Interface() == b.Interface()
}

// A field one octet too long is refused by name, and dst comes back as it was.
func TestAppendRefusesWhatDoesNotFit(t *testing.T) {
	long := func(n int) []byte { return bytes.Repeat([]byte{'1'}, n) }
	addr := func(n int) Address { return Address{Addr: long(n)} }
	cases := []struct {
		field  string
		status Status
		body   Body
	}{
		{"system_id", ESME_RINVSYSID, &Bind{SystemID: long(16)}},
		{"password", ESME_RINVPASWD, &Bind{Password: long(9)}},
		{"system_type", ESME_RINVSYSTYP, &Bind{SystemType: long(13)}},
		{"address_range", ESME_RBINDFAIL, &Bind{AddressRange: long(41)}},
		{"system_id", ESME_RINVSYSID, &BindResp{SystemID: long(16)}},
		{"system_id", ESME_RINVSYSID, &Outbind{SystemID: long(16)}},
		{"password", ESME_RINVPASWD, &Outbind{Password: long(9)}},
		{"service_type", ESME_RINVSERTYP, &SM{ServiceType: long(6)}},
		{"source_addr", ESME_RINVSRCADR, &SM{Source: addr(21)}},
		{"source_addr", ESME_RINVSRCADR, &SM{Source: Address{Addr: []byte("12\x003")}}},
		{"destination_addr", ESME_RINVDSTADR, &SM{Dest: addr(21)}},
		{"schedule_delivery_time", ESME_RINVSCHED, &SM{Schedule: long(17)}},
		{"validity_period", ESME_RINVEXPIRY, &SM{Validity: long(17)}},
		{"short_message", ESME_RINVMSGLEN, &SM{ShortMessage: long(256)}},
		{"optional parameters", ESME_RINVOPTPARSTREAM, &SM{TLVs: TLVs{0, 5, 0, 9}}},
		{"message_id", ESME_RINVMSGID, &SMResp{MessageID: long(65)}},
		{"source_addr", ESME_RINVSRCADR, &DataSM{Source: addr(65)}},
		{"destination_addr", ESME_RINVDSTADR, &DataSM{Dest: addr(65)}},
		{"number_of_dests", ESME_RINVNUMDESTS, &SubmitMulti{Dests: make([]Dest, 256)}},
		{"dl_name", ESME_RINVDLNAME, &SubmitMulti{Dests: []Dest{{List: long(21)}}}},
		{"destination_addr", ESME_RINVDSTADR, &SubmitMulti{Dests: []Dest{{Address: addr(21)}}}},
		{"no_unsuccess", ESME_RINVNUMDESTS, &SubmitMultiResp{Failed: make([]Failed, 256)}},
		{"message_id", ESME_RINVMSGID, &QuerySM{MessageID: long(65)}},
		{"final_date", ESME_RQUERYFAIL, &QuerySMResp{FinalDate: long(17)}},
		{"message_id", ESME_RINVMSGID, &CancelSM{MessageID: long(65)}},
		{"message_id", ESME_RINVMSGID, &ReplaceSM{MessageID: long(65)}},
		{"short_message", ESME_RINVMSGLEN, &ReplaceSM{ShortMessage: long(256)}},
		{"esme_addr", ESME_RINVDSTADR, &AlertNotification{ESME: addr(65)}},
	}
	for _, c := range cases {
		got, err := c.body.Append([]byte("before"), Header{})
		e, ok := err.(*Error)
		if !ok || e.Status != c.status || e.Field != c.field {
			t.Errorf("%T with too long %s: %v, want %s", c.body, c.field, err, c.status)
		}
		if string(got) != "before" {
			t.Errorf("%T with too long %s: dst became %q", c.body, c.field, got)
		}
		if e != nil && !strings.Contains(e.Error(), c.status.String()) {
			t.Errorf("the error %q hides its status", e)
		}
	}
}

// SMPP 3.4 §4.4.2: an error answer has no body; one that carries something
// nevertheless is written.
func TestErrorResponsesHaveNoBody(t *testing.T) {
	for _, body := range []Body{&BindResp{}, &SMResp{}, &SubmitMultiResp{}, &QuerySMResp{}} {
		wire, err := body.Append(nil, Header{Status: ESME_RSYSERR})
		if err != nil || len(wire) != HeaderLen {
			t.Errorf("%T: %d octets, %v", body, len(wire), err)
		}
		if err := body.Decode(wire); err != nil {
			t.Errorf("%T without a body: %v", body, err)
		}
		wire, err = body.Append(nil, Header{Status: ESME_ROK})
		if err != nil || len(wire) == HeaderLen {
			t.Errorf("%T: a success needs a body; %d octets, %v", body, len(wire), err)
		}
	}
}
