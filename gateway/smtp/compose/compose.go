package compose

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/emersion/go-message"

	"trunkline/gateway"
)

// Bounds of the files of one mail.
const (
	MaxFiles     = 20
	MaxFileBytes = 10 << 20 // of all files together, before base64
)

// Options are what composing needs besides the message.
type Options struct {
	// Files is the folder of the configuration, in which the files of mails are;
	// nil: no mail may have any.
	Files fs.FS
}

// Compose makes the mail. An error is permanent: the message cannot be sent as it is.
func Compose(m gateway.Outbound, o Options) ([]byte, error) {
	if m.Mail == nil {
		return nil, errors.New("compose: the message is no e-mail")
	}
	h, err := header(&m)
	if err != nil {
		return nil, fmt.Errorf("compose: %w", err)
	}
	files, err := read(m.Mail.Files, o.Files)
	if err != nil {
		return nil, fmt.Errorf("compose: %w", err)
	}
	body := body(&m, files)
	body.boundaries(m.ID)
	var out bytes.Buffer
	out.Grow(2*(len(m.Text)+len(m.Mail.HTML)) + 4<<10)
	if err := write(&out, h, body); err != nil {
		return nil, fmt.Errorf("compose: %w", err)
	}
	return out.Bytes(), nil
}

// Key is what stands for a message before the @ of its Message-ID: the same
// whenever it is sent, and nothing that tells of flows or persons.
func Key(id string) string {
	sum := sha256.Sum256([]byte(id))
	return strings.ToLower(keyText.EncodeToString(sum[:keyOctets]))
}

// keyOctets of the hash are enough for two messages never to share a key.
const keyOctets = 20

var keyText = base32.HexEncoding.WithPadding(base32.NoPadding)

// MessageID is the Message-ID of a message, with its brackets (RFC 5322 §3.6.4).
// The domain is that of the sender's address.
func MessageID(id, from string) string {
	return "<" + Key(id) + "@" + asciiDomain(from[strings.LastIndexByte(from, '@')+1:]) + ">"
}

// part is one entity of a mail (RFC 2045 §2.4).
type part struct {
	header  [][2]string // in order
	content []byte
	parts   []*part // of a multipart; then there is no content
	subtype string  // of a multipart
}

// body makes the tree of the mail: mixed(alternative(text, related(html, images)), files),
// of which only what is needed is there.
func body(m *gateway.Outbound, files []attached) *part {
	text := m.Text
	if text == "" {
		text = Text(m.Mail.HTML)
	}
	root := textPart("plain", text)
	if m.Mail.HTML != "" {
		html := textPart("html", withPreheader(m.Mail.HTML, m.Mail.Preheader))
		images := slices.DeleteFunc(slices.Clone(files), func(f attached) bool { return f.ContentID == "" })
		if len(images) > 0 {
			html = multipart("related", append([]*part{html}, fileParts(images)...)...)
		}
		root = multipart("alternative", root, html)
	}
	beside := slices.DeleteFunc(slices.Clone(files), func(f attached) bool { return f.ContentID != "" && m.Mail.HTML != "" })
	if len(beside) > 0 {
		root = multipart("mixed", append([]*part{root}, fileParts(beside)...)...)
	}
	return root
}

// textPart always is quoted-printable: no relay has a reason to change it, and no
// line is too long (RFC 2045 §6.7).
func textPart(subtype, text string) *part {
	return &part{
		header: [][2]string{
			{"Content-Type", "text/" + subtype + "; charset=utf-8"},
			{"Content-Transfer-Encoding", "quoted-printable"},
		},
		content: []byte(strings.ToValidUTF8(text, "\uFFFD")),
	}
}

func multipart(subtype string, parts ...*part) *part {
	return &part{subtype: subtype, parts: parts}
}

// boundaries names the boundary of each multipart. Content can't contain one: the
// encodings have no line that begins with "--=_" (RFC 2045 §6.7).
func (p *part) boundaries(id string) {
	n := 0
	var visit func(*part)
	visit = func(p *part) {
		if p.parts == nil {
			return
		}
		n++
		boundary := fmt.Sprintf("=_%d_%s", n, Key(id))
		typ := "multipart/" + p.subtype + `; boundary="` + boundary + `"`
		if p.subtype == "related" {
			typ += `; type="text/html"` // RFC 2387 §3.1
		}
		p.header = [][2]string{{"Content-Type", typ}}
		for _, child := range p.parts {
			visit(child)
		}
	}
	visit(p)
}

// write writes a mail with the fields of its header, which the library wants in the
// order of last to first.
func write(w io.Writer, fields [][]byte, body *part) error {
	var h message.Header
	for _, f := range slices.Backward(body.header) {
		h.Add(f[0], f[1])
	}
	for _, f := range slices.Backward(fields) {
		h.AddRaw(f)
	}
	out, err := message.CreateWriter(w, h)
	if err != nil {
		return err
	}
	return fill(out, body)
}

// fill writes what an entity consists of.
func fill(w *message.Writer, p *part) error {
	for _, child := range p.parts {
		var h message.Header
		for _, f := range slices.Backward(child.header) {
			h.Add(f[0], f[1])
		}
		inner, err := w.CreatePart(h)
		if err == nil {
			err = fill(inner, child)
		}
		if err != nil {
			return err
		}
	}
	if p.parts == nil {
		if _, err := w.Write(p.content); err != nil {
			return err
		}
	}
	return w.Close()
}

// attached is a file with its content.
type attached struct {
	gateway.MailFile
	content []byte
}

// read reads the files of a mail.
func read(files []gateway.MailFile, from fs.FS) (all []attached, err error) {
	if len(files) > MaxFiles {
		return nil, fmt.Errorf("%d files are too many; at most %d are allowed", len(files), MaxFiles)
	}
	room := MaxFileBytes
	for _, f := range files {
		if from == nil {
			return nil, fmt.Errorf("the file %q can't be read: there is no folder for files of mails", f.Path)
		}
		content, err := fs.ReadFile(limited{from, room}, f.Path)
		if err != nil {
			return nil, fmt.Errorf("a file of the mail: %w", err)
		}
		if room -= len(content); room < 0 {
			return nil, fmt.Errorf("the files are larger than %d octets together", MaxFileBytes)
		}
		if f.Name == "" {
			f.Name = path.Base(f.Path)
		}
		if bad := unfit(f.Name) || unfit(f.ContentID) || strings.ContainsAny(f.ContentID, "<> "); bad {
			return nil, fmt.Errorf("%q, %q: no name of a file or an image", f.Name, f.ContentID)
		}
		all = append(all, attached{f, content})
	}
	return all, nil
}

// limited is a folder of which no file is read beyond a size.
type limited struct {
	fs.FS
	room int
}

// ReadFile implements [fs.ReadFileFS].
func (l limited) ReadFile(name string) ([]byte, error) {
	f, err := l.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(l.room)+1))
}

// fileParts are the entities of files.
func fileParts(files []attached) (parts []*part) {
	for _, f := range files {
		p := &part{content: f.content, header: [][2]string{
			{"Content-Type", withName(contentType(f.Name), "name", f.Name)},
			{"Content-Transfer-Encoding", "base64"},
		}}
		if f.ContentID != "" {
			p.header = append(p.header, [2]string{"Content-Id", "<" + f.ContentID + ">"}, [2]string{"Content-Disposition", withName("inline", "filename", f.Name)})
		} else {
			p.header = append(p.header, [2]string{"Content-Disposition", withName("attachment", "filename", f.Name)})
		}
		parts = append(parts, p)
	}
	return parts
}
