package smtp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // the encodings of texts
	gomail "github.com/emersion/go-message/mail"
	gosmtp "github.com/emersion/go-smtp"

	"trunkline/gateway/smtp/notice"
)

// Bounds on what is looked at of a message.
const (
	nestingMost = 16 // multiparts in multiparts
	partsMost   = 500
	hopsMost    = 50        // Received fields (RFC 5321 §6.3)
	rawMost     = 256 << 10 // octets of a text part, before quotations are taken away
	textMost    = 16 << 10  // octets that flows see
	subjectMost = 1000
	idMost      = 1000
	filesMost   = 20 // whose names are kept
	// fileNameMost is in octets.
	fileNameMost = 100
)

// letter is a message as far as anybody here is interested in it.
type letter struct {
	kind    kind
	from    string // of the header, or else the return path
	id      string // Message-ID, or what tells the message apart when it has none
	subject string
	text    string         // what the writer wrote
	notice  *notice.Notice // what a machine says of other mails; nil: nothing
	// headerDomain is the domain of the From field's only address.
	headerDomain string
	properties   map[string]string // of gateway.Inbound
	files        []string          // names of what is attached
}

// refusals of a message's structure.
var (
	errHeader = &gosmtp.SMTPError{Code: 554, EnhancedCode: gosmtp.EnhancedCode{5, 6, 0}, Message: "The header is malformed or too large"}
	errNested = &gosmtp.SMTPError{Code: 554, EnhancedCode: gosmtp.EnhancedCode{5, 6, 0}, Message: "Too many parts within parts"}
	errLoop   = &gosmtp.SMTPError{Code: 554, EnhancedCode: gosmtp.EnhancedCode{5, 4, 6}, Message: "Too many hops: the message loops"}
)

// readLetter reads a message. An error is a refusal, or the reader's own. returned
// says that it came to a return path of ours, and to no address that people write to.
func readLetter(r io.Reader, returnPath string, returned bool, headerMost int) (*letter, error) {
	e, err := message.ReadWithOptions(r, &message.ReadOptions{MaxHeaderBytes: int64(headerMost)})
	if e == nil {
		var own *gosmtp.SMTPError
		if errors.As(err, &own) {
			return nil, err
		}
		return nil, errHeader
	}
	if hops := e.Header.FieldsByKey("Received"); hops.Len() > hopsMost {
		return nil, errLoop
	}
	l := &letter{kind: kindOf(&e.Header, returnPath)}
	l.from, l.headerDomain = sender(&e.Header, returnPath)
	l.subject = clean(decoded(&e.Header, "Subject"), subjectMost)
	l.subject = strings.Join(strings.Fields(l.subject), " ")
	if l.kind != fromPerson || returned {
		l.readNotice(e)
		return l, nil
	}
	b := body{}
	if err := b.read(e, 0); err != nil {
		return nil, err
	}
	l.text = clean(replyText(b.best()), textMost)
	l.files = b.files
	l.id = identity(&e.Header, l)
	return l, nil
}

// readNotice reads what no person has written, as far as it goes.
func (l *letter) readNotice(e *message.Entity) {
	n := notice.Read(e)
	switch {
	case n.Kind == notice.Delivery:
		l.kind, l.notice = bounce, n
	case n.Kind == notice.Complaint:
		l.kind, l.notice = complaint, n
	case n.Kind == notice.Feedback, l.kind == fromPerson:
		l.kind = autoReply // to an address that nobody knows but machines
	}
}

func decoded(h *message.Header, field string) string {
	s, err := h.Text(field)
	if err != nil {
		return h.Get(field)
	}
	return s
}

// sender is who wrote: the first address of From. It is what people know of each
// other; the return path is often a machine's.
func sender(h *message.Header, returnPath string) (from, domain string) {
	list, _ := (&gomail.Header{Header: *h}).AddressList("From")
	var valid []string
	for _, a := range list {
		if ValidAddress(a.Address) {
			valid = append(valid, a.Address)
		}
	}
	if len(valid) == 0 {
		return returnPath, ""
	}
	if h.FieldsByKey("From").Len() > 1 {
		return valid[0], ""
	}
	return valid[0], fromDomain(valid)
}

// identity tells a message apart from others, and is the same when it is sent again.
func identity(h *message.Header, l *letter) string {
	if id := strings.Trim(strings.TrimSpace(h.Get("Message-Id")), "<>"); id != "" && len(id) <= idMost {
		return id
	}
	date := h.Get("Date")
	if date == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(date + "\x00" + l.from + "\x00" + l.subject + "\x00" + l.text))
	return hex.EncodeToString(sum[:16])
}

// body collects the texts of a message: the first plain one and the first in HTML.
type body struct {
	plain, html string
	found       bool // a plain one
	parts       int
	files       []string // names of what is attached
}

func (b *body) best() string {
	if b.found {
		return b.plain
	}
	return htmlText(b.html)
}

// read goes through an entity and the parts in it.
func (b *body) read(e *message.Entity, depth int) error {
	if b.parts++; b.parts > partsMost || depth > nestingMost {
		return errNested
	}
	if parts := e.MultipartReader(); parts != nil {
		return b.readParts(parts, depth)
	}
	media, _, _ := e.Header.ContentType()
	disposition, _, _ := e.Header.ContentDisposition()
	media = strings.ToLower(media)
	b.attached(&e.Header, disposition, media)
	switch {
	case strings.EqualFold(disposition, "attachment"):
	case (media == "text/plain" || media == "") && !b.found:
		text, err := readText(e.Body)
		b.plain, b.found = text, strings.TrimSpace(text) != ""
		return err
	case media == "text/html" && b.html == "":
		text, err := readText(e.Body)
		b.html = text
		return err
	}
	return nil
}

// attached notes the name of a part that is a file, or its type when it has no name.
func (b *body) attached(h *message.Header, disposition, media string) {
	name, _ := (&gomail.AttachmentHeader{Header: *h}).Filename()
	switch {
	case len(b.files) >= filesMost:
	case name != "":
		b.files = append(b.files, clean(strings.Join(strings.Fields(name), " "), fileNameMost))
	case strings.EqualFold(disposition, "attachment"):
		b.files = append(b.files, clean(media, fileNameMost))
	}
}

// readParts goes through a multipart. One that breaks off is taken as far as it goes:
// whatever came counts.
func (b *body) readParts(parts message.MultipartReader, depth int) error {
	for {
		e, err := parts.NextPart()
		if e == nil {
			return ownError(err)
		}
		if err := b.read(e, depth+1); err != nil {
			return err
		}
	}
}

// readText reads a part, up to a bound. An encoding that breaks off ends the text.
func readText(r io.Reader) (string, error) {
	b, _ := texts.Get().(*bytes.Buffer)
	defer func() {
		if b.Cap() <= textKept {
			texts.Put(b)
		}
	}()
	b.Reset()
	_, err := b.ReadFrom(io.LimitReader(r, rawMost))
	raw := b.Bytes()
	kept := raw[:0]
	for i, c := range raw {
		if c != '\r' || i+1 == len(raw) || raw[i+1] != '\n' {
			kept = append(kept, c)
		}
	}
	return clean(string(kept), rawMost), ownError(err)
}

// texts are buffers that parts are read into; textKept bounds what one keeps.
var texts = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const textKept = 64 << 10

// ownError lets errors pass that are about the transmission, not the content.
func ownError(err error) error {
	var own *gosmtp.SMTPError
	if errors.As(err, &own) {
		return own
	}
	return nil
}

// clean makes valid UTF-8 of a text, without controls other than line breaks and
// tabs (NUL and escapes among them), and at most most octets.
func clean(s string, most int) string {
	if len(s) <= most && plain(s) {
		return s
	}
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' {
			return -1
		}
		return r
	}, s)
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// plain tells whether a text is printable ASCII, with line breaks and tabs, as most are.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < ' ' || c > '~') && c != '\n' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}
