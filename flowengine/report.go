package flowengine

import (
	"fmt"
	"strings"
)

// People events that come of what is said about mails. Their properties are message,
// flow and element, those of the message's data, and of a bounce code and hard: whether
// the address takes no mail at all, now or later.
const (
	EventEmailBounced    = "email_bounced"
	EventEmailComplained = "email_complained"
)

// report notes a final delivery report in the person's history.
func (st *step) report(r *Report) {
	if !r.Final {
		return
	}
	o := st.ours(r.Origin)
	if r.State == ReportComplained {
		st.complained(r, o)
		return
	}
	if r.Mail && r.Delivered && o.Element != "" { // it was when a server took it
		return
	}
	e := Event{Kind: Reported, Flow: o.Flow, Version: o.Version, Element: o.Element, Number: o.Number, Detail: r.State, First: r.Delivered}
	if o.Element != "" {
		e.Message = lastOfID(r.ID)
	}
	if r.Delivered { // C2
		e.Charge = r.Owed
	}
	st.log(e)
	st.seen(o, r.ID, func(m *MessageSeen) { m.Delivered, m.Failed = r.Delivered, !r.Delivered })
	if st.waitsForReport(o) {
		st.tellSender(o, r.ID, r)
	}
	if r.Mail && !r.Delivered {
		hard := BooleanValue(strings.HasPrefix(r.Code, "5.1."))
		st.aboutMail(r, o, EventEmailBounced, Attr{Name: "code", Value: TextValue(r.Code)}, Attr{Name: "hard", Value: hard})
	}
}

// complained sends a person who calls our mail spam no more of it, whatever other flow
// would: mailbox providers take the mail of nobody who goes on.
func (st *step) complained(r *Report, o Origin) {
	st.result.PersonChanged = st.person.Block(Email) || st.result.PersonChanged
	st.react(Complained, o, r.ID, "")
	st.aboutMail(r, o, EventEmailComplained)
}

// aboutMail makes a People event of what is said about a mail.
func (st *step) aboutMail(r *Report, o Origin, name string, props ...Attr) {
	e := &Happened{ID: fmt.Sprintf("%s/%s", name, r.ID), Name: name, At: st.now}
	for _, a := range r.Data {
		e.Props.Set(a.Name, a.Value)
	}
	for _, a := range props {
		e.Props.Set(a.Name, a.Value)
	}
	for name, value := range map[string]string{"message": r.ID, "flow": o.Flow, "element": o.Element} {
		e.Props.Set(name, TextValue(value))
	}
	st.happened(e)
}
