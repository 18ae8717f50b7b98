package flowengine

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// How a notice is sent.
const (
	noticeTimeout = 10 * time.Second
	noticeRetries = 3
)

// Notify tells people of ours: a chat room, a ticket system, whoever listens at a
// web address. The run does not wait for them.
type Notify struct {
	To      []string `yaml:"to" required:"true" min:"1" max:"10" doc:"Addresses to notify, such as https://hooks.example.com/sales. E-mail addresses get a mail from the usual sending identity."`
	Subject string   `yaml:"subject" doc:"Subject of the mail to e-mail addresses, a Liquid template. Default: the flow and the element."`
	Text    string   `yaml:"text" doc:"What to say, a Liquid template. It is sent as JSON: text, flow, element and person."`
	Body    string   `yaml:"body" doc:"The whole body as a Liquid template, in place of text."`

	text, subject *Template
	byMail        []bool // of To
}

// notice is what recipients get. Chat rooms show text.
type notice struct {
	Text    string `json:"text"`
	Flow    string `json:"flow"`
	Element string `json:"element"`
	Person  string `json:"person"`
}

// Ports lists the outcomes of the element.
func (e *Notify) Ports() []string { return []string{portDone, portRenderError} }

// Check looks at the recipients and compiles the text.
func (e *Notify) Check(c *Checker) {
	e.byMail = make([]bool, len(e.To))
	for i, to := range e.To {
		switch {
		case strings.HasPrefix(to, "https://"), strings.HasPrefix(to, "http://"):
			c.requests(to, "to", i)
		case strings.Contains(to, "@"):
			if _, err := ReadAddress(Email, to); err != nil {
				c.ErrorfAt([]any{"to", i}, "%v", err)
			}
			e.byMail[i] = true
			c.sendsFrom("", []any{"to", i})
		default:
			c.ErrorfAt([]any{"to", i}, "%q is not an address to notify: one that begins with https:// is expected", to)
		}
	}
	e.checkSubject(c)
	switch {
	case e.Text == "" && e.Body == "":
		c.Errorf("say what to tell: `text` or `body`")
	case e.Text != "" && e.Body != "":
		c.ErrorfAt([]any{"body"}, "say either `text` or `body`")
	case e.Text != "":
		e.text = c.Template(e.Text, false, "text")
	default:
		e.text = c.Template(e.Body, false, "body")
	}
}

func (e *Notify) checkSubject(c *Checker) {
	mails := slices.Contains(e.byMail, true)
	switch {
	case e.Subject != "" && !mails:
		c.ErrorfAt([]any{"subject"}, "only mails have one, and none of `to` is an e-mail address")
	case mails && e.Body != "":
		c.ErrorfAt([]any{"body"}, "an e-mail address gets `text`")
	}
	e.subject = c.Template(e.Subject, false, "subject")
}

// Arrive gives the notice to the channel, once per recipient, and goes on.
func (e *Notify) Arrive(x *Passage) Outcome {
	body, err := e.compose(x)
	var mail *Send
	if err == nil && slices.Contains(e.byMail, true) {
		mail, err = e.mail(x)
	}
	if err != nil {
		x.Log(NotSent, NotSentRenderError+": "+err.Error())
		return Take(portRenderError)
	}
	for i, to := range e.To {
		switch {
		case !e.byMail[i]:
			x.sendNth(Send{Channel: ChannelHTTP, To: to, Text: body, Expires: x.Now.Add(MaxValidity)}, i)
		case mail == nil:
			x.Log(NotSent, NotSentNoSender)
		default:
			s := *mail
			s.To = to
			x.sendNth(s, i)
		}
	}
	return Take(portDone)
}

// mail is the notice as a mail; nil when there is nobody whom it would come from.
func (e *Notify) mail(x *Passage) (*Send, error) {
	from, ok := x.Set.mailing.identity("")
	if !ok {
		return nil, nil
	}
	text, err := e.text.Render(x)
	if err != nil {
		return nil, err
	}
	subject, err := headerText(e.subject, x)
	if err != nil {
		return nil, err
	}
	if subject == "" {
		subject = x.Run.Flow + ": " + x.Element
	}
	return &Send{
		Channel: channelEmail, From: from.Address, Text: text, Expires: x.Now.Add(MaxValidity), notice: true,
		Mail: &Mail{Subject: subject, FromName: from.Name, ReplyTo: from.ReplyTo, Composed: x.Now},
	}, nil
}

// compose is the request as its channel takes it.
func (e *Notify) compose(x *Passage) (string, error) {
	body, err := e.text.Render(x)
	if err != nil {
		return "", err
	}
	if e.Body == "" {
		b, err := json.Marshal(notice{body, x.Run.Flow, x.Element, x.Person.ID.String()})
		if err != nil {
			return "", err
		}
		body = string(b)
	}
	b, err := json.Marshal(APIRequest{
		Method: "POST", Headers: [][2]string{{"Content-Type", "application/json"}}, Body: body, Timeout: noticeTimeout, Retries: noticeRetries,
	})
	return string(b), err
}
