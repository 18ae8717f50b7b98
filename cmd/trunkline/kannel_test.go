package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// kannel is Kannel as a carrier that binds in: bearerbox speaks SMPP, smsbox
// hands what comes to a web server of the test and takes what is sent over HTTP.
type kannel struct {
	*testing.T
	sendsms string // URL
	web     string // URL of the test's server
	mo, dlr chan url.Values
}

// startKannel binds Kannel to an SMPP address as a transceiver.
func startKannel(t *testing.T, smpp string) *kannel {
	t.Helper()
	bearerbox := need(t, "Kannel (bearerbox)", "bearerbox", "/usr/sbin/bearerbox")
	smsbox := need(t, "Kannel (smsbox)", "smsbox", "/usr/sbin/smsbox")
	k := &kannel{T: t, mo: make(chan url.Values, 100), dlr: make(chan url.Values, 100)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /mo", func(_ http.ResponseWriter, r *http.Request) { k.mo <- r.URL.Query() })
	mux.HandleFunc("GET /dlr", func(_ http.ResponseWriter, r *http.Request) { k.dlr <- r.URL.Query() })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	k.web = server.URL
	host, port, err := net.SplitHostPort(smpp)
	if err != nil {
		t.Fatal(err)
	}
	admin, box, web := freePort(t), freePort(t), freePort(t)
	dir := t.TempDir()
	conf := filepath.Join(dir, "kannel.conf")
	text := fmt.Sprintf(`group = core
admin-interface = 127.0.0.1
admin-port = %s
admin-password = test
smsbox-port = %s
box-allow-ip = 127.0.0.1
dlr-storage = internal
log-level = 1

group = smsc
smsc = smpp
smsc-id = trunkline
host = %s
port = %s
transceiver-mode = true
smsc-username = demo
smsc-password = demo
system-type = ""
reconnect-delay = 1
source-addr-ton = 1
source-addr-npi = 1
dest-addr-ton = 1
dest-addr-npi = 1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = %s
sendsms-interface = 127.0.0.1
log-level = 1

group = sendsms-user
username = test
password = test
concatenation = true
max-messages = 10

group = sms-service
keyword = default
get-url = "%s/mo?from=%%p&to=%%P&text=%%b&coding=%%c&charset=%%C"
accepted-smsc = trunkline
max-messages = 0
catch-all = true
`, admin, box, host, port, web, server.URL)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k.start(dir, bearerbox, conf, box)
	k.start(dir, smsbox, conf, web)
	k.sendsms = "http://127.0.0.1:" + web + "/cgi-bin/sendsms"
	return k
}

// start runs one of Kannel's programs until it listens on a port.
func (k *kannel) start(dir, program, conf, port string) {
	k.Helper()
	cmd := exec.Command(program, conf)
	cmd.Dir = dir
	p := startProcess(k, cmd)
	eventually(k, program+" listens", func() bool {
		if p.ended() {
			k.Fatalf("%s ended: %s%s", program, p.out.end(), p.errs.end())
		}
		conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// send hands a text to Kannel, which submits it to us.
func (k *kannel) send(from, text string, more ...string) {
	k.Helper()
	q := url.Values{"username": {"test"}, "password": {"test"}, "from": {from}, "to": {ours}, "text": {text}, "charset": {"UTF-8"}}
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	eventually(k, "Kannel takes the message", func() bool {
		res, err := http.Get(k.sendsms + "?" + q.Encode())
		if err != nil {
			k.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusAccepted // 503 until it is bound
	})
}

// hears expects a text from us, and returns its coding.
func (k *kannel) hears(phone, text string) (coding string) {
	k.Helper()
	q := receive(k, "the answer at Kannel", k.mo)
	got := q.Get("text")
	if q.Get("charset") == "UTF-16BE" { // %b leaves UCS-2 as it is
		units := make([]uint16, len(got)/2)
		for i := range units {
			units[i] = binary.BigEndian.Uint16([]byte(got[2*i:]))
		}
		got = string(utf16.Decode(units))
	}
	if got != text || strings.TrimPrefix(q.Get("from"), "+") != ours || strings.TrimPrefix(q.Get("to"), "+") != phone {
		k.Errorf("Kannel got %q from %s to %s, not %q", got, q.Get("from"), q.Get("to"), text)
	}
	return q.Get("coding")
}

// echo answers every message with its text.
const echo = `flow: echo
entries:
  - {id: any, type: inbound_message, number: "38591000001", keywords: any, next: say}
elements:
  say: {type: send_sms, text: "You wrote: {{ inbound.text }}"}
`

// Kannel binds in, hands in what its subscribers write, and gets our answers.
func TestKannelBindsIn(t *testing.T) {
	t.Parallel()
	for _, concatenation := range []string{"udh8", "udh16"} {
		t.Run(concatenation, func(t *testing.T) {
			files := example(t)
			delete(files, "flows/any-keyword.yaml")
			files["flows/echo.yaml"] = echo
			files["carriers/demo.yaml"] += "concatenation: " + concatenation + "\n"
			s := newSite(t, files)
			g := s.start()
			k := startKannel(t, g.smpp)
			k.exchange(s)
			g.stop()
		})
	}
}

func (k *kannel) exchange(s *site) {
	k.Helper()
	// A keyword, with a receipt: 8 is the message centre's acceptance, 1 the delivery.
	k.send(anna, "START", "dlr-mask", "31", "dlr-url", k.web+"/dlr?type=%d&to=%p&answer=%A")
	k.hears(anna, question)
	k.send(anna, "42")
	k.hears(anna, thanks42)
	types := map[string]string{}
	for len(types) < 2 {
		q := receive(k, "the delivery report at Kannel", k.dlr)
		types[q.Get("type")] = q.Get("answer")
	}
	if answer, ok := types["1"]; !ok || !strings.Contains(answer, "stat:DELIVRD err:000") {
		k.Errorf("the reports at Kannel are %q", types)
	}
	if _, ok := types["8"]; !ok {
		k.Errorf("the reports at Kannel are %q", types)
	}
	if size := s.person(anna).Attributes["shoeSize"]; size != 42.0 {
		k.Errorf("the shoe size is %v", size)
	}
	long := strings.TrimSpace(strings.Repeat("All the letters of a long message. ", 10)) // 3 parts
	for i, c := range []struct {
		text, coding string
	}{
		{"plain", "0"},
		{"GSM: @£$ Ωäöüß {[~]} |^\\ €", "0"},
		{"Žuta mačka 猫 🐈", "2"},
		{long, "0"},
		{strings.ReplaceAll(long, "letters", "slova đ"), "2"},
	} {
		phone := fmt.Sprintf("38591111000%d", i)
		k.send(phone, c.text, "coding", c.coding)
		if coding := k.hears(phone, "You wrote: "+c.text); coding != c.coding {
			k.Errorf("%q came in coding %s, not %s", c.text, coding, c.coding)
		}
	}
	// Parts are counted as they were sent (M4).
	if e := s.flow("echo").element("say"); e.Total != 5 || e.Sent != 3+3+6 {
		k.Errorf("echo/say: %+v", e)
	}
}
