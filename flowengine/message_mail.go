package flowengine

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"trunkline/configs/strict"
)

// Bounds of one mail.
const (
	subjectMost   = 500 // characters
	mailFilesMost = 20
)

// MailMessage is what every element that sends an e-mail has.
type MailMessage struct {
	From      string `yaml:"from" pattern:"^[a-z0-9-]{1,64}$" doc:"Name of the sending identity. Default: the first one that is configured."`
	ReplyTo   string `yaml:"reply_to" doc:"Address that answers go to, such as Shop <shop@example.com>. Default: that of the identity."`
	Subject   string `yaml:"subject" required:"true" doc:"Subject, a Liquid template."`
	Preheader string `yaml:"preheader" doc:"What lists of mails show behind the subject, a Liquid template. Needs html."`
	HTML      string `yaml:"html" doc:"Body in HTML, a Liquid template. Values are escaped, but for those that go through the filter raw. message.unsubscribe_url and message.preferences_url lead to pages of the mail."`
	HTMLFile  string `yaml:"html_file" doc:"File of the configuration's folder with the HTML, in its place. Its content is part of the version."`
	Text      string `yaml:"text" doc:"Plain text, a Liquid template. Default: made of the HTML."`
	TextFile  string `yaml:"text_file" doc:"File of the configuration's folder with the plain text, in its place."`

	Attachments []Attachment      `yaml:"attachments" max:"20" doc:"Files that go along."`
	Images      map[string]string `yaml:"images" max:"20" doc:"Images of the configuration's folder that the HTML shows, by the name that it calls them by: {logo: mails/logo.png} for <img src=\"cid:logo\">."`

	SendOptions `yaml:",inline"`

	TrackOpens  bool   `yaml:"track_opens" default:"true" doc:"Count who opens the mail, by a picture of one pixel, and make a People event email_opened of it. Needs links.listen."`
	TrackClicks bool   `yaml:"track_clicks" default:"true" doc:"Let links go through links.base_url, count who follows them, and make People events email_clicked and link_clicked of it. A link that goes through the filter no_shorten stays, or whose element has data-no-track."`
	ShortenURLs bool   `yaml:"shorten_urls" default:"false" doc:"Let links go through links.base_url even if clicks are not counted."`
	Unsubscribe string `yaml:"unsubscribe" enum:"auto,yes,no" default:"auto" doc:"Whether mail programs offer to unsubscribe (List-Unsubscribe, with one click). auto: for marketing."`

	subject, preheader, text, html *Template

	files []MailFile
}

// Attachment is a file that goes along with a mail.
type Attachment struct {
	File string `yaml:"file" required:"true" doc:"File of the configuration's folder."`
	Name string `yaml:"name" max:"200" doc:"Name that the recipient sees. Default: that of the file."`
}

func (m *MailMessage) words() string { return m.Subject }

// check compiles the texts and looks at the rest. Path leads to the options.
func (m *MailMessage) check(c *Checker, path ...any) {
	at := func(key string) []any { return append(path[:len(path):len(path)], key) }
	lenient := m.OnMissing == "empty"
	plain, page := templateKind{lenient: lenient, mail: true}, templateKind{lenient: lenient, mail: true, html: true}
	m.subject = c.template(m.Subject, plain, at("subject")...)
	m.preheader = c.template(m.Preheader, plain, at("preheader")...)
	m.text = c.template(m.Text, templateKind{lenient: lenient, mail: true, long: true}, at("text")...)
	m.html = c.template(m.HTML, page, at("html")...)
	for _, key := range [...][2]string{{"html_file", m.HTMLFile}, {"text_file", m.TextFile}} {
		if key[1] != "" {
			c.ErrorfAt(at(key[0]), "%s can't be read here: give the text itself", key[0])
		}
	}
	if m.HTML == "" && m.Text == "" && m.HTMLFile == "" && m.TextFile == "" {
		c.ErrorfAt(at("html"), "say what is in the mail: `html`, `html_file`, `text` or `text_file`")
	}
	if m.Preheader != "" && m.HTML == "" {
		c.ErrorfAt(at("preheader"), "a preheader needs `html`")
	}
	if m.ReplyTo != "" {
		if _, err := mail.ParseAddress(m.ReplyTo); err != nil || strings.ContainsAny(m.ReplyTo, "\r\n") {
			c.ErrorfAt(at("reply_to"), "%q is not an e-mail address", m.ReplyTo)
		}
	}
	m.SendOptions.check(c, at)
	m.checkFiles(c, at)
	m.checkLinks(c, at)
	c.sendsFrom(m.From, at("from"))
}

var contentID = regexp.MustCompile(`^[A-Za-z0-9._@-]{1,64}$`)

// checkFiles lists what goes along.
func (m *MailMessage) checkFiles(c *Checker, at func(key string) []any) {
	add := func(f MailFile, path []any) {
		switch {
		case !fs.ValidPath(f.Path):
			c.ErrorfAt(path, "%q is no file of the configuration's folder: a path such as mails/terms.pdf is expected, with / and without ..", f.Path)
		case strings.ContainsFunc(f.Name, func(r rune) bool { return r < ' ' || r == 0x7F }):
			c.ErrorfAt(path, "%q is no name of a file", f.Name)
		default:
			c.attaches(f.Path, path)
			m.files = append(m.files, f)
		}
	}
	for i, a := range m.Attachments {
		add(MailFile{Path: a.File, Name: a.Name}, append(at("attachments"), i, "file"))
	}
	for _, id := range slices.Sorted(maps.Keys(m.Images)) {
		path := append(at("images"), id)
		if !contentID.MatchString(id) {
			c.ErrorfAt(path, "%q is not a name for an image: letters, digits, . _ @ and - are, up to 64", id)
		}
		if !strings.Contains(m.HTML, "cid:"+id) && m.HTML != "" {
			c.WarnfAt(path, "nothing in the HTML shows cid:%s", id)
		}
		add(MailFile{Path: m.Images[id], ContentID: id}, path)
	}
	if len(m.files) > mailFilesMost {
		c.ErrorfAt(at("attachments"), "%d files and images are too many; at most %d are allowed", len(m.files), mailFilesMost)
	}
}

// checkLinks looks at what needs the listener of links.
func (m *MailMessage) checkLinks(c *Checker, at func(key string) []any) {
	if m.ShortenURLs {
		c.needsLinks("shorten_urls", at("shorten_urls"))
	}
	if m.Unsubscribe == "yes" {
		c.needsLinks("unsubscribe", at("unsubscribe"))
	}
	if m.reads() {
		c.needsLinks("message.unsubscribe_url", at("html"))
	} else if m.marketing() && m.Unsubscribe != "no" && !strings.Contains(m.HTML+m.Text, filterKeep) {
		c.WarnfAt(at("subject"), "marketing mail wants a link for unsubscribing that people see, such as <a href=\"{{ message.unsubscribe_url }}\">; mailbox providers and laws ask for it")
	}
}

// reads says whether a text names a page of the mail.
func (m *MailMessage) reads() bool {
	return m.html.reads.message || m.text.reads.message || m.subject.reads.message || m.preheader.reads.message
}

// compose implements message.
func (m *MailMessage) compose(x *Passage, lane int) (s Send, notSent string, hold time.Time) {
	to, ok := x.Person.Address(Email)
	switch {
	case !ok:
		return s, NotSentNoAddress, hold
	case x.Person.Blocked(Email):
		return s, NotSentBlocked, hold
	}
	from, ok := x.Set.mailing.identity(m.From)
	if !ok {
		return s, NotSentNoSender, hold
	}
	body := &Mail{FromName: from.Name, ReplyTo: from.ReplyTo, Files: m.files}
	if m.ReplyTo != "" {
		body.ReplyTo = m.ReplyTo
	}
	s = Send{Channel: channelEmail, From: from.Address, To: to, Mail: body, Marketing: m.marketing(), track: m.tracking(x)}
	if err := m.render(x, &s); err != nil {
		return s, NotSentRenderError + ": " + err.Error(), hold
	}
	if strings.TrimSpace(s.Text) == "" && strings.TrimSpace(body.HTML) == "" {
		return s, NotSentEmpty, hold
	}
	if len(m.data) > 0 {
		s.Data = m.dataOf(x)
	}
	notSent, hold = m.time(x, &s, lane)
	body.Composed = later(x.Now, s.NotBefore)
	return s, notSent, hold
}

// render makes the texts. Marks of no_shorten stay in the bodies; Links.track removes them.
func (m *MailMessage) render(x *Passage, s *Send) (err error) {
	if s.Mail.Subject, err = headerText(m.subject, x); err != nil {
		return fmt.Errorf("subject: %w", err)
	}
	if n := utf8.RuneCountInString(s.Mail.Subject); n > subjectMost || n == 0 {
		return fmt.Errorf("subject: it has %d characters; 1 to %d are allowed", n, subjectMost)
	}
	if s.Mail.Preheader, err = headerText(m.preheader, x); err != nil {
		return fmt.Errorf("preheader: %w", err)
	}
	if s.Text, err = m.text.renderMarked(x); err != nil {
		return fmt.Errorf("text: %w", err)
	}
	if s.Mail.HTML, err = m.html.renderMarked(x); err != nil {
		return fmt.Errorf("html: %w", err)
	}
	return nil
}

// headerText renders one line.
func headerText(t *Template, x *Passage) (string, error) {
	text, err := t.Render(x)
	text = strings.TrimSpace(text)
	if err == nil && strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7F }) {
		return "", errLineEnd
	}
	return text, err
}

var errLineEnd = fmt.Errorf("a line end or a control character is in it")

// tracking says what is looked at of the mail to this person.
func (m *MailMessage) tracking(x *Passage) (t tracking) {
	if !x.Set.links.Enabled() {
		return t
	}
	allowed := x.Version.Settings.Tracking && x.Person.tracked()
	t.opens, t.clicks = m.TrackOpens && allowed && m.HTML != "", m.TrackClicks && allowed
	t.links = t.clicks || m.ShortenURLs
	t.list = m.Unsubscribe == "yes" || m.Unsubscribe == "auto" && m.marketing()
	t.page = t.list || m.reads()
	return t
}

// inlineFiles puts the content of html_file and text_file into the elements of a flow,
// and into the message of a broadcast.
func inlineFiles(root *strict.Node, folder fs.FS) {
	if root == nil || folder == nil {
		return
	}
	messages := []*strict.Node{root.Field("message")}
	if elements := root.Field("elements"); elements != nil {
		for _, f := range elements.Fields {
			messages = append(messages, f.Value)
		}
	}
	for _, m := range messages {
		if m == nil {
			continue
		}
		inlineFile(m, folder)
		if channels := m.Field("channels"); channels != nil {
			for _, item := range channels.Items {
				inlineFile(item, folder)
			}
		}
	}
}

// inlineFile puts the content of a message's files into it.
func inlineFile(m *strict.Node, folder fs.FS) {
	for _, key := range [...]string{"html", "text"} {
		named := m.Field(key + "_file")
		switch {
		case named == nil || named.Kind != strict.String:
		case m.Field(key) != nil:
			named.Errorf("say either %s or %s_file", key, key)
		case !fs.ValidPath(named.Text):
			named.Errorf("%q is no file of the configuration's folder: a path such as mails/welcome.%s is expected, with / and without ..", named.Text, key)
		default:
			content, err := readText(folder, named.Text)
			if err != nil {
				named.Errorf("%s_file: %v", key, err)
				content = named.Text // so that nothing else is reported
			}
			m.Inline(key+"_file", key, content)
		}
	}
}

// readText reads a file of text, within the bound of a template.
func readText(folder fs.FS, name string) (string, error) {
	f, err := folder.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxHTML+1))
	switch {
	case err != nil:
		return "", err
	case len(content) > maxHTML:
		return "", fmt.Errorf("%s: %w", name, tooLong(maxHTML))
	case !utf8.Valid(content):
		return "", fmt.Errorf("%s is not UTF-8", name)
	}
	return strings.TrimPrefix(string(content), "\uFEFF"), nil
}
