package smtp

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"trunkline/gateway"
	"trunkline/gateway/smtp/verp"
)

// deliver hands a mail over and returns the answer to it.
func (h *host) deliver(from, to, mail string) string {
	h.Helper()
	p := h.dial()
	p.expect("220")
	p.say("EHLO peer.example\r\n")
	p.expect("250")
	p.say(fmt.Sprintf("MAIL FROM:<%s>\r\n", from))
	p.expect("250")
	for _, rcpt := range strings.Fields(to) {
		p.say(fmt.Sprintf("RCPT TO:<%s>\r\n", rcpt))
		if answer := p.reply(); !strings.HasPrefix(answer, "250") {
			return answer
		}
	}
	p.say("DATA\r\n")
	p.expect("354")
	p.say(strings.ReplaceAll(strings.ReplaceAll(mail, "\r\n", "\n"), "\n", "\r\n") + "\r\n.\r\n")
	return p.reply()
}

// letterOf is a notice in the form of notice/testdata, with something else in it.
func letterOf(t *testing.T, name string, change ...string) string {
	t.Helper()
	raw, err := os.ReadFile("notice/testdata/" + name + ".eml")
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(change...).Replace(string(raw))
}

const sampleToken = "b-uvqukjym42z35pi52ajlookisj4sffsemoxx4oml"

// Bounces and complaints come to the core when they are about a mail of ours, which
// their recipient or their content must prove. Others are taken, counted, and nothing
// comes of them.
func TestReturns(t *testing.T) {
	ours, other := returns.Sign("mail 1"), verp.NewKey([]byte("somebody else's")).Sign("mail 1")
	sum := sha256.Sum256([]byte("mail 1"))
	messageID := strings.ToLower(base32.HexEncoding.EncodeToString(sum[:20]))
	report := func(state gateway.State, code, address string) *gateway.Report {
		return &gateway.Report{Channel: gateway.Email, Carrier: carrierName, Keys: []string{verp.Reference("mail 1")}, State: state, Code: code, Address: address}
	}
	complained := report(gateway.StateUnknown, "", "")
	complained.Complaint = true
	for _, test := range []struct {
		name, from, to, mail string
		want                 *gateway.Report
		kind                 kind
	}{
		{"to the return path", "", ours + "@bounces.example.com", letterOf(t, "qmail", sampleToken, other), report(gateway.Undeliverable, "5.1.1", "ana@b.example"), bounce},
		{"in capitals, from an address", "mailer-daemon@b.example", strings.ToUpper(ours) + "@EXAMPLE.com", letterOf(t, "exim"), report(gateway.Undeliverable, "5.7.1", "ana@b.example"), bounce},
		{"to a number, about a return path", "", "shop@example.com", letterOf(t, "postfix", sampleToken, ours), report(gateway.Undeliverable, "5.1.1", "ana@b.example"), bounce},
		{"to a number, about a Message-ID", "", "shop@example.com", letterOf(t, "delayed", "1@example.com", messageID+"@example.com"), report(gateway.Enroute, "4.4.1", "ana@b.example"), bounce},
		{"its time is over", "", ours + "@example.com", letterOf(t, "postfix", "Status: 5.1.1", "Status: 4.4.7", "550 5.1.1", "timed out", sampleToken, "x"), report(gateway.Expired, "4.4.7", "ana@b.example"), bounce},
		{"complaint", "abuse@provider.example", "shop@example.com", letterOf(t, "complaint", sampleToken, ours), complained, complaint},
		{"complaint to the return path", "abuse@provider.example", ours + "@example.com", letterOf(t, "complaint", sampleToken, other), complained, complaint},
		{"no complaint", "abuse@provider.example", ours + "@example.com", letterOf(t, "not-spam"), nil, autoReply},
		{"forged bounce", "", "shop@example.com", letterOf(t, "postfix", sampleToken, other), nil, bounce},
		{"forged complaint", "eve@evil.example", "shop@example.com", letterOf(t, "complaint", sampleToken, other), nil, complaint},
		{"out of office", "ana@b.example", ours + "@example.com", letterOf(t, "vacation"), nil, autoReply},
		{"a person who quotes a bounce", "ana@b.example", ours + "@example.com", letterOf(t, "person"), nil, autoReply},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := start(t, nil)
			if answer := h.deliver(test.from, test.to, test.mail); !strings.HasPrefix(answer, "250 ") {
				t.Fatal(answer)
			}
			got := h.core.reports()
			switch {
			case test.want == nil && len(got) > 0, test.want != nil && (len(got) != 1 || !reflect.DeepEqual(got[0], *test.want)):
				t.Errorf("the core hears %+v, not %+v", got, test.want)
			}
			if n := h.count("trunkline_smtp_messages_total", string(test.kind)); n != 1 || len(h.core.all()) > 0 {
				t.Errorf("%v of kind %s, %d to flows", n, test.kind, len(h.core.all()))
			}
		})
	}
}

// A forged return path is no address of ours, and none of ours leads anywhere else.
func TestForgedReturnPath(t *testing.T) {
	h := start(t, nil)
	forged := verp.NewKey([]byte("somebody else's")).Sign("mail 1")
	for to, want := range map[string]string{forged + "@example.com": "550 5.1.1", forged + "@elsewhere.example": "550 5.7.1"} {
		if answer := h.deliver("", to, "x"); !strings.HasPrefix(answer, want) {
			t.Errorf("%s: %s", to, answer)
		}
	}
	// What was not kept is sent again.
	h.core.refuse = gateway.ErrOverload
	if answer := h.deliver("", returns.Sign("mail 1")+"@example.com", letterOf(t, "qmail")); !strings.HasPrefix(answer, "450 4.3.1") {
		t.Error(answer)
	}
}
