package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"trunkline/gateway/smpp/pdu"
)

// node is the npm package smpp as a peer: testdata/peers/smpp.js, in the hands
// of a test.
type node struct {
	*testing.T
	in       io.Writer
	requests chan said // of the daemon, answered
	answers  chan said // to what the test sent
	others   chan said // connected, listening, closed
}

// said is a line of the peer.
type said struct {
	Request, Answer   string
	PDU               fields
	Status            int
	MessageID         string `json:"message_id"`
	Listening         int
	Connected, Closed bool
	Error             string
}

// fields are those of a PDU.
type fields map[string]any

func (f fields) number(name string) int { n, _ := f[name].(float64); return int(n) }

func (f fields) text(name string) string { s, _ := f[name].(string); return s }

// message is the text of a short_message as the peer has decoded it, and its
// user data header's elements.
func (f fields) message() (text string, header []string) {
	m, _ := f["short_message"].(map[string]any)
	text, _ = m["message"].(string)
	if raw, ok := m["message"].(map[string]any); ok {
		b, _ := hex.DecodeString(fmt.Sprint(raw["hex"]))
		text = string(b)
	}
	elements, _ := m["udh"].([]any)
	for _, e := range elements {
		header = append(header, fmt.Sprint(e.(map[string]any)["hex"]))
	}
	return text, header
}

func startNode(t *testing.T, args ...string) *node {
	t.Helper()
	program := need(t, "Node.js", "node", "nodejs")
	if _, err := os.Stat("../../testdata/peers/node_modules/smpp"); err != nil {
		t.Skip("SKIPPED: the npm package smpp is not installed here; `make peers` installs it")
	}
	cmd := exec.Command(program, append([]string{"smpp.js"}, args...)...)
	cmd.Dir = "../../testdata/peers"
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, cmd)
	n := &node{T: t, in: in, requests: make(chan said, 1000), answers: make(chan said, 1000), others: make(chan said, 1000)}
	p.out.follow(n.hear)
	return n
}

// hear takes a line. The channels have room for more than any test makes.
func (n *node) hear(text string) {
	var line said
	if err := json.Unmarshal([]byte(text), &line); err != nil {
		line.Error = err.Error()
	}
	switch {
	case line.Request == "enquire_link": // answered
	case line.Request != "":
		n.requests <- line
	case line.Answer != "":
		n.answers <- line
	default:
		n.others <- line
	}
}

func (n *node) tell(command map[string]any) {
	n.Helper()
	b, err := json.Marshal(command)
	if err != nil {
		n.Fatal(err)
	}
	if _, err := n.in.Write(append(b, '\n')); err != nil {
		n.Fatal(err)
	}
}

// send sends a request and returns its answer.
func (n *node) send(command string, pdu fields) said {
	n.Helper()
	n.tell(map[string]any{"send": command, "pdu": pdu})
	a := receive(n, "the answer to "+command, n.answers)
	if a.Answer != command+"_resp" {
		n.Fatalf("%s was answered with %s", command, a.Answer)
	}
	return a
}

// takes is send where success is expected.
func (n *node) takes(command string, pdu fields) said {
	n.Helper()
	a := n.send(command, pdu)
	if status := a.PDU.number("command_status"); status != 0 {
		n.Fatalf("%s was answered with status %#x", command, status)
	}
	return a
}

// gets expects a request of the daemon.
func (n *node) gets(command string) said {
	n.Helper()
	r := receive(n, "a "+command+" from the daemon", n.requests)
	if r.Request != command {
		n.Fatalf("%s came, not %s", r.Request, command)
	}
	return r
}

func (n *node) connected() {
	n.Helper()
	if c := receive(n, "the connection", n.others); !c.Connected {
		n.Fatalf("%+v", c)
	}
}

// writes is a message from a phone.
func writes(phone, text string, more ...any) fields {
	f := fields{"source_addr_ton": 1, "source_addr_npi": 1, "source_addr": phone, "dest_addr_ton": 1, "dest_addr_npi": 1,
		"destination_addr": ours, "data_coding": 0, "short_message": text}
	for i := 0; i < len(more); i += 2 {
		f[more[i].(string)] = more[i+1]
	}
	return f
}

// whole collects the parts of a message to a phone.
func (n *node) whole(command, phone string) (text string, coding int, parts int) {
	n.Helper()
	var all []string
	for {
		r := n.gets(command)
		if to := r.PDU.text("destination_addr"); to != phone {
			n.Fatalf("a message to %s came, not to %s", to, phone)
		}
		text, header := r.PDU.message()
		coding = r.PDU.number("data_coding")
		if len(header) == 0 {
			return text, coding, 1
		}
		var ref, total, seq int // 8-bit reference (3GPP TS 23.040 §9.2.3.24.1)
		if _, err := fmt.Sscanf(header[0], "0003%02x%02x%02x", &ref, &total, &seq); err != nil || len(header) != 1 || seq < 1 || seq > total {
			n.Fatalf("user data header %s: %v", header, err)
		}
		all = append(all, make([]string, max(0, total-len(all)))...)
		all[seq-1] = text
		parts++
		if parts == total {
			return strings.Join(all, ""), coding, parts
		}
	}
}

// The package as an ESME that binds in to us.
func TestNodeBindsIn(t *testing.T) {
	t.Parallel()
	files := example(t)
	delete(files, "flows/any-keyword.yaml")
	files["flows/echo.yaml"] = echo
	s := newSite(t, files)
	g := s.start()
	host, port, err := net.SplitHostPort(g.smpp)
	if err != nil {
		t.Fatal(err)
	}
	for _, login := range []struct {
		id, password string
		want         pdu.Status
	}{{"demo", "wrong", pdu.ESME_RINVPASWD}, {"nobody", "demo", pdu.ESME_RINVSYSID}} {
		n := startNode(t, "esme", host, port)
		n.connected()
		if a := n.send("bind_transceiver", fields{"system_id": login.id, "password": login.password}); pdu.Status(a.PDU.number("command_status")) != login.want {
			t.Errorf("%s/%s: status %#x, not %s", login.id, login.password, a.PDU.number("command_status"), login.want)
		}
		if c := receive(t, "the end of the connection", n.others); !c.Closed {
			t.Errorf("%+v", c)
		}
	}

	n := startNode(t, "esme", host, port)
	n.connected()
	bound := n.takes("bind_transceiver", fields{"system_id": "demo", "password": "demo", "interface_version": 0x34})
	if bound.PDU.text("system_id") != "trunkline" || bound.PDU.number("sc_interface_version") != 0x34 {
		t.Errorf("bind_transceiver_resp: %v", bound.PDU)
	}
	n.takes("enquire_link", nil)
	id := n.keyword()
	for i, c := range []struct {
		text           string
		coding, answer int // data_coding of the message and of its answer
		parts          int // of the answer
	}{
		{"plain", 0, 0, 1},
		{"GSM: @£$ Ωäöüß {[~]} |^\\ €", 0, 0, 1},
		{"Žuta mačka 猫 🐈", 8, 8, 1},
		{strings.TrimSpace(strings.Repeat("A long message. ", 20)), 0, 0, 3},
		{strings.TrimSpace(strings.Repeat("Poruka č. ", 12)), 8, 8, 2},
	} {
		phone := fmt.Sprintf("38591111000%d", i)
		n.parts(phone, c.text, c.coding)
		text, coding, parts := n.whole("deliver_sm", phone)
		if text != "You wrote: "+c.text || coding != c.answer || parts != c.parts {
			t.Errorf("%q was answered with %q in coding %d and %d parts", c.text, text, coding, parts)
		}
	}
	if q := n.takes("query_sm", fields{"message_id": id, "source_addr_ton": 1, "source_addr_npi": 1, "source_addr": anna}); q.PDU.number("message_state") != 2 || q.PDU.text("message_id") != id {
		t.Errorf("query_sm_resp: %v", q.PDU)
	}
	if q := n.send("query_sm", fields{"message_id": "unknown", "source_addr": anna}); pdu.Status(q.PDU.number("command_status")) != pdu.ESME_RQUERYFAIL {
		t.Errorf("query_sm of an unknown id: %v", q.PDU)
	}
	n.takes("unbind", nil)
	g.stop()
}

// keyword submits a keyword, and expects the answer and the receipt.
func (n *node) keyword() (id string) {
	n.Helper()
	id = n.takes("submit_sm", writes(anna, "START", "registered_delivery", 1)).PDU.text("message_id")
	if id == "" {
		n.Fatal("submit_sm_resp has no message_id")
	}
	var text, receipt bool
	for !text || !receipt {
		r := n.gets("deliver_sm")
		got, _ := r.PDU.message()
		switch {
		case r.PDU.number("esm_class") == 0 && got == question && r.PDU.text("source_addr") == ours && r.PDU.text("destination_addr") == anna:
			text = true
		case r.PDU.number("esm_class") == 4 && strings.HasPrefix(got, "id:"+id+" sub:001 dlvrd:001 ") && strings.Contains(got, " stat:DELIVRD err:000 "):
			receipt = true
			if r.PDU.text("receipted_message_id") != id || r.PDU.number("message_state") != 2 {
				n.Errorf("the receipt's parameters: %v", r.PDU)
			}
			if r.PDU.text("source_addr") != ours || r.PDU.text("destination_addr") != anna {
				n.Errorf("the receipt's addresses: %v", r.PDU)
			}
		default:
			n.Fatalf("%v came", r.PDU)
		}
	}
	return id
}

// parts submits a text, in parts with a user data header when it is long.
func (n *node) parts(phone, text string, coding int) {
	n.Helper()
	size := 150
	if coding == 8 {
		size = 60
	}
	runes := []rune(text)
	total := (len(runes) + size - 1) / size
	if total == 1 {
		n.takes("submit_sm", writes(phone, text, "data_coding", coding))
		return
	}
	for i := total - 1; i >= 0; i-- { // the last part first
		part := string(runes[i*size : min((i+1)*size, len(runes))])
		n.takes("submit_sm", writes(phone, "", "data_coding", coding, "short_message", fields{
			"udh": fields{"hex": fmt.Sprintf("050003%02x%02x%02x", 77, total, i+1)}, "message": part,
		}))
	}
}

// The package as a message centre that we bind out to.
func TestNodeIsBoundTo(t *testing.T) {
	t.Parallel()
	n := startNode(t, "smsc")
	port := receive(t, "the port", n.others).Listening
	s := newSite(t, boundOut(t, fmt.Sprintf("127.0.0.1:%d", port), "timers: {reconnect: 100ms}\n"))
	g := s.start()
	bind := n.gets("bind_transceiver")
	if bind.PDU.text("system_id") != "trunk" || bind.PDU.text("password") != "secret" || bind.PDU.number("interface_version") != 0x34 {
		t.Errorf("bind_transceiver: %v", bind.PDU)
	}
	eventually(t, "the carrier is bound", func() bool { st := s.status(); return len(st.Carriers) == 1 && st.Carriers[0].Bound == 1 })

	// A keyword, its answer, and the report about that.
	n.takes("deliver_sm", writes(anna, "START"))
	sent := n.gets("submit_sm")
	if text, _ := sent.PDU.message(); text != question || sent.PDU.number("registered_delivery") != 1 ||
		sent.PDU.text("source_addr") != ours || sent.PDU.text("destination_addr") != anna || sent.PDU.number("dest_addr_ton") != 1 {
		t.Errorf("submit_sm: %v", sent.PDU)
	}
	n.reports(sent.MessageID, anna, "DELIVRD")
	eventually(t, "the answer is known to be delivered", func() bool { return s.flow("shoe-offer").element("ask").Delivered == 1 })

	// Throttled once, then accepted: sent once as far as anybody counts.
	n.tell(map[string]any{"refuse": "submit_sm", "status": pdu.ESME_RTHROTTLED, "times": 1})
	n.takes("deliver_sm", writes(anna, "42"))
	for _, want := range []pdu.Status{pdu.ESME_RTHROTTLED, pdu.ESME_ROK} {
		sent = n.gets("submit_sm")
		if text, _ := sent.PDU.message(); text != thanks42 || pdu.Status(sent.Status) != want {
			t.Errorf("submit_sm was answered with %#x: %v", sent.Status, sent.PDU)
		}
	}
	n.reports(sent.MessageID, anna, "UNDELIV")
	eventually(t, "the answer is known to have failed", func() bool { return s.flow("shoe-offer").element("thank").Failed == 1 })
	if e := s.flow("shoe-offer").element("thank"); e.Sent != 1 || e.Delivered != 0 {
		t.Errorf("thank: %+v", e)
	}

	// The connection ends without a word: it is bound again.
	n.tell(map[string]any{"drop": true})
	n.gets("bind_transceiver")
	eventually(t, "the carrier is bound again", func() bool { return s.status().Carriers[0].Bound == 1 })
	n.takes("deliver_sm", writes(boris, "START"))
	if text, _, parts := n.whole("submit_sm", boris); text != question || parts != 1 {
		t.Errorf("%q came", text)
	}
	g.signal(syscall.SIGTERM)
	n.gets("unbind")
	g.wait(t)
}

// reports delivers a receipt in the words of SMPP 3.4 Appendix B, and nothing
// but them.
func (n *node) reports(id, phone, state string) {
	n.Helper()
	text := fmt.Sprintf("id:%s sub:001 dlvrd:001 submit date:2606011200 done date:2606011201 stat:%s err:000 text:Welcome", id, state)
	n.takes("deliver_sm", writes(phone, text, "esm_class", 4))
}
