package outbound

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestReadReply(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"250 ok\r\n":                            "250 ok",
		"250\r\n":                               "250 ",
		"250-2.0.0 one\r\n250 2.0.0 two\r\n":    "250 2.0.0 one two",
		"550 5.1.1 no\n":                        "550 5.1.1 no",
		"550 4.1.1 another class\r\n":           "550 4.1.1 another class",
		"354 3.0.0 go\r\n":                      "354 3.0.0 go",
		"421 4.3.2 \x00\x1b[31mred\xff\r\n":     "421 4.3.2 ??[31mred?",
		"250 5.0.0.0 x\r\n":                     "250 5.0.0.0 x",
		"250-a\r\n251 b\r\n":                    "",
		"25 ok\r\n":                             "",
		"600 ok\r\n":                            "",
		"150 ok\r\n":                            "",
		"250_ok\r\n":                            "",
		"\r\n":                                  "",
		"250-a\r\n":                             "",
		"250 x":                                 "",
		strings.Repeat("250-x\r\n", 200):        "",
		"250 " + strings.Repeat("x", 5000):      "",
		"250 ok\r\n250 and another reply\r\n x": "250 ok",
	} {
		r, err := readReply(bufio.NewReaderSize(strings.NewReader(text), replyLineMost))
		got := ""
		if err == nil {
			got = r.status() + " " + r.text
		}
		if got != want {
			t.Errorf("%.40q: %q, %v", text, got, err)
		}
	}
}

// Whatever a server says, what is kept of it is bounded and fit for a log.
func FuzzReadReply(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "250-2.0.0 a\r\n250 2.0.0 b\r\n", "550 5.1.1 <x\x00>\r\n", "220\n", "334 VXNlcm5hbWU6\r\n", "250-\xff\xfe\r\n250 \r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := readReply(bufio.NewReaderSize(bytes.NewReader(b), replyLineMost))
		if err != nil {
			return
		}
		if r.code < 200 || r.code > 599 || len(r.text) > replyTextMost+1 || strings.ContainsFunc(r.text, unprintable) {
			t.Fatalf("%+v", r)
		}
		readExtensions(r.lines)
		throttles(delivery{stageRcpt, r, nil})
		outcome(delivery{stageRcpt, r, nil}, 0)
	})
}

// A message arrives as it was, but for its line ends, whatever is in it.
func TestWire(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		msg := []byte(rapid.StringOfN(rapid.SampledFrom([]rune("a.\r\n\x00é")), 0, 60, -1).Draw(t, "message"))
		flat := normalise(msg)
		for i, c := range flat {
			if c == '\n' && (i == 0 || flat[i-1] != '\r') || c == '\r' && (i+1 == len(flat) || flat[i+1] != '\n') {
				t.Fatalf("a bare line end at %d of %q", i, flat)
			}
		}
		if !bytes.HasSuffix(flat, crlf) || !bytes.Equal(normalise(flat), flat) {
			t.Fatalf("%q", flat)
		}
		wire := append(appendStuffed(nil, flat), endOfData...)
		if i := bytes.Index(append([]byte("\r\n"), wire...), []byte("\r\n.\r\n")); i+3 != len(wire) {
			t.Fatalf("%q ends at %d", wire, i)
		}
		var got []byte
		for line := range strings.Lines(string(wire[:len(wire)-3])) {
			got = append(got, strings.TrimPrefix(line, ".")...)
		}
		if !bytes.Equal(got, flat) {
			t.Fatalf("%q arrives as %q", flat, got)
		}
	})
}
