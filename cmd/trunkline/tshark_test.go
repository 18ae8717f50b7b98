package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"trunkline/gateway/smpp/pdu"
)

// recorder passes connections on to another address and keeps what both sides
// say, in order. So a session can be looked at without the right to capture.
type recorder struct {
	testing.TB
	net.Listener
	target string
	mu     sync.Mutex
	spoken []spoken
	closed map[int]int // ends of a connection that have ended
}

// spoken is what one side of a connection said at a time.
type spoken struct {
	connection int
	server     bool
	octets     []byte
}

func record(t testing.TB, target string) *recorder {
	t.Helper()
	r := &recorder{TB: t, Listener: listenLoopback(t), target: target, closed: map[int]int{}}
	t.Cleanup(func() { r.Close() })
	go func() {
		for n := 0; ; n++ {
			client, err := r.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", r.target)
			if err != nil {
				client.Close()
				continue
			}
			t.Cleanup(func() { client.Close(); server.Close() })
			go r.pass(n, false, server, client)
			go r.pass(n, true, client, server)
		}
	}()
	return r
}

func (r *recorder) port() string {
	_, port, err := net.SplitHostPort(r.Addr().String())
	if err != nil {
		r.Fatal(err)
	}
	return port
}

func (r *recorder) pass(n int, fromServer bool, to, from net.Conn) {
	buf := make([]byte, 16<<10)
	for {
		k, err := from.Read(buf)
		if k > 0 {
			r.mu.Lock()
			r.spoken = append(r.spoken, spoken{n, fromServer, bytes.Clone(buf[:k])})
			r.mu.Unlock()
			if _, err := to.Write(buf[:k]); err != nil {
				return
			}
		}
		if err != nil {
			to.Close()
			r.mu.Lock()
			r.closed[n]++
			r.mu.Unlock()
			return
		}
	}
}

// capture writes what was said as a capture file (the classic format of
// libpcap) of raw IPv4 packets.
func (r *recorder) capture(name string) {
	r.Helper()
	port, err := strconv.ParseUint(r.port(), 10, 16)
	if err != nil {
		r.Fatal(err)
	}
	var b []byte
	le := binary.LittleEndian
	b = le.AppendUint32(b, 0xa1b2c3d4)
	b = le.AppendUint16(b, 2)
	b = le.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint32(b, 1<<18)
	b = le.AppendUint32(b, 101) // LINKTYPE_RAW
	sequence := map[[2]int]uint32{}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, s := range r.spoken {
		side, other := [2]int{s.connection, 0}, [2]int{s.connection, 1}
		source, dest := uint16(20000+s.connection), uint16(port)
		if s.server {
			side, other = other, side
			source, dest = dest, source
		}
		packet := packetOf(source, dest, 1+sequence[side], 1+sequence[other], s.octets)
		sequence[side] += uint32(len(s.octets))
		b = le.AppendUint32(b, uint32(i/1000))
		b = le.AppendUint32(b, uint32(i%1000*1000))
		b = le.AppendUint32(b, uint32(len(packet)))
		b = le.AppendUint32(b, uint32(len(packet)))
		b = append(b, packet...)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		r.Fatal(err)
	}
}

// packetOf is a TCP segment on the loopback (RFC 791 §3.1, RFC 9293 §3.1). The
// checksums are left out, as they are where the network card makes them.
func packetOf(source, dest uint16, sequence, ack uint32, data []byte) []byte {
	be := binary.BigEndian
	p := []byte{0x45, 0}
	p = be.AppendUint16(p, uint16(40+len(data)))
	p = append(p, 0, 0, 0x40, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1)
	p = be.AppendUint16(p, source)
	p = be.AppendUint16(p, dest)
	p = be.AppendUint32(p, sequence)
	p = be.AppendUint32(p, ack)
	p = append(p, 5<<4, 0x18, 0xff, 0xff, 0, 0, 0, 0) // PSH, ACK
	return append(p, data...)
}

// pdus counts what was said, by command.
func (r *recorder) pdus() map[pdu.ID]int {
	r.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	streams := map[[2]int][]byte{}
	for _, s := range r.spoken {
		side := [2]int{s.connection, 0}
		if s.server {
			side[1] = 1
		}
		streams[side] = append(streams[side], s.octets...)
	}
	count := map[pdu.ID]int{}
	for _, b := range streams {
		for in := bytes.NewReader(b); ; {
			_, h, err := pdu.Read(in, nil, 1<<20)
			if err == io.EOF {
				break
			}
			if err != nil {
				r.Fatal(err)
			}
			count[h.ID]++
		}
	}
	return count
}

// judged lets tshark read the session: not a PDU may be malformed, and it has to
// find as many of each command as there were. It returns the short_messages that it read, in hexadecimal.
func (r *recorder) judged(tshark string) (messages string) {
	r.Helper()
	eventually(r, "all connections have ended", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, ends := range r.closed {
			if ends < 2 {
				return false
			}
		}
		return true
	})
	name := filepath.Join(r.TempDir(), "session.pcap")
	r.capture(name)
	cmd := exec.Command(tshark, "-r", name, "-d", "tcp.port=="+r.port()+",smpp", "-o", "tcp.check_checksum:FALSE",
		"-T", "fields", "-E", "occurrence=a", "-E", "aggregator=|",
		"-e", "frame.number", "-e", "smpp.command_id", "-e", "_ws.malformed", "-e", "_ws.expert.severity", "-e", "_ws.expert.message", "-e", "smpp.message")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		r.Fatalf("tshark: %v\n%s", err, complaints.Bytes())
	}
	count := map[pdu.ID]int{}
	for line := range strings.Lines(string(out)) {
		f := append(strings.Split(strings.TrimSuffix(line, "\n"), "\t"), make([]string, 6)...)
		for id := range strings.SplitSeq(f[1], "|") {
			if id == "" {
				continue
			}
			n, err := strconv.ParseUint(id, 0, 32)
			if err != nil {
				r.Fatal(err)
			}
			count[pdu.ID(n)]++
		}
		if f[2] != "" {
			r.Errorf("packet %s has a malformed PDU: %q", f[0], f)
		}
		for severity := range strings.SplitSeq(f[3], "|") {
			if n, _ := strconv.Atoi(severity); n >= 0x600000 { // warning
				r.Errorf("packet %s: tshark warns: %s", f[0], f[4])
			}
		}
		messages += f[5] + "\n"
	}
	want := r.pdus()
	for id := range want {
		if count[id] != want[id] {
			r.Errorf("tshark found %d %s of %d", count[id], id, want[id])
		}
	}
	if len(count) != len(want) {
		r.Errorf("tshark found %v, not %v", count, want)
	}
	return messages
}

// What we say to one that binds in, and it says to us: every PDU is one for
// Wireshark, too.
func TestTsharkReadsWhoBindsIn(t *testing.T) {
	t.Parallel()
	tshark := need(t, "tshark", "tshark")
	files := example(t)
	delete(files, "flows/any-keyword.yaml")
	files["flows/echo.yaml"] = echo
	s := newSite(t, files)
	g := s.start()
	r := record(t, g.smpp)
	l := bindTo(t, r.Addr().String(), "demo", "demo")
	status := func(want pdu.Status, id pdu.ID, body pdu.Body) frame {
		t.Helper()
		f := l.request(id, body)
		if f.Status != want {
			t.Fatalf("%s was answered with %s, not %s", id, f.Status, want)
		}
		return f
	}
	// A text, with a receipt.
	m := keywordFrom(anna, "START")
	m.RegisteredDelivery = pdu.ReceiptAlways
	status(pdu.ESME_ROK, pdu.IDSubmitSM, m)
	l.message(pdu.IDDeliverSM, "")
	l.message(pdu.IDDeliverSM, "")
	// Long ones: in parts with a header, in parts with TLVs, and whole.
	long := strings.Repeat("All the letters. ", 12)
	for i := range 2 {
		m := keywordFrom(boris, "")
		m.ESMClass = pdu.UDHI
		m.ShortMessage = append([]byte{5, 0, 3, 9, 2, byte(i + 1)}, long[i*100:][:100]...)
		status(pdu.ESME_ROK, pdu.IDSubmitSM, m)
	}
	l.message(pdu.IDDeliverSM, "")
	l.message(pdu.IDDeliverSM, "")
	for i := range 2 {
		m := keywordFrom(cveta, long[i*100:][:100])
		m.TLVs = pdu.TLVs{}.AppendUint16(pdu.TagSARMsgRefNum, 9).AppendUint8(pdu.TagSARTotalSegments, 2).AppendUint8(pdu.TagSARSegmentSeqnum, uint8(i+1))
		status(pdu.ESME_ROK, pdu.IDSubmitSM, m)
	}
	l.message(pdu.IDDeliverSM, "")
	l.message(pdu.IDDeliverSM, "")
	payload, err := pdu.TLVs{}.Append(pdu.TagMessagePayload, []byte(long))
	if err != nil {
		t.Fatal(err)
	}
	m = keywordFrom(dario, "")
	m.TLVs = payload
	status(pdu.ESME_ROK, pdu.IDSubmitSM, m)
	l.message(pdu.IDDeliverSM, "")
	l.message(pdu.IDDeliverSM, "")
	// data_sm and submit_multi, which has a list that nobody has.
	payload, err = pdu.TLVs{}.Append(pdu.TagMessagePayload, []byte("data"))
	if err != nil {
		t.Fatal(err)
	}
	status(pdu.ESME_ROK, pdu.IDDataSM, &pdu.DataSM{Source: international(anna), Dest: international(ours), TLVs: payload})
	l.message(pdu.IDDeliverSM, "")
	f := status(pdu.ESME_ROK, pdu.IDSubmitMulti, &pdu.SubmitMulti{Source: international(boris), ShortMessage: []byte("multi"),
		Dests: []pdu.Dest{{Address: international(ours)}, {List: []byte("everybody")}}})
	var resp pdu.SubmitMultiResp
	l.decode(f, &resp)
	if len(resp.Failed) != 1 || resp.Failed[0].Status != pdu.ESME_RINVDLNAME {
		t.Errorf("submit_multi_resp: %+v", resp)
	}
	l.message(pdu.IDDeliverSM, "")
	// A message for later: asked about, replaced, withdrawn.
	m = keywordFrom(cveta, "later")
	m.Schedule = []byte("000000010000000R")
	var taken pdu.SMResp
	l.decode(status(pdu.ESME_ROK, pdu.IDSubmitSM, m), &taken)
	state := func(want pdu.MessageState) {
		t.Helper()
		var q pdu.QuerySMResp
		l.decode(status(pdu.ESME_ROK, pdu.IDQuerySM, &pdu.QuerySM{MessageID: taken.MessageID, Source: international(cveta)}), &q)
		if q.State != want {
			t.Errorf("query_sm tells %s, not %s", q.State, want)
		}
	}
	state(pdu.StateEnroute)
	status(pdu.ESME_ROK, pdu.IDReplaceSM, &pdu.ReplaceSM{MessageID: taken.MessageID, Source: international(cveta), ShortMessage: []byte("replaced")})
	status(pdu.ESME_ROK, pdu.IDCancelSM, &pdu.CancelSM{MessageID: taken.MessageID, Source: international(cveta), Dest: international(ours)})
	state(pdu.StateDeleted)
	status(pdu.ESME_RCANCELFAIL, pdu.IDCancelSM, &pdu.CancelSM{MessageID: taken.MessageID, Source: international(cveta), Dest: international(ours)})
	status(pdu.ESME_RREPLACEFAIL, pdu.IDReplaceSM, &pdu.ReplaceSM{MessageID: taken.MessageID, Source: international(cveta)})
	status(pdu.ESME_RQUERYFAIL, pdu.IDQuerySM, &pdu.QuerySM{MessageID: []byte("0"), Source: international(cveta)})
	// What is refused.
	status(pdu.ESME_RALYBND, pdu.IDBindTransceiver, &pdu.Bind{SystemID: []byte("demo")})
	// cancel_broadcast_sm (SMPP 5.0 §4.6.3), which nobody here speaks.
	if _, err := l.conn.Write([]byte("\x00\x00\x00\x17\x00\x00\x01\x13\x00\x00\x00\x00\x00\x00\x01\x00\x00" + "1\x00\x01\x01" + "1\x00")); err != nil {
		t.Fatal(err)
	}
	if f := l.response(0x100); f.ID != pdu.IDGenericNack || f.Status != pdu.ESME_RINVCMDID {
		t.Errorf("cancel_broadcast_sm was answered with %s %s", f.ID, f.Status)
	}
	status(pdu.ESME_ROK, pdu.IDEnquireLink, nil)
	status(pdu.ESME_ROK, pdu.IDUnbind, nil)
	if _, more := l.next(); more {
		t.Error("more came after the unbind_resp")
	}
	g.stop()
	if messages := r.judged(tshark); !strings.Contains(messages, hex.EncodeToString([]byte(question))) {
		t.Errorf("tshark did not read %q, but\n%s", question, messages)
	}
}

// What we say to message centres, in every way of marking parts.
func TestTsharkReadsOutbound(t *testing.T) {
	t.Parallel()
	tshark := need(t, "tshark", "tshark")
	c := newCentre(t)
	r := record(t, c.addr)
	files := example(t)
	delete(files, "carriers/demo.yaml")
	methods := []string{"udh8", "udh16", "sar", "payload"}
	for i, method := range methods {
		files["carriers/"+method+".yaml"] = fmt.Sprintf(
			"carrier: %s\nconnect: [%q]\nsystem_id: trunk%d\npassword: secret\nconcatenation: %s\nroutes: [{prefix: \"3859%d\"}]\n", method, r.Addr(), i, method, i)
	}
	s := newSite(t, files)
	g := s.start()
	var links []*link
	for range methods {
		links = append(links, receive(t, "a bind", c.links))
	}
	submitted := make(chan *pdu.SM, 100)
	for i, l := range links {
		go func() {
			for f := range l.frames {
				switch f.ID {
				case pdu.IDSubmitSM:
					m := new(pdu.SM)
					if err := m.Decode(f.raw); err != nil {
						t.Error(err)
						return
					}
					l.write(f.Response(pdu.ESME_ROK), &pdu.SMResp{MessageID: fmt.Appendf(nil, "%d-%d", i, f.Sequence)})
					submitted <- m
				case pdu.IDEnquireLink, pdu.IDUnbind:
					l.write(f.Response(pdu.ESME_ROK), nil)
				}
			}
		}()
	}
	long := strings.Repeat("All the letters of it. ", 14) // 322: 3 parts
	for i := range methods {
		s.must("send", "sms", "--from", ours, "--to", fmt.Sprintf("3859%d0000001", i), long)
		s.must("send", "sms", "--from", "Trunkline", "--to", fmt.Sprintf("3859%d0000002", i), strings.Repeat("Poruka č. ", 12)) // 120: 2 parts
	}
	for range 3*(3+2) + 2 {
		m := receive(t, "a submit_sm", submitted)
		if len(m.Validity) == 0 || m.RegisteredDelivery != pdu.ReceiptAlways {
			t.Errorf("%+v", m)
		}
	}
	g.stop()
	r.judged(tshark)
}
