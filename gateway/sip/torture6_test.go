package sip

import (
	"strings"
	"testing"
	"time"

	"trunkline/gateway/sip/message"
)

// torture6 are the messages of RFC 5118 (IPv6), written after its descriptions, and
// how each is answered. We are no registrar: a sound REGISTER gets 405.
var torture6 = []struct {
	name string
	want int
	text string
}{
	{"4.1 an IPv6 reference", 405, register("sip:[2001:db8::10]", "[2001:db8::9:1]", "<sip:caller@[2001:db8::1]>")},
	{"4.2 without its brackets", 400, register("sip:2001:db8::10", "[2001:db8::9:1]", "<sip:caller@[2001:db8::1]>")},
	{"4.3 a port that belongs to the address", 405, register("sip:[2001:db8::10:5070]", "[2001:db8::9:1]", "<sip:caller@[2001:db8::1]>")},
	{"4.4 a port of its own", 405, register("sip:[2001:db8::10]:5070", "[2001:db8::9:1]", "<sip:caller@[2001:db8::1]>")},
	{"4.5 received with brackets", 200, options("sip:[2001:db8::10]", "[2001:db8::9:1];received=[2001:db8::9:255]")},
	{"4.5 received without", 200, options("sip:[2001:db8::10]", "[2001:db8::9:1];received=2001:db8::9:255")},
	{"4.6 addresses in the description", 200, invite6("[2001:db8::20]", "[2001:db8::20]", "c=IN IP6 2001:db8::20", "m=audio 6000 RTP/AVP 0")},
	{"4.7 both families in the headers", 200, options("sip:user@[2001:db8::10]", "[2001:db8::9:1];received=[2001:db8::9:255]",
		"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKas3-111", "Via: SIP/2.0/UDP [2001:db8::20];received=[2001:db8::20];branch=z9hG4bKas3")},
	{"4.8 both families in the description", 200, invite6("[2001:db8::9:1]", "[2001:db8::20]", "c=IN IP6 2001:db8::1", "m=audio 5000 RTP/AVP 0", "c=IN IP4 192.0.2.1")},
	{"4.9 an IPv4 address that is mapped", 200, invite6("[::ffff:192.0.2.10]:19823", "[::ffff:192.0.2.10]:19823", "c=IN IP6 ::ffff:192.0.2.2", "m=audio 6000 RTP/AVP 0")},
	{"4.10 three colons, which no address has", 400, options("sip:user@[2001:db8:::192.0.2.1]", "[2001:db8::9:1]")},
}

func register(uri, via, contact string) string {
	return "REGISTER " + uri + " SIP/2.0\nTo: sip:user@example.com\nFrom: sip:user@example.com;tag=81x2\nVia: SIP/2.0/UDP " + via + ";branch=z9hG4bKas3-111\n" +
		"Call-ID: %s\nMax-Forwards: 70\nContact: " + contact + "\nCSeq: 98176 REGISTER\n\n"
}

func options(uri, via string, more ...string) string {
	return "OPTIONS " + uri + " SIP/2.0\nTo: sip:user@example.com\nFrom: sip:user@example.com;tag=81x2\nVia: SIP/2.0/UDP " + via + ";branch=z9hG4bKas3-%s\n" +
		strings.Join(append(more, ""), "\n") + "Call-ID: %s\nMax-Forwards: 70\nCSeq: 98176 OPTIONS\n\n"
}

func invite6(via, contact string, lines ...string) string {
	return "INVITE sip:user@[2001:db8::10] SIP/2.0\nTo: sip:user@example.com\nFrom: sip:user@example.com;tag=81x2\nVia: SIP/2.0/UDP " + via + ";branch=z9hG4bKas3-%s\n" +
		"Call-ID: %s\nMax-Forwards: 70\nContact: <sip:caller@" + contact + ">\nCSeq: 8612 INVITE\nContent-Type: application/sdp\n\n" +
		"v=0\no=assistant 971731711378798081 0 IN IP6 2001:db8::20\ns=Live video feed for today's meeting\n" + strings.Join(append(lines[:1:1], append([]string{"t=3338481189 3370017201"}, lines[1:]...)...), "\n") + "\n"
}

func TestTortureIPv6(t *testing.T) { // RFC 5118
	for _, c := range torture6 {
		inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
			w.host.do = func(l *Leg) { l.Answer(ourMedia) }
			w.phone.send(strings.ReplaceAll(c.text, "%s", "torture6"))
			status := 0
			for {
				m, ok := w.phone.within(time.Second)
				if !ok {
					break
				}
				if m.Status > 100 {
					status = m.Status
				}
				if m.Status == 200 && strings.HasPrefix(c.name, "4.6") && !strings.Contains(m.Get(message.ViaHeader), "[2001:db8::20]") {
					t.Errorf("%s: Via came back as %s", c.name, m.Get(message.ViaHeader))
				}
			}
			if status != c.want {
				t.Errorf("%s: answered with %d, want %d", c.name, status, c.want)
			}
			if panics := w.counter("trunkline_sip_panics_total"); panics != 0 {
				t.Errorf("%s: %v panics", c.name, panics)
			}
			w.stopCalls()
		})
	}
}

// What the tools of sipvicious send: svmap looks for servers with OPTIONS, svwar for
// extensions with REGISTER, INVITE and OPTIONS, svcrack guesses passwords. A stranger
// hears nothing; from a trunk's own address every number and every guess looks alike.
func TestScanners(t *testing.T) {
	scan := func(method, user, auth string, n int) string {
		text := method + " sip:" + user + "@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK-" + itoa(n) + ";rport\n" +
			"From: \"sipvicious\"<sip:100@1.1.1.1>; tag=6331613831633661313363340131\nAccept: application/sdp\nUser-Agent: friendly-scanner\n" +
			"To: \"sipvicious\"<sip:" + user + "@1.1.1.1>\nContact: sip:" + user + "@198.51.100.7:5060\nCSeq: " + itoa(n+1) + " " + method + "\nCall-ID: " + itoa(1000+n) + "\nMax-Forwards: 70\n"
		return text + auth + "\n"
	}
	inWorld(t, plainConfig, phoneTrunk("authenticate: {username: pbx, password: secret}"), func(w *world) {
		called := false
		w.host.do = func(*Leg) { called = true }
		stranger := w.newPhone(addr("203.0.113.66:5060"))
		for i, method := range []string{"OPTIONS", "REGISTER", "INVITE", "OPTIONS"} {
			stranger.send(scan(method, itoa(100+i), "", i))
		}
		stranger.quiet(time.Minute)

		n := 10
		ask := func(method, user, auth string) (m *message.Message) {
			n++
			w.phone.send(scan(method, user, auth, n))
			for {
				got, ok := w.phone.within(time.Second)
				if !ok {
					return m
				}
				if got.Status > 100 {
					m = got
					if method == "INVITE" {
						w.phone.send("ACK sip:" + user + "@192.0.2.1 SIP/2.0\nVia: " + got.Get(message.ViaHeader) + "\nFrom: " + got.Get(message.From) + "\nTo: " +
							got.Get(message.To) + "\nCall-ID: " + got.Get(message.CallID) + "\nCSeq: " + itoa(n+1) + " ACK\nMax-Forwards: 70\n\n")
					}
				}
			}
		}
		for _, method := range []string{"REGISTER", "INVITE"} {
			seen := map[int]bool{}
			for _, user := range []string{"38512345", "100", "1000", "admin", "2147483647"} {
				m := ask(method, user, "")
				if m == nil {
					t.Fatalf("%s of %s got nothing", method, user)
				}
				seen[m.Status] = true
			}
			if want := map[string]int{"REGISTER": 405, "INVITE": 401}[method]; len(seen) != 1 || !seen[want] {
				t.Errorf("%s tells numbers apart: %v", method, seen)
			}
		}
		for i := range 50 { // svcrack
			m := ask("INVITE", "100", `Authorization: Digest username="pbx",realm="trunkline",nonce="A`+itoa(i)+`",uri="sip:100@192.0.2.1",response="`+strings.Repeat("0", 32)+`",algorithm=MD5`+"\n")
			if m == nil || m.Status != 401 || strings.Contains(m.Phrase, "password") {
				t.Fatalf("guess %d: %+v", i, m)
			}
		}
		if called {
			t.Error("a scanner's call came through")
		}
		if legs, _ := w.edge.table.count(); legs != 0 {
			t.Errorf("%d legs are left", legs)
		}
	})
}
