package flowengine

import (
	"fmt"
	"time"
)

// People events that come of what a person does with a mail. Their properties are
// message, flow and element, and those of the message's data; email_clicked has url and
// link, too. A bounce and a complaint are events as well.
const (
	EventEmailOpened       = "email_opened"
	EventEmailClicked      = "email_clicked"
	EventEmailUnsubscribed = "email_unsubscribed"
	EventEmailResubscribed = "email_resubscribed"
)

// Opening is the cause that a mail was opened.
type Opening struct {
	Message string
	Origin  Origin
	Data    Attrs // of the message
	At      time.Time
}

// Scan is the cause that a program looked at a mail: it loaded its picture, or followed
// a link before anybody could have read it.
type Scan struct {
	Origin Origin
	Click  bool
}

// Choice is the cause that a person decides about mail, on a page that a mail leads to.
// What is nil stays as it is.
type Choice struct {
	Message    string
	Origin     Origin
	Data       Attrs // of the message
	At         time.Time
	Mail       *bool // wants to get any
	DoNotTrack *bool // opens and clicks are not to be counted
}

func (*Opening) cause() {}
func (*Scan) cause()    {}
func (*Choice) cause()  {}

// AttrDoNotTrack says that nobody counts what the person opens and follows.
const AttrDoNotTrack = "doNotTrack"

// tracked says whether opens and clicks of a person may be counted.
func (p *Person) tracked() bool { return p.Attrs.Get(AttrDoNotTrack).Num == 0 }

// reactionMark marks an element of which a person did something with a mail.
func reactionMark(kind EventKind, element string) uint32 {
	return ElementMark(fmt.Sprintf("%d/%s", kind, element))
}

// react notes what a person did with a mail, or what was done in their name.
func (st *step) react(kind EventKind, o Origin, message, detail string) {
	first := false
	if o.Element != "" {
		message = lastOfID(message)
	} else {
		message = ""
	}
	if o.Flow != "" && o.Element != "" && kind != Scanned {
		first = addMark(&st.passages.Membership(o.Flow).Reacted, reactionMark(kind, o.Element))
	}
	st.log(Event{Kind: kind, Flow: o.Flow, Version: o.Version, Element: o.Element, Number: o.Number, First: first, Detail: detail, Message: message})
	st.result.PassagesChanged = true
}

// opened counts an open, tells the run that the mail belongs to, and lets it be a
// People event.
func (st *step) opened(c *Opening) {
	if !st.person.tracked() {
		return
	}
	o := st.ours(c.Origin)
	st.react(Opened, o, c.Message, "")
	st.seen(o, c.Message, func(m *MessageSeen) { m.Opened = true })
	if st.waitsForReport(o) {
		st.tellSender(o, c.Message, c)
	}
	st.happened(mailEvent(EventEmailOpened, c.Message, o, c.Data, c.At))
}

// scanned counts what a program did.
func (st *step) scanned(c *Scan) {
	detail := "open"
	if c.Click {
		detail = "click"
	}
	st.react(Scanned, st.ours(c.Origin), "", detail)
}

// choose does what a person has decided.
func (st *step) choose(c *Choice) {
	o := st.ours(c.Origin)
	if t := c.DoNotTrack; t != nil && st.person.SetAttr(AttrDoNotTrack, trueOrUnset(*t)) {
		st.personChanged(AttrDoNotTrack)
	}
	switch {
	case c.Mail == nil:
	case *c.Mail && st.person.Unblock(Email):
		st.personChanged("do not contact -" + Email.String())
		st.happened(mailEvent(EventEmailResubscribed, c.Message, o, c.Data, c.At))
	case !*c.Mail && st.person.Block(Email):
		st.personChanged("do not contact +" + Email.String())
		st.react(Unsubscribed, o, c.Message, "")
		st.happened(mailEvent(EventEmailUnsubscribed, c.Message, o, c.Data, c.At))
	}
}

func trueOrUnset(b bool) Value {
	if b {
		return BooleanValue(true)
	}
	return Value{}
}

func (st *step) personChanged(what string) {
	st.result.PersonChanged = true
	st.log(Event{Kind: Updated, Detail: what})
}

// mailEvent makes a People event of what happened to a mail.
func mailEvent(name, message string, o Origin, data Attrs, at time.Time) *Happened {
	e := &Happened{ID: fmt.Sprintf("%s/%s/%d", name, message, at.UnixMilli()), Name: name, At: at}
	for _, a := range data {
		e.Props.Set(a.Name, a.Value)
	}
	for name, value := range map[string]string{"message": message, "flow": o.Flow, "element": o.Element} {
		e.Props.Set(name, TextValue(value))
	}
	return e
}
