package compose

import (
	"errors"
	"fmt"
	"mime"
	"net/mail"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"trunkline/gateway"
)

// valueMost bounds a header field, in octets.
const valueMost = 4 << 10

// header makes the fields of a mail's header, in the order in which they are written.
func header(m *gateway.Outbound) (lines [][]byte, err error) {
	mail := m.Mail
	from, err := address(m.From, mail.FromName)
	if err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	to, err := address(m.To, "")
	if err != nil {
		return nil, fmt.Errorf("recipient: %w", err)
	}
	if mail.Composed.IsZero() {
		return nil, errors.New("the mail has no date")
	}
	fields := []gateway.MailHeader{
		{Name: "From", Value: from},
		{Name: "To", Value: to},
		{Name: "Subject", Value: encoded(mail.Subject)},
		{Name: "Date", Value: mail.Composed.UTC().Format(time.RFC1123Z)},
		{Name: "Message-Id", Value: MessageID(m.ID, m.From)},
	}
	if mail.ReplyTo != "" {
		reply, err := replyTo(mail.ReplyTo)
		if err != nil {
			return nil, err
		}
		fields = append(fields, gateway.MailHeader{Name: "Reply-To", Value: reply})
	}
	if mail.Unsubscribe != "" {
		if !strings.HasPrefix(mail.Unsubscribe, "https://") && !strings.HasPrefix(mail.Unsubscribe, "http://") || strings.ContainsAny(mail.Unsubscribe, "<> ,") {
			return nil, fmt.Errorf("%q is no address for unsubscribing", mail.Unsubscribe)
		}
		fields = append(fields,
			gateway.MailHeader{Name: "List-Unsubscribe", Value: "<" + mail.Unsubscribe + ">"},
			gateway.MailHeader{Name: "List-Unsubscribe-Post", Value: "List-Unsubscribe=One-Click"}, // RFC 8058 §3.1
		)
	}
	further, err := furtherFields(mail.Headers)
	if err != nil {
		return nil, err
	}
	fields = append(fields, further...)
	fields = append(fields, gateway.MailHeader{Name: "Mime-Version", Value: "1.0"})
	if unfit(mail.Subject) { // before it was encoded
		return nil, errors.New("subject: a line end or a control character is in it")
	}
	for _, f := range fields {
		if unfit(f.Value) || len(f.Value) > valueMost {
			return nil, fmt.Errorf("header field %s: a line end or a control character is in it, or it is longer than %d octets", f.Name, valueMost)
		}
		line, err := folded(f.Name, f.Value)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// Lengths of a line without its end (RFC 5322 §2.1.1, RFC 2047 §2).
const (
	lineGood = 76
	lineMost = 998
)

// folded writes a field in lines that break at spaces (RFC 5322 §2.2.3).
func folded(name, value string) ([]byte, error) {
	out := append(make([]byte, 0, len(name)+len(value)+16), name+":"...)
	column := len(out)
	for _, word := range strings.Split(strings.TrimSpace(value), " ") {
		if column+1+len(word) > lineGood && word != "" && column > 1 {
			out = append(out, "\r\n"...)
			column = 0
		}
		out = append(append(out, ' '), word...)
		if column += 1 + len(word); column > lineMost {
			return nil, fmt.Errorf("header field %s: a word is longer than a line of a mail", name)
		}
	}
	return append(out, "\r\n"...), nil
}

// reserved are the fields that a mail has anyway, or that would make it another one.
var reserved = map[string]bool{
	"from": true, "sender": true, "to": true, "cc": true, "bcc": true, "subject": true, "date": true, "message-id": true, "reply-to": true,
	"mime-version": true, "list-unsubscribe": true, "list-unsubscribe-post": true, "dkim-signature": true, "return-path": true, "received": true,
}

// furtherFields checks the fields that a mail has of its own.
func furtherFields(all []gateway.MailHeader) (fields []gateway.MailHeader, err error) {
	for _, f := range all {
		name := strings.ToLower(f.Name)
		if name == "" || reserved[name] || strings.HasPrefix(name, "content-") || strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) >= 0 {
			return nil, fmt.Errorf("%q can't be a further header field", f.Name)
		}
		if unfit(f.Value) {
			return nil, fmt.Errorf("header field %s: a line end or a control character is in it", f.Name)
		}
		fields = append(fields, gateway.MailHeader{Name: f.Name, Value: encoded(f.Value)})
	}
	return fields, nil
}

// unfit tells whether a value would end its header field, or is none that a
// person reads.
func unfit(s string) bool {
	return !utf8.ValidString(s) || strings.IndexFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7F || r == '\u2028' || r == '\u2029' }) >= 0
}

// encoded is a text as a header has it (RFC 2047).
func encoded(s string) string { return mime.QEncoding.Encode("utf-8", s) }

// address writes an address with its display name. The domain is ASCII; a local part
// that is not needs a server with SMTPUTF8.
func address(value, name string) (string, error) {
	if unfit(value) || unfit(name) {
		return "", errors.New("a line end or a control character is in the address or its name")
	}
	a, err := mail.ParseAddress(value)
	if err != nil || a.Name != "" {
		return "", fmt.Errorf("%q is not an e-mail address", value)
	}
	at := strings.LastIndexByte(a.Address, '@')
	a.Address = a.Address[:at+1] + asciiDomain(a.Address[at+1:])
	a.Name = name
	return a.String(), nil
}

// replyTo writes where answers go.
func replyTo(value string) (string, error) {
	if unfit(value) {
		return "", errors.New("reply-to: a line end or a control character is in it")
	}
	a, err := mail.ParseAddress(value)
	if err != nil {
		return "", fmt.Errorf("reply-to: %q is not an e-mail address", value)
	}
	return address(a.Address, a.Name)
}

// asciiDomain is a domain in the letters that DNS has (RFC 5891).
func asciiDomain(domain string) string {
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
		return ascii
	}
	return domain
}

// withName is a header value with the name of a file (RFC 2231).
func withName(value, parameter, name string) string {
	if s := mime.FormatMediaType(value, map[string]string{parameter: name}); s != "" {
		return s
	}
	return value
}

// contentType is what a file is by its name. The table is ours: that of the system
// differs from machine to machine.
func contentType(name string) string {
	if t := types[strings.ToLower(path.Ext(name))]; t != "" {
		return t
	}
	return "application/octet-stream"
}

var types = map[string]string{
	".pdf": "application/pdf", ".zip": "application/zip", ".json": "application/json", ".xml": "application/xml",
	".doc": "application/msword", ".xls": "application/vnd.ms-excel", ".ppt": "application/vnd.ms-powerpoint",
	".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
	".odt":  "application/vnd.oasis.opendocument.text", ".ods": "application/vnd.oasis.opendocument.spreadsheet",
	".ics": "text/calendar", ".csv": "text/csv", ".txt": "text/plain", ".vcf": "text/vcard", ".html": "text/html", ".md": "text/markdown",
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".svg": "image/svg+xml",
	".mp3": "audio/mpeg", ".wav": "audio/wav", ".mp4": "video/mp4", ".pkpass": "application/vnd.apple.pkpass",
}
