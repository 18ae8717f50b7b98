package smpp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	module "github.com/fiorix/go-smpp/smpp"
	modpdu "github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutext"
	"github.com/prometheus/client_golang/prometheus"

	"trunkline/gateway"
	"trunkline/gateway/smpp/pdu"
)

// A client that is not ours binds, submits, and gets messages.
func TestIndependentClient(t *testing.T) {
	core := newTestCore()
	w := run(t, testConfig(), core, routed(bindsIn("a")))
	came := make(chan string, 1)
	client := &module.Transceiver{Addr: w.address(), User: "a", Passwd: "secret", Handler: func(p modpdu.Body) {
		if p.Header().ID == modpdu.DeliverSMID {
			came <- p.Fields()[pdufield.ShortMessage].String()
		}
	}}
	status := client.Bind()
	defer client.Close()
	if s := recv(t, "the bind", status); s.Status() != module.Connected {
		t.Fatalf("%s: %v", s.Status(), s.Error())
	}
	go func() { // the client wants its reader
		for range status {
		}
	}()
	m, err := client.Submit(&module.ShortMessage{Src: "38591000002", Dst: "38591000001", Text: pdutext.Raw("hello"), Register: pdufield.FinalDeliveryReceipt})
	if err != nil {
		t.Fatal(err)
	}
	in := recv(t, "the message", core.messages)
	if in.Text != "hello" || in.ID == "" || m.RespID() != in.ID || !in.ReportWanted {
		t.Errorf("%+v, known to the client as %q", in, m.RespID())
	}
	w.sending(hello())
	if text := recv(t, "the reply", came); text != "hello" {
		t.Errorf("the client got %q", text)
	}
}

// A bind that ends comes again, at the next address when there are several.
func TestRebind(t *testing.T) {
	c, d := newCentre(t), newCentre(t)
	w := run(t, testConfig(), newTestCore(), bindsOut("a", c.address(), d.address()))
	p, _ := c.accept(pdu.ESME_ROK)
	w.awaitBound("a", 1)
	p.conn.Close()
	q, _ := d.accept(pdu.ESME_RINVPASWD)
	q.expectEnd()
	p, _ = c.accept(pdu.ESME_ROK)
	w.awaitBound("a", 1)
	if s := w.edge.Status()[0]; !strings.Contains(s.LastError, "ESME_RINVPASWD") || s.Role != "client" || s.State != "bound" {
		t.Errorf("%+v", s)
	}
	p.write(pdu.Header{ID: pdu.IDUnbind, Sequence: 9}, nil) // a polite end is one, too
	p.expect(pdu.IDUnbindResp)
	p.conn.Close()
	d.accept(pdu.ESME_ROK)
	w.awaitBound("a", 1)
}

// A pair is a transmitter and a receiver, each as often as configured.
func TestPair(t *testing.T) {
	c := newCentre(t)
	a := routed(bindsOut("a", c.address()))
	a.Bind, a.Binds, a.SystemType, a.AddrRange = Pair, 2, "VMA", "^385"
	core := newTestCore()
	w := run(t, testConfig(), core, a)
	kinds := map[pdu.ID][]*peer{}
	for range 4 {
		conn, err := c.Accept()
		if err != nil {
			t.Fatal(err)
		}
		p := newPeer(t, conn)
		f, _ := p.next()
		b := decode[pdu.Bind](t, f)
		if string(b.SystemType) != "VMA" || string(b.AddressRange) != "^385" {
			t.Errorf("%+v", b)
		}
		p.write(f.Response(pdu.ESME_ROK), &pdu.BindResp{})
		kinds[f.ID] = append(kinds[f.ID], p)
	}
	w.awaitBound("a", 4)
	if len(kinds[pdu.IDBindTransmitter]) != 2 || len(kinds[pdu.IDBindReceiver]) != 2 {
		t.Fatalf("%v", kinds)
	}
	w.sending(hello())
	w.sending(hello())
	for _, p := range kinds[pdu.IDBindTransmitter] {
		p.expect(pdu.IDSubmitSM)
	}
	if f := kinds[pdu.IDBindReceiver][0].request(pdu.IDDeliverSM, sms("1", "2", "x")); f.Status != pdu.ESME_ROK {
		t.Errorf("answered with %s", f.Status)
	}
}

// A message centre that says outbind is answered with a bind_receiver; a
// stranger is not.
func TestOutbind(t *testing.T) {
	core := newTestCore()
	a := bindsOut("a", "127.0.0.1:1")
	a.Outbind = &Outbind{SystemID: "smsc", Password: "knock"}
	a.Timers.Reconnect, a.Timers.ReconnectTo = time.Hour, time.Hour
	w := run(t, testConfig(), core, a)
	for _, password := range []string{"wrong", "knock"} {
		p := dial(t, w.address())
		p.send(pdu.IDOutbind, &pdu.Outbind{SystemID: []byte("smsc"), Password: []byte(password)})
		if password == "wrong" {
			p.expectEnd()
			continue
		}
		f := p.expect(pdu.IDBindReceiver)
		if b := decode[pdu.Bind](t, f); string(b.SystemID) != "a" || string(b.Password) != "secret" {
			t.Errorf("%+v", b)
		}
		p.write(f.Response(pdu.ESME_ROK), &pdu.BindResp{})
		w.awaitBound("a", 1)
		if f := p.request(pdu.IDDeliverSM, sms("1", "2", "hello")); f.Status != pdu.ESME_ROK {
			t.Errorf("deliver_sm was answered with %s", f.Status)
		}
		if m := recv(t, "the message", core.messages); m.Carrier != "a" {
			t.Errorf("%+v", m)
		}
		p.send(pdu.IDAlertNotification, &pdu.AlertNotification{Source: address("1"), ESME: address("2")})
		if f := p.request(pdu.IDEnquireLink, nil); f.ID != pdu.IDEnquireLinkResp {
			t.Errorf("%s came", f.ID)
		}
	}
}

// certificate writes a certificate for 127.0.0.1 that is its own authority.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "EC PRIVATE KEY", raw)
}

// Two edges speak TLS with each other, one binding to the other.
func TestTLS(t *testing.T) {
	cert, key := certificate(t)
	cfg := testConfig()
	cfg.Listen[0].TLS = &TLS{Cert: cert, Key: key}
	a := routed(bindsIn("a"))
	a.Accept.TLS = true
	serverCore, clientCore := newTestCore(), newTestCore()
	server := run(t, cfg, serverCore, a)
	b := routed(bindsOut("a", server.address()))
	b.TLS = &TLS{CA: cert}
	client := run(t, Config{MaxConnections: 1, MaxConnectionsPerAddress: 1, MaxPDU: 1 << 16, SessionInit: time.Second, DrainTimeout: time.Second, Queue: 10}, clientCore, b)
	client.awaitBound("a", 1)
	server.awaitBound("a", 1)
	if r := recv(t, "the result", client.sending(hello())); r.Fate != gateway.FateAccepted || len(r.Keys[0]) == 0 {
		t.Errorf("%+v", r)
	}
	if r := recv(t, "the result", server.sending(hello())); r.Fate != gateway.FateAccepted {
		t.Errorf("%+v", r)
	}
	recv(t, "the message", serverCore.messages)
	recv(t, "the message", clientCore.messages)
	if s := server.edge.Status()[0]; !s.Sessions[0].TLS || s.Sessions[0].Version != "3.4" {
		t.Errorf("%+v", s)
	}
	plain := dial(t, server.address()) // one that does not speak TLS
	plain.send(pdu.IDEnquireLink, nil)
	plain.expectEnd()
}

// An unknown authority is no peer; a listener with one wants certificates.
func TestTLSRefusals(t *testing.T) {
	cert, key := certificate(t)
	other, _ := certificate(t)
	cfg := testConfig()
	cfg.Listen[0].TLS = &TLS{Cert: cert, Key: key, CA: cert}
	server := run(t, cfg, newTestCore(), bindsIn("a"))
	strict := bindsOut("strict", server.address())
	strict.SystemID, strict.TLS = "a", &TLS{CA: other}
	naked := bindsOut("naked", server.address())
	naked.SystemID, naked.TLS = "a", &TLS{CA: cert}
	good := bindsOut("good", server.address())
	good.SystemID, good.TLS = "a", &TLS{CA: cert, Cert: cert, Key: key}
	client := run(t, Config{MaxConnections: 1, MaxConnectionsPerAddress: 1, MaxPDU: 1 << 16, SessionInit: time.Second, Queue: 10}, newTestCore(), strict, naked, good)
	client.awaitBound("good", 1)
	for _, name := range []string{"strict", "naked"} {
		until(t, "refused", func() bool {
			i := slices.IndexFunc(client.edge.Status(), func(s CarrierStatus) bool { return s.Carrier == name })
			return client.edge.Status()[i].LastError != ""
		})
		if client.bound(name) != 0 {
			t.Errorf("%s is bound", name)
		}
	}
}

// New names everything that is wrong.
func TestNewRefuses(t *testing.T) {
	cfg := testConfig()
	cfg.Listen[0].TLS = &TLS{Cert: "/nowhere/cert.pem", Key: "/nowhere/key.pem"}
	bad := bindsOut("Bad", "127.0.0.1:1")
	bad.TLS = &TLS{CA: "/nowhere/ca.pem"}
	_, err := New(cfg, []Carrier{bad}, Options{Core: newTestCore()})
	for _, want := range []string{"/nowhere/cert.pem", "/nowhere/ca.pem", `"Bad" is not`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
	if _, err := New(testConfig(), nil, Options{}); err == nil {
		t.Error("an edge without a core")
	}
}

// An address that is taken is an error before anything runs, and leaves nothing open.
func TestListenFails(t *testing.T) {
	taken := newCentre(t)
	cfg := testConfig()
	cfg.Listen = append(cfg.Listen, Listener{Address: taken.address()})
	e, err := New(cfg, nil, Options{Core: newTestCore(), Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Listen(context.Background()); err == nil || !strings.Contains(err.Error(), taken.address()) || e.Addresses() != nil {
		t.Errorf("%v, listening on %v", err, e.Addresses())
	}
	if err := e.Run(context.Background()); err == nil {
		t.Error("Run did not fail")
	}
}

// A reload keeps binds that need not change, rebinds those that do, and unbinds
// what is gone; a bad one changes nothing.
func TestReload(t *testing.T) {
	c := newCentre(t)
	cfg := testConfig()
	kept, changed, gone := bindsIn("kept"), bindsIn("changed"), bindsIn("gone")
	out := routed(bindsOut("out", c.address()))
	w := run(t, cfg, newTestCore(), kept, changed, gone, out)
	p := map[string]*peer{}
	for _, name := range []string{"kept", "changed", "gone"} {
		p[name] = bound(t, w.address(), pdu.IDBindTransceiver, name)
	}
	m, _ := c.accept(pdu.ESME_ROK)
	w.awaitBound("out", 1)

	bad := cfg
	bad.MaxPDU = 1
	taken := newCentre(t)
	busy := cfg
	busy.Listen = append(slices.Clone(cfg.Listen), Listener{Address: taken.address()})
	for _, cfg := range []Config{bad, busy} {
		if err := w.edge.Reload(cfg, nil); err == nil {
			t.Fatal("a bad configuration was taken")
		}
	}
	for name, peer := range p {
		if f := peer.request(pdu.IDSubmitSM, sms("1", "2", "x")); f.Status != pdu.ESME_ROK {
			t.Errorf("%s after a bad reload: %s", name, f.Status)
		}
	}

	// The terms of out and kept may change while they are bound.
	kept.Routes, kept.Rate.In = []Route{{Prefix: "385"}}, 1000
	changed.Password = "other"
	out.Routes = []Route{{Prefix: "49"}}
	fresh := bindsIn("fresh")
	next := cfg
	next.Listen = append(slices.Clone(cfg.Listen), Listener{Address: "127.0.0.1:0"})
	next.Listen[1].Address = "localhost:0"
	if err := w.edge.Reload(next, []Carrier{kept, changed, out, fresh}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"changed", "gone"} {
		p[name].write(p[name].expect(pdu.IDUnbind).Response(pdu.ESME_ROK), nil)
		p[name].conn.(*net.TCPConn).CloseWrite()
		p[name].expectEnd()
	}
	w.sending(hello())
	if got := p["kept"].answerWith(pdu.IDDeliverSM, pdu.ESME_ROK, ""); string(got.ShortMessage) != "hello" {
		t.Errorf("%+v", got)
	}
	if f := m.request(pdu.IDEnquireLink, nil); f.ID != pdu.IDEnquireLinkResp {
		t.Errorf("%s came over the old route", f.ID)
	}
	if f := dial(t, w.address()).bind(pdu.IDBindTransceiver, "changed", "secret"); f.Status != pdu.ESME_RINVPASWD {
		t.Errorf("the old password: %s", f.Status)
	}
	if f := dial(t, w.address()).bind(pdu.IDBindTransceiver, "changed", "other"); f.Status != pdu.ESME_ROK {
		t.Errorf("the new password: %s", f.Status)
	}
	if f := dial(t, w.address()).bind(pdu.IDBindTransceiver, "gone", "secret"); f.Status != pdu.ESME_RINVSYSID {
		t.Errorf("a removed carrier: %s", f.Status)
	}
	second := w.edge.Addresses()[1].String()
	bound(t, second, pdu.IDBindTransceiver, "fresh")

	// A listener that is gone takes no more; the binds over it stay.
	first := w.address()
	cfg.Listen = next.Listen[1:]
	if err := w.edge.Reload(cfg, []Carrier{kept, changed, out, fresh}); err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp", first); err == nil {
		conn.Close()
		t.Error("the removed listener accepts")
	}
	if w.bound("kept") != 1 || w.bound("fresh") != 1 {
		t.Errorf("%+v", w.edge.Status())
	}
}

// A listener may begin to speak TLS while it runs.
func TestReloadToTLS(t *testing.T) {
	w := run(t, testConfig(), newTestCore(), bindsIn("a"))
	cert, key := certificate(t)
	cfg := testConfig()
	cfg.Listen[0].TLS = &TLS{Cert: cert, Key: key}
	if err := w.edge.Reload(cfg, []Carrier{bindsIn("a")}); err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", w.address(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	if f := newPeer(t, conn).bind(pdu.IDBindTransceiver, "a", "secret"); f.Status != pdu.ESME_ROK {
		t.Error(f.Status)
	}
}

// Status is for tools, metrics for dashboards: both know the carriers.
func TestStatusAndMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	core := newTestCore()
	w := runWith(t, testConfig(), Options{Core: core, Log: quiet(), Metrics: reg}, routed(bindsIn("a")), bindsOut("b", "127.0.0.1:1"))
	p := bound(t, w.address(), pdu.IDBindTransceiver, "a")
	p.request(pdu.IDSubmitSM, sms("1", "2", "x"))
	p.request(pdu.IDSubmitSM, sms("x", "2", "x"))
	p.conn.Write(whole(0x55, 99))
	p.expect(pdu.IDGenericNack)
	result := w.sending(hello())
	p.answerWith(pdu.IDDeliverSM, pdu.Status(0x455), "")
	recv(t, "the result", result)
	b, err := json.Marshal(w.edge.Status())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"carrier":"a","role":"server","state":"bound","bound":1,"want":4`, `"bind":"transceiver"`, `"carrier":"b","role":"client","state":"connecting"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s does not have %s", b, want)
		}
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			got[f.GetName()+" "+strings.Join(labels, " ")] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"trunkline_smpp_pdus_total a in submit_sm ESME_ROK":              2,
		"trunkline_smpp_pdus_total a out submit_sm_resp ESME_ROK":        1,
		"trunkline_smpp_pdus_total a out submit_sm_resp ESME_RINVSRCADR": 1,
		"trunkline_smpp_pdus_total a in unknown ESME_ROK":                1,
		"trunkline_smpp_pdus_total a out generic_nack ESME_RINVCMDID":    1,
		"trunkline_smpp_pdus_total a out deliver_sm ESME_ROK":            1,
		"trunkline_smpp_pdus_total a in deliver_sm_resp vendor":          1,
		"trunkline_smpp_binds a":                                         1,
		"trunkline_smpp_binds b":                                         0,
		"trunkline_smpp_results_total rejected":                          1,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", name, v, ok, want)
		}
	}
}
