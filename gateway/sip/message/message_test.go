package message

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	oracle "github.com/emiago/sipgo/sip"
)

func wire(lines ...string) []byte { return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n") }

// full is a request with everything that is awkward and right.
var full = append(wire(
	"INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0", "TO :", " sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n",
	`from   : "J Rosenberg \\\""       <sip:jdrosen@example.com>`, "  ;", "  tag = 98asjd8", "MaX-fOrWaRdS: 0068", "i: wsinv.ndaksdj@192.0.2.1", "Content-Length   : 5",
	"cseq: 0009", "  INVITE", "Via  : SIP  /   2.0", " /UDP", "    192.0.2.2;branch=390skdjuw", "v:  SIP  / 2.0  / TCP     spindle.example.com   ;",
	"  branch  =   z9hG4bK9ikj8  ,", " SIP  /    2.0   / UDP  192.168.255.111   ; branch=", " z9hG4bK30239", `m:"Quoted, string \"\"" <sip:jdrosen@example.com> ; newparam =`,
	"      newvalue ;", "  secondparam ; q = 0.33", "X: ;;,,;;,;",
), "hello and what follows"...)

func TestParse(t *testing.T) {
	m, err := Parse(full)
	if err != nil {
		t.Fatal(err)
	}
	if m.Method != "INVITE" || m.Body != "hello" || m.Get(CallID) != "wsinv.ndaksdj@192.0.2.1" {
		t.Errorf("%+v", m)
	}
	to, err := ParseAddress(m.Get(To))
	if err != nil || to.Tag() != "1918181833n" || to.URI != "sip:vivekg@chair-dnrc.example.com" {
		t.Errorf("To %+v, %v", to, err)
	}
	from, err := ParseAddress(m.Get(From))
	if err != nil || from.Tag() != "98asjd8" || from.Display != `J Rosenberg \"` {
		t.Errorf("From %+v, %v", from, err)
	}
	via, err := m.TopVia()
	if err != nil || via.Transport != "UDP" || via.Host != "192.0.2.2" || via.Branch() != "390skdjuw" {
		t.Errorf("Via %+v, %v", via, err)
	}
	n := 0
	m.Each(ViaHeader, func(v string) bool {
		n++
		_, err := ParseVia(v)
		return err == nil
	})
	if n != 3 {
		t.Errorf("%d Vias", n)
	}
	seq, method, err := m.Sequence()
	if err != nil || seq != 9 || method != "INVITE" {
		t.Errorf("CSeq %d %s %v", seq, method, err)
	}
	var contacts []Address
	m.Each(Contact, func(v string) bool {
		a, err := ParseAddress(v)
		contacts = append(contacts, a)
		return err == nil
	})
	if q, _ := contacts[0].Params.Get("Q"); len(contacts) != 1 || q != "0.33" || contacts[0].Display != `Quoted, string ""` {
		t.Errorf("%+v", contacts)
	}
}

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		in      []byte
		partial bool // enough was understood for a reply
	}{
		"nothing":             {nil, false},
		"no line end":         {[]byte("INVITE sip:a@b SIP/2.0"), false},
		"bare LF":             {[]byte("INVITE sip:a@b SIP/2.0\nVia: x\n\n"), false},
		"a response too high": {wire("SIP/2.0 4294967301 x"), false},
		"two blanks":          {wire("INVITE  sip:a@b SIP/2.0", "Call-ID: 1"), true},
		"blank at the end":    {wire("INVITE sip:a@b SIP/2.0 ", "Call-ID: 1"), true},
		"no version":          {wire("INVITE sip:a@b", "Call-ID: 1"), true},
		"header without name": {wire("INVITE sip:a@b SIP/2.0", ": x", "Call-ID: 1"), true},
		"no colon":            {wire("INVITE sip:a@b SIP/2.0", "Foobar roobar", "Call-ID: 1"), true},
		"length below zero":   {wire("INVITE sip:a@b SIP/2.0", "Content-Length: -1", "Call-ID: 1"), true},
		"two lengths":         {wire("INVITE sip:a@b SIP/2.0", "Content-Length: 0", "l: 0", "Call-ID: 1"), true},
		"length too long":     {wire("INVITE sip:a@b SIP/2.0", "Content-Length: 1", "Call-ID: 1"), true},
		"headers do not end":  {[]byte("INVITE sip:a@b SIP/2.0\r\nCall-ID: 1\r\n"), true},
		"too many headers":    {wire("INVITE sip:a@b SIP/2.0", "Call-ID: 1", strings.Repeat("X: y\r\n", 300)), true},
	} {
		m, err := Parse(c.in)
		var f *Fault
		if !errors.As(err, &f) || f.Code != 400 {
			t.Errorf("%s: %v", name, err)
		}
		if (m != nil) != c.partial || m != nil && m.Get(CallID) != "1" {
			t.Errorf("%s: read %+v", name, m)
		}
	}
}

func TestAddresses(t *testing.T) {
	for in, want := range map[string]string{
		`<sip:a@b>`:                        "|sip:a@b|",
		`"A, B" <sip:a@b;x=y>;tag=1`:       "A, B|sip:a@b;x=y|1",
		`caller<sip:a@b>;tag=1`:            "caller|sip:a@b|1",
		`sip:a@b;tag=1`:                    "|sip:a@b|1",
		`token1~` + "`" + ` t2 <sip:a@b>`:  "token1~` t2|sip:a@b|",
		`<tel:+1>;a="b;tag=2";tag=1`:       "|tel:+1|1",
		`sip:a@b?x=y`:                      "error",
		`sip:a@b, sip:c@d`:                 "error",
		`Bell, Alexander <sip:a@b>;tag=43`: "error",
		`"Watson" < sip:a@b >`:             "error",
		`"Mr. J. <sip:a@b>`:                "error",
		`"Joe" <sip:a@b>;;;;`:              "error",
		`<sip:a@b`:                         "error",
		`<>`:                               "error",
		``:                                 "error",
		`<sip:a@b>x`:                       "error",
		`<sip:a@b>;=1`:                     "error",
	} {
		a, err := ParseAddress(in)
		got := a.Display + "|" + a.URI + "|" + a.Tag()
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestURIs(t *testing.T) {
	for in, want := range map[string]string{
		"sip:a@b":                         "sip|a|b|0",
		"SIPS:a:secret@b:5061":            "sips|a|b|5061",
		"sip:b":                           "sip||b|0",
		"sip:sips%3Auser%40x@example.net": "sip|sips:user@x|example.net|0",
		"sip:user;par=u%40example.net@example.com":             "sip|user;par=u@example.net|example.com|0",
		"sip:+385;phone-context=x@b;user=phone":                "sip|+385;phone-context=x|b|0",
		"sip:a@[2001:db8::1]:5070;transport=tcp":               "sip|a|2001:db8::1|5070",
		"tel:+385-91;ext=1":                                    "tel|+385-91||0",
		"sip:1_u.~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+x@h.": "sip|1_u.~(to-be!sure)&isn't+it$/crazy?,/;;*|h.|0",
		"mailto:a@b": "416", "nobody:x": "416", "soap.beep://1.2.3.4:3002": "416",
		"sip:": "400", "sip:@b": "400", "sip:a@": "400", "sip:a@b:0": "400", "sip:a@b:99999": "400", "sip:a%4@b": "400", "<sip:a@b>": "400", "a@b": "400",
		"sip:a@[::x]": "400", "sip:a@b c": "400", ":x": "400", "tel:": "400",
	} {
		u, err := ParseURI(in)
		got := u.Scheme + "|" + u.User + "|" + u.Host + "|" + string(rune('0'+u.Port%10))
		var f *Fault
		switch {
		case errors.As(err, &f) && f.Code == 416:
			got = "416"
		case err != nil:
			got = "400"
		case u.Port > 9:
			got = strings.TrimSuffix(got, string(rune('0'+u.Port%10))) + map[int]string{5061: "5061", 5070: "5070"}[u.Port]
		}
		if got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestEscapeUser(t *testing.T) {
	for in, want := range map[string]string{"+385": "+385", "a b@c": "a%20b%40c", "#31#": "%2331%23"} {
		if got := EscapeUser(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

func TestReply(t *testing.T) {
	source := netip.MustParseAddrPort("203.0.113.9:4711")
	for in, want := range map[string]string{
		"SIP/2.0/UDP 10.0.0.1:5060;branch=1":            "SIP/2.0/UDP 10.0.0.1:5060;branch=1;received=203.0.113.9",
		"SIP/2.0/UDP 10.0.0.1;rport;branch=1":           "SIP/2.0/UDP 10.0.0.1;branch=1;received=203.0.113.9;rport=4711",
		"SIP/2.0/UDP 203.0.113.9:5060;branch=1":         "SIP/2.0/UDP 203.0.113.9:5060;branch=1",
		"SIP/2.0/UDP 10.0.0.1;branch=1, SIP/2.0/UDP b":  "SIP/2.0/UDP 10.0.0.1;branch=1;received=203.0.113.9, SIP/2.0/UDP b",
		"SIP/2.0/UDP 10.0.0.1;received=9.9.9.9;rport=1": "SIP/2.0/UDP 10.0.0.1;received=9.9.9.9;rport=1",
	} {
		req, err := Parse(wire("OPTIONS sip:a@b SIP/2.0", "Via: "+in, "From: <sip:a@b>;tag=1", "To: <sip:c@d>", "Call-ID: x", "CSeq: 1 OPTIONS"))
		if err != nil {
			t.Fatal(err)
		}
		m, err := Parse(AppendBody(AppendReplyHead(nil, req, 200, "OK", "t", source), "", nil))
		if err != nil || m.Get(ViaHeader) != want || m.Get(To) != "<sip:c@d>;tag=t" {
			t.Errorf("%s: %s, %v", in, m.Get(ViaHeader), err)
		}
	}
}

func TestAValueBeginsNoOtherHeader(t *testing.T) {
	if got := string(Append(nil, "X", "a\r\nVia: b")); got != "X: a  Via: b\r\n" {
		t.Errorf("%q", got)
	}
	if got := Quote("a\"\r\nb"); got != `"a\"b"` {
		t.Errorf("%q", got)
	}
}

func TestLook(t *testing.T) {
	g, ok := Look(full)
	if !ok || !g.Answerable() {
		t.Fatal("not seen")
	}
	m, err := Parse(g.AppendReply(nil, 503, "Service Unavailable", "t", 5, netip.MustParseAddrPort("192.0.2.2:5060")))
	if err != nil || m.Status != 503 || m.Get(CallID) != "wsinv.ndaksdj@192.0.2.1" || m.Get(RetryAfter) != "5" {
		t.Errorf("%+v, %v", m, err)
	}
	for _, in := range []string{"", "\r\n\r\n", "SIP/2.0 200 OK\r\n", "junk", "\x00\x01 :\r\n"} {
		if _, ok := Look([]byte(in)); ok {
			t.Errorf("%q is a request", in)
		}
	}
}

// FuzzParse: nothing panics, what we write is read again, and where the module
// sipgo reads a message both see the same.
func FuzzParse(f *testing.F) {
	f.Add(full)
	f.Add(wire("SIP/2.0 200 OK", "Via: SIP/2.0/UDP a;branch=z9hG4bK1", "From: <sip:a@b>;tag=1", "To: <sip:a@b>;tag=2", "Call-ID: 1", "CSeq: 1 INVITE", "Content-Length: 0"))
	f.Add(wire("OPTIONS sip:a@[::1]:5060;lr SIP/2.0", "v: SIP/2.0/TLS [::1]:5061;rport", "f: a <sip:a@b>;tag=1", "t: sip:b", "i: 1", "CSeq: 2147483647 OPTIONS", "Route: <sip:a;lr>, <sip:b>"))
	f.Fuzz(func(t *testing.T, in []byte) {
		source := netip.MustParseAddrPort("192.0.2.2:5060")
		if g, ok := Look(in); ok {
			if m, _ := Parse(g.AppendReply(nil, 400, "Bad Request", "t", 1, source)); m == nil || m.Status != 400 {
				t.Fatalf("our reply to what we glanced at cannot be read")
			}
		}
		if n, err := Length(in); err == nil && n < 0 {
			t.Fatal("a length below zero")
		}
		m, err := Parse(in)
		if m == nil {
			return
		}
		for i := range m.Headers {
			if a, err := ParseAddress(m.Headers[i].Value); err == nil {
				_, _ = ParseURI(a.URI)
			}
		}
		_, _ = ParseURI(m.URI)
		_, _ = m.TopVia()
		if m.IsRequest() {
			back, err := Parse(AppendBody(AppendReplyHead(nil, m, 200, "OK", "t", source), "", nil))
			if err != nil || back.Get(CallID) != m.Get(CallID) {
				t.Fatalf("our reply is not understood: %v", err)
			}
		}
		if err != nil {
			return
		}
		theirs, err := oracle.ParseMessage(in)
		if err != nil {
			return
		}
		if id := theirs.CallID(); id != nil && id.Value() != m.Get(CallID) {
			t.Fatalf("Call-ID is %q to us and %q to sipgo", m.Get(CallID), id.Value())
		}
		if c := theirs.CSeq(); c != nil {
			if seq, method, err := m.Sequence(); err == nil && (seq != c.SeqNo || method != strings.TrimSpace(string(c.MethodName))) {
				t.Fatalf("CSeq is %d %s to us and %d %s to sipgo", seq, method, c.SeqNo, c.MethodName)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	in := wire("INVITE sip:+38512345@192.0.2.1 SIP/2.0", "Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1", "Max-Forwards: 70", "From: <sip:a@b>;tag=1", "To: <sip:+38512345@192.0.2.1>",
		"Call-ID: 1@a", "CSeq: 1 INVITE", "Contact: <sip:phone@198.51.100.7:5060>", "Allow: INVITE, ACK, BYE", "Supported: timer, 100rel", "Content-Length: 0")
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			m, err := Parse(in)
			if err != nil || m.Get(CallID) == "" {
				b.Fatal(err)
			}
		}
	})
	b.Run("sipgo", func(b *testing.B) {
		for b.Loop() {
			if _, err := oracle.ParseMessage(in); err != nil {
				b.Fatal(err)
			}
		}
	})
}
