package sip

import (
	"log/slog"
	"net/netip"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"trunkline/gateway/sip/message"
)

// FuzzDatagram: whatever comes in one datagram, nothing panics.
func FuzzDatagram(f *testing.F) {
	c := &call{phone: &phone{}, id: "1@f", tag: "f", from: "<sip:a@b>", to: "<sip:c@d>", target: "sip:1@192.0.2.1"}
	f.Add(crlf(c.text("INVITE", 1, "z9hG4bK1", "Content-Type: application/sdp") + "\n\n" + offerText))
	f.Add(crlf(c.text("INVITE", 1, "z9hG4bK1", "Require: 100rel", "Session-Expires: 90;refresher=uac", "Supported: timer, 100rel", "Record-Route: <sip:x;lr>") + "\n\n"))
	f.Add(crlf(c.text(methodOptions, 1, "z9hG4bK1") + "\n\n"))
	f.Add(crlf("SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\nCSeq: 1 INVITE\nCall-ID: 1\nFrom: <sip:a@b>;tag=1\nTo: <sip:a@b>;tag=2\n\n"))
	w := &wire{conns: map[netip.AddrPort]*wireConn{}}
	reg := prometheus.NewRegistry()
	h := &host{do: func(l *Leg) { l.EarlyMedia(ourMedia); l.Answer(ourMedia); l.Hangup(0) }}
	trunks := []Trunk{decode[Trunk](f, phoneTrunk("limits: {calls: 100}")), decode[Trunk](f, "trunk: b\nfrom: [203.0.113.0/24]\nauthenticate: {username: a, password: b}")}
	e, err := New(decode[Config](f, plainConfig), trunks, Options{Handler: h, Metrics: reg, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	e.listenUDP = w.listen
	if err := e.Listen(f.Context()); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, peer := range []netip.AddrPort{phoneAddr, addr("203.0.113.1:5060")} {
			p := path{socket: e.sockets[0], peer: peer}
			if !e.guard("fuzzing", func() { e.datagram(data, p); e.datagram(data, p) }) {
				t.Fatal("a panic while a message was read")
			}
		}
		if n := (&world{T: t, reg: reg}).counter("trunkline_sip_panics_total"); n > 0 {
			t.Fatal("a panic in a call")
		}
	})
}

// FuzzDigit: the body of INFO.
func FuzzDigit(f *testing.F) {
	f.Add("application/dtmf-relay", "Signal=5\r\nDuration=160")
	f.Add("application/dtmf", "#")
	f.Fuzz(func(t *testing.T, kind, body string) {
		d, ok := readDigit(kind, body)
		if ok && (d.Duration <= 0 || d.Duration > longestDigit) {
			t.Errorf("%v", d)
		}
		readReason(&message.Message{Headers: []message.Header{{Name: message.Reason, Value: body}}})
	})
}
