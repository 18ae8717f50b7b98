package smpp

import (
	"io"
	"net"
	"testing"

	"trunkline/gateway"
	"trunkline/gateway/smpp/pdu"
)

// Whatever octets a bound peer sends: nothing panics, the session ends with
// the connection, and the core hears of nothing without a sender's carrier.
func FuzzSession(f *testing.F) {
	seed := func(id pdu.ID, body pdu.Body) {
		b, err := body.Append(nil, pdu.Header{ID: id, Sequence: 7})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	long := sms("1", "2", "\x06\x08\x04\x12\x34\x02\x01a part")
	long.ESMClass = pdu.UDHI
	receipt := sms("1", "2", "id:1 stat:DELIVRD")
	receipt.ESMClass = pdu.TypeDeliveryAck
	seed(pdu.IDSubmitSM, sms("38591000002", "38591000001", "hello"))
	seed(pdu.IDSubmitSM, long)
	seed(pdu.IDSubmitSM, receipt)
	seed(pdu.IDDataSM, &pdu.DataSM{Source: address("1"), Dest: address("2")})
	seed(pdu.IDSubmitMulti, &pdu.SubmitMulti{Source: address("1"), Dests: []pdu.Dest{{Address: address("2")}, {List: []byte("l")}}})
	seed(pdu.IDQuerySM, &pdu.QuerySM{MessageID: []byte("1")})
	seed(pdu.IDCancelSM, &pdu.CancelSM{MessageID: []byte("1")})
	seed(pdu.IDReplaceSM, &pdu.ReplaceSM{MessageID: []byte("1")})
	seed(pdu.IDEnquireLink, &pdu.Empty{})
	seed(pdu.IDDeliverSMResp, &pdu.SMResp{MessageID: []byte("1")})
	f.Add(raw(7, pdu.IDSubmitSM, 1))
	core := newTestCore()
	core.inbound = func(m gateway.Inbound, done func(error)) {
		if m.Carrier != "a" || m.Received.IsZero() || m.Fragment != nil && (m.Fragment.Seq == 0 || m.Fragment.Seq > m.Fragment.Total) {
			f.Errorf("%+v", m)
		}
		done(nil)
	}
	e, err := New(testConfig(), []Carrier{bindsIn("a")}, Options{Core: core, Log: quiet()})
	if err != nil {
		f.Fatal(err)
	}
	bind, _ := (&pdu.Bind{SystemID: []byte("a"), Password: []byte("secret"), InterfaceVersion: 0x34}).Append(nil, pdu.Header{ID: pdu.IDBindTransceiver, Sequence: 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		for len(core.reports) > 0 {
			<-core.reports
		}
		ours, theirs := net.Pipe()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			e.serve(new(listener), ours)
		}()
		go io.Copy(io.Discard, theirs)
		theirs.Write(bind)
		theirs.Write(data)
		theirs.Close()
		<-ended
		if n := counter(t, e.metrics.panics); n != 0 {
			t.Fatal("a handler panicked")
		}
	})
}
