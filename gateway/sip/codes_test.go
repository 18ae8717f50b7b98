package sip

import (
	"strings"
	"testing"
	"time"

	"trunkline/gateway/sip/message"
)

// refusals are requests that are answered without a call: what is changed in a
// good INVITE, and what comes back.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		trunk   []string
		config  string
		change  func(c *call)
		method  string
		body    string
		headers []string
		code    string
		header  string // what the answer has to say besides
	}{
		"400 no CSeq number":              {headers: []string{"CSeq: x INVITE"}, code: "400"},
		"400 malformed SDP":               {body: "v=1\n", headers: []string{"Content-Type: application/sdp"}, code: "400"},
		"400 session interval":            {headers: []string{"Session-Expires: soon"}, code: "400"},
		"400 headers in the Request-URI":  {change: func(c *call) { c.target += "?Subject=x" }, code: "400"},
		"400 two Contacts, one broken":    {headers: []string{"Contact: <sip:a@b"}, code: "400"},
		"401 with a challenge":            {trunk: []string{"authenticate: {username: a, password: b}"}, code: "401", header: "WWW-Authenticate"},
		"403 a caller that is refused":    {trunk: []string{"caller_id: {refuse: [\"+38591*\"]}"}, code: "403"},
		"405 a method that we don't take": {method: "MESSAGE", code: "405", header: "Allow: INVITE"},
		"406 nothing acceptable":          {headers: []string{"Accept: text/html"}, code: "406"},
		"415 content that is not read":    {body: "x", headers: []string{"Content-Type: text/plain"}, code: "415", header: "Accept: application/sdp"},
		"415 compressed content":          {body: offerText, headers: []string{"Content-Type: application/sdp", "Content-Encoding: gzip"}, code: "415", header: "Accept-Encoding: identity"},
		"416 another scheme":              {change: func(c *call) { c.target = "mailto:a@b" }, code: "416"},
		"420 an extension":                {headers: []string{"Require: 100rel, holography"}, code: "420", header: "Unsupported: holography"},
		"421 an extension that we want":   {trunk: []string{"reliable_provisional: required"}, code: "421", header: "Require: 100rel"},
		"422 a short session":             {trunk: []string{"min_se: 2m"}, headers: []string{"Supported: timer", "Session-Expires: 90"}, code: "422", header: "Min-SE: 120"},
		"481 no such call":                {change: func(c *call) { c.toTag = "nobody" }, code: "481"},
		"481 BYE out of nowhere":          {method: "BYE", code: "481"},
		"481 CANCEL of nothing":           {method: "CANCEL", code: "481"},
		"482 our own request":             {headers: []string{"Via: SIP/2.0/UDP 192.0.2.1;branch=OURS"}, code: "482"},
		"483 at the end of its way":       {headers: []string{"Max-Forwards: 0"}, code: "483"},
		"484 no number":                   {change: func(c *call) { c.target = "sip:192.0.2.1" }, code: "484"},
		"488 no codec":                    {body: strings.ReplaceAll(offerText, "8 0 101", "18"), headers: []string{"Content-Type: application/sdp"}, code: "488", header: "Warning: 305 trunkline"},
		"488 no sound":                    {body: strings.ReplaceAll(offerText, "m=audio 4000 RTP/AVP 8 0 101", "m=image 4000 udptl t38"), headers: []string{"Content-Type: application/sdp"}, code: "488", header: "Warning"},
		"501 a method that nobody knows":  {method: "DANCE", code: "501", header: "Allow"},
		"503 too many calls":              {config: "max_calls: 1", code: "503", header: "Retry-After"},
		"503 too many calls of the trunk": {trunk: []string{"limits: {calls: 1}"}, code: "503", header: "Retry-After"},
		"503 too many calls per second":   {trunk: []string{"limits: {calls_per_second_in: 1}"}, code: "503", header: "Retry-After"},
		"503 too many over all":           {config: "calls_per_second: 1", code: "503", header: "Retry-After"},
		"505 another version":             {change: func(c *call) { c.version = "SIP/3.0" }, code: "505"},
		"513 too large":                   {config: "max_message: 4096", headers: []string{"X: " + strings.Repeat("x", 4096)}, code: "513"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, plainConfig+c.config, phoneTrunk(c.trunk...), func(w *world) {
				w.host.do = func(l *Leg) { l.Answer(ourMedia) }
				if c.code == "503" {
					c, _ := w.establish()
					c.request("OPTIONS", "") // not a call: passes
					w.phone.expect("200")
				}
				call := w.phone.newCall()
				if c.change != nil {
					c.change(call)
				}
				call.replace = c.headers
				for i, h := range c.headers {
					c.headers[i] = strings.Replace(h, "OURS", w.edge.mark+"1", 1)
				}
				method := c.method
				if method == "" {
					method = "INVITE"
				}
				call.cseq++
				call.inviteSeq, call.branch = 1, "z9hG4bK-"+strings.ReplaceAll(name, " ", "")
				call.send(call.text(method, 1, call.branch) + "\n\n" + c.body)
				m := w.phone.expect(c.code)
				if c.header != "" && !hasHeader(m, c.header) {
					t.Errorf("the answer has no %s: %+v", c.header, m.Headers)
				}
				if method == "INVITE" {
					call.ackFailure(m)
				}
				w.phone.quiet(40 * time.Second) // no repetition after ACK
			})
		})
	}
}

func hasHeader(m *message.Message, want string) bool {
	name, value, _ := strings.Cut(want, ": ")
	for _, h := range m.Headers {
		if strings.EqualFold(h.Text, name) && strings.HasPrefix(h.Value, value) {
			return true
		}
	}
	return false
}

// TestRejections: what the host refuses goes out with its code and a cause of
// Q.850, and is repeated until ACK comes.
func TestRejections(t *testing.T) {
	for code, cause := range map[int]string{
		404: "cause=1;", 480: "cause=18;", 484: "cause=28;", 486: "cause=17;", 500: "cause=41;", 503: "cause=41;", 600: "cause=17;", 603: "cause=21;",
	} {
		inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
			w.host.do = func(l *Leg) { l.Reject(code) }
			c := w.phone.newCall()
			c.invite(offerText)
			want := itoa(code)
			m := w.phone.expect(want)
			if !strings.Contains(m.Get(message.Reason), "Q.850;"+cause) {
				t.Errorf("%d says Reason %q", code, m.Get(message.Reason))
			}
			if (code == 500 || code == 503) != m.Has(message.RetryAfter) {
				t.Errorf("%d: Retry-After is %q", code, m.Get(message.RetryAfter))
			}
			begin := time.Now()
			w.phone.expect(want)
			w.phone.expect(want)
			if time.Since(begin) != 1500*time.Millisecond { // timer G
				t.Errorf("repeated within %s", time.Since(begin))
			}
			c.ackFailure(m)
			c.send(c.text("INVITE", 1, c.branch, "Content-Type: application/sdp") + "\n\n" + offerText) // late repetition: no new call
			w.phone.expect(want)
			if len(w.host.legs) != 1 {
				t.Error("a repetition was a new call")
			}
		})
	}
}

func TestOverload(t *testing.T) {
	inWorld(t, plainConfig+"source_rate: 10", phoneTrunk(), func(w *world) {
		for range 20 {
			c := w.phone.newCall()
			c.target = "sip:192.0.2.1"
			c.request("OPTIONS", "")
		}
		codes := map[int]int{}
		for {
			m, ok := w.phone.within(time.Second)
			if !ok {
				break
			}
			codes[m.Status]++
			if m.Status == 503 && !m.Has(message.RetryAfter) {
				t.Error("503 without Retry-After")
			}
		}
		if codes[200] != 1 || codes[503] != 19 { // a burst of a tenth of a second
			t.Errorf("answered with %v", codes)
		}
		time.Sleep(time.Second)
		c := w.phone.newCall()
		c.request("OPTIONS", "")
		w.phone.expect("200")
	})
}

func TestStrangersGetNothing(t *testing.T) {
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		stranger := w.newPhone(addr("203.0.113.9:5060"))
		c := stranger.newCall()
		c.invite(offerText)
		c.request("OPTIONS", "")
		stranger.quiet(time.Minute)
		if n := w.counter("trunkline_sip_dropped_total"); n != 2 {
			t.Errorf("%v dropped", n)
		}
		if len(w.edge.sources.buckets) != 0 {
			t.Error("a stranger left a trace")
		}
	})
}

func TestJunkIsBounded(t *testing.T) {
	inWorld(t, plainConfig, "trunk: wide\nfrom: [\"10.0.0.0/8\"]", func(w *world) {
		junk := w.newPhone(addr("10.0.0.1:5060"))
		for i := range 40000 {
			junk.conn.addr = addr4(10, byte(i>>16), byte(i>>8), byte(i))
			_, _ = junk.conn.WriteToUDPAddrPort([]byte("\x00\x01junk junk junk\r\n\r\n"), ourAddr)
			if i%500 == 0 {
				w.wait()
			}
		}
		w.wait()
		if n := len(w.edge.sources.buckets); n > maxSources {
			t.Errorf("%d sources are kept", n)
		}
		if n := w.counter("trunkline_sip_dropped_total"); n < 39000 {
			t.Errorf("%v dropped", n)
		}
	})
}

func TestListenerIsOpenedAgain(t *testing.T) {
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		w.wire.conns[ourAddr].fail <- errNoPath
		w.wait()
		c := w.phone.newCall()
		c.request("OPTIONS", "")
		w.phone.expect("200")
		if n := w.counter("trunkline_sip_listeners_reopened_total"); n != 1 {
			t.Errorf("%v times", n)
		}
	})
}

func TestPanicEndsOneCall(t *testing.T) {
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		w.host.do = func(*Leg) { panic("bug") }
		c := w.phone.newCall()
		c.invite(offerText)
		c.ackFailure(w.phone.expect("500"))
		w.host.do = nil
		w.establish()
		if n := w.counter("trunkline_sip_panics_total"); n != 1 {
			t.Errorf("%v panics", n)
		}
	})
}

// TestBehind: when new calls are looked at too late, further ones get 503 until
// that is over; calls that stand go on.
func TestBehind(t *testing.T) {
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		c, _ := w.establish()
		w.edge.load.waiting.Add(1)
		w.edge.load.delay.Store(int64(time.Second))
		d := w.phone.newCall()
		d.invite(offerText)
		d.ackFailure(w.phone.expect("503"))
		c.request("BYE", "")
		w.phone.expect("200")
		w.edge.load.note(time.Millisecond)
		w.establish()
	})
}
