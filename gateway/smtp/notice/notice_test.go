package notice

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-message"
)

var update = flag.Bool("update", false, "rewrite what is expected in testdata")

func parse(raw string) *Notice {
	e, _ := message.ReadWithOptions(strings.NewReader(raw), &message.ReadOptions{MaxHeaderBytes: 1 << 16})
	if e == nil {
		return &Notice{}
	}
	return Read(e)
}

func (n *Notice) String() string {
	var b strings.Builder
	fmt.Fprintln(&b, [...]string{"no notice", "delivery", "complaint", "feedback"}[n.Kind], n.Feedback)
	for _, r := range n.Recipients {
		fmt.Fprintf(&b, "to %q %s %s: %s\n", r.Address, [...]string{"unknown", "failed", "delayed", "delivered", "relayed"}[r.Action], r.Status, r.Diagnostic)
	}
	for _, a := range n.About {
		fmt.Fprintln(&b, "about", a)
	}
	return b.String()
}

// Each file of testdata is a message; beside it stands what is read of it. They have
// the forms in which Postfix, qmail, Exim, sendmail, Exchange and providers write.
func TestNotices(t *testing.T) {
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{string(raw), strings.ReplaceAll(string(raw), "\n", "\r\n")} {
			got := parse(form).String()
			golden := strings.TrimSuffix(file, ".eml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s says\n%s\nnot\n%s", file, got, want)
			}
		}
	}
}

// A notice is bounded, however large what it is read from.
func TestBounds(t *testing.T) {
	const head = "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
	many := parse(head + strings.Repeat("\nFinal-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; "+strings.Repeat("x ", 400)+"\n", 1000))
	if len(many.Recipients) != recipientsMost || len(many.Recipients[0].Diagnostic) > textMost {
		t.Errorf("%d recipients", len(many.Recipients))
	}
	var nested strings.Builder
	for i := range 200 {
		fmt.Fprintf(&nested, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	if n := parse(nested.String() + "Content-Type: message/delivery-status\n\n\nAction: failed\n"); n.Kind != None {
		t.Errorf("deep inside: %v", n)
	}
	folded := parse(head + "\nAction: failed\nFinal-Recipient: rfc822; " + strings.Repeat("\n a", 20_000) + "\nStatus: 5.1.1\n")
	if len(folded.Recipients) != 1 || folded.Recipients[0].Status != "5.1.1" {
		t.Errorf("folded: %v", folded)
	}
}

func FuzzDSN(f *testing.F) {
	fuzz(f, "message/delivery-status", "qmail", "postfix", "exim", "exchange-2003")
}
func FuzzARF(f *testing.F) { fuzz(f, "message/feedback-report", "complaint", "not-spam") }
func FuzzText(f *testing.F) {
	fuzz(f, "text/plain", "qmail", "exchange-2007", "sendmail", "exim-delay")
}

// fuzz reads messages as they are, and their octets as a part of a type.
func fuzz(f *testing.F, media string, seeds ...string) {
	for _, name := range seeds {
		raw, err := os.ReadFile("testdata/" + name + ".eml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, form := range []string{string(raw), "Content-Type: " + media + "\r\n\r\n" + string(raw)} {
			n := parse(form)
			if len(n.Recipients) > recipientsMost || len(n.About) > aboutMost {
				t.Errorf("%d recipients, %d names", len(n.Recipients), len(n.About))
			}
			for _, r := range n.Recipients {
				if strings.ContainsAny(r.Diagnostic+r.Status, "\r\n") || r.Status != "" && status.FindString(r.Status) != r.Status {
					t.Errorf("of one recipient: %+v", r)
				}
			}
		}
	})
}
