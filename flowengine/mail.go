package flowengine

import (
	"time"

	"trunkline/flowengine/record"
)

// Mail is what an e-mail has besides the rest of its Send: From and To are bare
// addresses, Text is the plain text.
type Mail struct {
	Subject   string
	FromName  string // display name of the sender; may be empty
	ReplyTo   string // where answers go, perhaps with a name; empty: to the sender
	Preheader string
	// HTML is the body; empty: there is the text alone. An empty text is made of it
	// when the mail is composed.
	HTML  string
	Files []MailFile
	// Unsubscribe is the address that takes the person off; empty: there is none.
	Unsubscribe string
	Composed    time.Time // the date that it bears
}

// MailFile is a file that goes along with a mail.
type MailFile struct {
	Path      string // in the folder of the configuration
	Name      string // as the recipient sees it
	ContentID string // of an image that HTML shows as cid:…
}

const (
	mailSubject = iota + 1
	mailFromName
	mailReplyTo
	mailPreheader
	mailHTML
	mailFile
	mailUnsubscribe
	mailComposed
)

// Append appends the stored form.
func (m *Mail) Append(b []byte) []byte {
	b = record.AppendString(b, mailSubject, m.Subject)
	b = record.AppendString(b, mailFromName, m.FromName)
	b = record.AppendString(b, mailReplyTo, m.ReplyTo)
	b = record.AppendString(b, mailPreheader, m.Preheader)
	b = record.AppendString(b, mailHTML, m.HTML)
	for i := range m.Files {
		b = record.AppendNested(b, mailFile, m.Files[i].append)
	}
	b = record.AppendString(b, mailUnsubscribe, m.Unsubscribe)
	return record.AppendTime(b, mailComposed, m.Composed)
}

// DecodeMail reads what Append wrote.
func DecodeMail(b []byte) (*Mail, error) {
	m := new(Mail)
	err := record.Decode(b, "mail", func(f record.Field) (err error) {
		switch f.Num {
		case mailSubject:
			m.Subject = string(f.Bytes)
		case mailFromName:
			m.FromName = string(f.Bytes)
		case mailReplyTo:
			m.ReplyTo = string(f.Bytes)
		case mailPreheader:
			m.Preheader = string(f.Bytes)
		case mailHTML:
			m.HTML = string(f.Bytes)
		case mailFile:
			var file MailFile
			err = file.decode(f.Bytes)
			m.Files = append(m.Files, file)
		case mailUnsubscribe:
			m.Unsubscribe = string(f.Bytes)
		case mailComposed:
			m.Composed = f.Time()
		}
		return err
	})
	return m, err
}

func (f *MailFile) append(b []byte) []byte {
	b = record.AppendString(b, 1, f.Path)
	b = record.AppendString(b, 2, f.Name)
	return record.AppendString(b, 3, f.ContentID)
}

func (f *MailFile) decode(b []byte) error {
	return record.Decode(b, "file of a mail", func(r record.Field) error {
		switch r.Num {
		case 1:
			f.Path = string(r.Bytes)
		case 2:
			f.Name = string(r.Bytes)
		case 3:
			f.ContentID = string(r.Bytes)
		}
		return nil
	})
}
