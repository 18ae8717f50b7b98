package pdu

import (
	"bytes"
	"reflect"
	"testing"

	module "github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutlv"
	"pgregory.net/rapid"
)

// The go-smpp module is the independent reading of the specification against
// which this codec is held. It knows the fields of a PDU by these names.
func moduleFields(body Body) map[pdufield.Name]any {
	address := func(f map[pdufield.Name]any, ton, npi, addr pdufield.Name, a Address) {
		f[ton], f[npi], f[addr] = byte(a.TON), byte(a.NPI), a.Addr
	}
	f := map[pdufield.Name]any{}
	switch m := body.(type) {
	case *Bind:
		f[pdufield.SystemID] = m.SystemID
		f[pdufield.Password] = m.Password
		f[pdufield.SystemType] = m.SystemType
		f[pdufield.InterfaceVersion] = m.InterfaceVersion
		address(f, pdufield.AddrTON, pdufield.AddrNPI, pdufield.AddressRange, Address{m.AddrTON, m.AddrNPI, m.AddressRange})
	case *BindResp:
		f[pdufield.SystemID] = m.SystemID
	case *SMResp:
		f[pdufield.MessageID] = m.MessageID
	case *QuerySM:
		f[pdufield.MessageID] = m.MessageID
		address(f, pdufield.SourceAddrTON, pdufield.SourceAddrNPI, pdufield.SourceAddr, m.Source)
	case *SM:
		address(f, pdufield.DestAddrTON, pdufield.DestAddrNPI, pdufield.DestinationAddr, m.Dest)
		f = moduleMessage(f, SubmitMulti{ServiceType: m.ServiceType, Source: m.Source, ESMClass: m.ESMClass,
			ProtocolID: m.ProtocolID, Priority: m.Priority, Schedule: m.Schedule, Validity: m.Validity,
			RegisteredDelivery: m.RegisteredDelivery, ReplaceIfPresent: m.ReplaceIfPresent, DataCoding: m.DataCoding,
			DefaultMsgID: m.DefaultMsgID, ShortMessage: m.ShortMessage})
	case *SubmitMulti:
		f[pdufield.NumberDests] = byte(len(m.Dests))
		f = moduleMessage(f, *m)
	case *SubmitMultiResp:
		f[pdufield.MessageID] = m.MessageID
		f[pdufield.NoUnsuccess] = byte(len(m.Failed))
	}
	return f
}

func moduleMessage(f map[pdufield.Name]any, m SubmitMulti) map[pdufield.Name]any {
	f[pdufield.ServiceType] = m.ServiceType
	f[pdufield.SourceAddrTON], f[pdufield.SourceAddrNPI] = byte(m.Source.TON), byte(m.Source.NPI)
	f[pdufield.SourceAddr] = m.Source.Addr
	f[pdufield.ESMClass] = byte(m.ESMClass)
	f[pdufield.ProtocolID] = m.ProtocolID
	f[pdufield.PriorityFlag] = m.Priority
	f[pdufield.ScheduleDeliveryTime] = m.Schedule
	f[pdufield.ValidityPeriod] = m.Validity
	f[pdufield.RegisteredDelivery] = byte(m.RegisteredDelivery)
	f[pdufield.ReplaceIfPresentFlag] = m.ReplaceIfPresent
	f[pdufield.DataCoding] = m.DataCoding
	f[pdufield.SMDefaultMsgID] = m.DefaultMsgID
	f[pdufield.SMLength] = byte(len(m.ShortMessage))
	f[pdufield.ShortMessage] = m.ShortMessage
	return f
}

func tlvsOf(body Body) TLVs {
	return reflect.ValueOf(body).Elem().FieldByName("TLVs").Interface().(TLVs)
}

// moduleReads reports whether the module can be trusted with this PDU, which
// body was decoded from. It lacks several bodies, reads the integers of
// query_sm_resp as strings and distribution lists as addresses, takes the user
// data header out of a deliver_sm, and stops at 4 KiB.
func moduleReads(id ID, body Body, pdu []byte) bool {
	if len(pdu) > module.MaxSize {
		return false
	}
	switch m := body.(type) {
	case *Bind, *BindResp, *QuerySM, *SubmitMultiResp:
		return true
	case *SMResp:
		return id != IDDataSMResp
	case *SM:
		return id == IDSubmitSM || !m.ESMClass.HasUDH()
	case *SubmitMulti:
		for _, d := range m.Dests {
			if d.List != nil {
				return false
			}
		}
		return true
	}
	return false
}

// checkModule holds a decoded body against the module's reading of the PDU.
func checkModule(t interface {
	Helper()
	Fatalf(string, ...any)
}, id ID, body Body, pdu []byte) {
	t.Helper()
	if !moduleReads(id, body, pdu) {
		return
	}
	theirs, err := module.Decode(bytes.NewReader(pdu))
	if err != nil {
		t.Fatalf("%s %x: the module says %v", id, pdu, err)
	}
	got := theirs.Fields()
	for name, want := range moduleFields(body) {
		field, ok := got[name]
		if !ok { // a response without a body
			if len(pdu) != HeaderLen {
				t.Fatalf("%s: the module misses %s", id, name)
			}
			continue
		}
		switch want := want.(type) {
		case byte:
			if field.Raw() != want {
				t.Fatalf("%s: the module reads %s as %v, we as %d", id, name, field.Raw(), want)
			}
		case []byte:
			if raw := field.Raw().([]byte); !bytes.Equal(raw, want) && !bytes.Equal(raw, append(bytes.Clone(want), 0)) {
				t.Fatalf("%s: the module reads %s as %q, we as %q", id, name, raw, want)
			}
		}
	}
	last := map[pdutlv.Tag][]byte{} // the module keeps the last of a tag
	for tag, v := range tlvsOf(body).All() {
		last[pdutlv.Tag(tag)] = v
	}
	if len(last) != len(theirs.TLVFields()) {
		t.Fatalf("%s: the module reads %d TLVs, we %d", id, len(theirs.TLVFields()), len(last))
	}
	for tag, f := range theirs.TLVFields() {
		if !bytes.Equal(f.Bytes(), last[tag]) {
			t.Fatalf("%s: the module reads TLV %s as %x, we as %x", id, tag.Hex(), f.Bytes(), last[tag])
		}
	}
}

// Whatever we write, the module reads as we meant it.
func TestModuleReadsWhatWeWrite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.SampledFrom(bodyIDs).Draw(t, "id")
		body, _ := NewBody(id)
		drawBody(t, body)
		wire, err := body.Append(nil, Header{ID: id, Sequence: 1})
		if err != nil {
			t.Fatal(err)
		}
		checkModule(t, id, body, wire)
	})
}

// Whatever the module writes, we read as it meant it.
func TestWeReadWhatTheModuleWrites(t *testing.T) {
	kinds := map[ID]func() module.Body{
		IDBindTransmitter:     module.NewBindTransmitter,
		IDBindReceiver:        module.NewBindReceiver,
		IDBindTransceiver:     module.NewBindTransceiver,
		IDBindTransceiverResp: module.NewBindTransceiverResp,
		IDSubmitSM:            func() module.Body { return module.NewSubmitSM(nil) },
		IDSubmitSMResp:        module.NewSubmitSMResp,
		IDDeliverSMResp:       module.NewDeliverSMResp,
		IDQuerySM:             module.NewQuerySM,
		IDUnbind:              module.NewUnbind,
		IDEnquireLink:         module.NewEnquireLink,
		IDGenericNack:         module.NewGenericNACK,
	}
	for id, create := range kinds {
		t.Run(id.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				want, _ := NewBody(id)
				drawBody(t, want)
				theirs := create()
				for name, v := range moduleFields(want) {
					if err := theirs.Fields().Set(name, v); err != nil {
						t.Fatal(err)
					}
				}
				for tag, v := range tlvsOf(want).All() {
					if err := theirs.TLVFields().Set(pdutlv.Tag(tag), v); err != nil {
						t.Fatal(err)
					}
				}
				var wire bytes.Buffer
				if err := theirs.SerializeTo(&wire); err != nil {
					t.Fatal(err)
				}
				h, err := DecodeHeader(wire.Bytes())
				if err != nil || h.ID != id || int(h.Length) != wire.Len() {
					t.Fatalf("header %+v, %v of %x", h, err, wire.Bytes())
				}
				got, _ := NewBody(id)
				if err := got.Decode(wire.Bytes()); err != nil {
					t.Fatal(err)
				}
				// The module writes TLVs in no order; checkModule compares them.
				checkModule(t, id, got, wire.Bytes())
				w, g := reflect.ValueOf(want).Elem(), reflect.ValueOf(got).Elem()
				w.FieldByName("TLVs").SetZero()
				g.FieldByName("TLVs").SetZero()
				if !same(w, g) {
					t.Fatalf("%+v\nwant %+v", got, want)
				}
			})
		})
	}
}
