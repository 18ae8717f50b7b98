package httpapi

import (
	"time"

	"trunkline/flowengine/runtime"
)

// Message is all that is known of one message.
type Message struct {
	ID       string    `json:"id" doc:"Id of the message."`
	State    string    `json:"state" doc:"queued, held, sending or accepted; what a delivery report says: delivered, undeliverable, expired, rejected and so on; or why it was not sent."`
	Channel  string    `json:"channel,omitempty" doc:"Channel; as the next two, missing when it is not kept any more."`
	From     string    `json:"from,omitempty" doc:"Sender."`
	To       string    `json:"to,omitempty" doc:"Recipient."`
	Subject  string    `json:"subject,omitempty" doc:"Subject of an e-mail."`
	Person   string    `json:"person,omitempty" doc:"Id of the person who gets it."`
	Flow     string    `json:"flow,omitempty" doc:"Flow that sent it."`
	Version  uint32    `json:"version,omitempty" doc:"Version of the flow."`
	Number   uint32    `json:"number,omitempty" doc:"Number of the person's entry."`
	Element  string    `json:"element,omitempty" doc:"Element that sent it."`
	Queued   time.Time `json:"queued,omitzero" doc:"When it was accepted from whom no flow has to do with."`
	Due      time.Time `json:"due,omitzero" doc:"When it goes out, while it waits."`
	Expires  time.Time `json:"expires,omitzero" doc:"Until when it may, while it waits."`
	Done     time.Time `json:"done,omitzero" doc:"When it was over, where attempts are kept."`
	Parts    uint32    `json:"parts,omitempty" doc:"Parts, or units of other channels, that were taken."`
	Cost     *Cost     `json:"cost,omitempty" doc:"What they cost."`
	Attempts []Attempt `json:"attempts" nullable:"false" doc:"Attempts: of e-mails, of what waits, and of messages that no flow sent."`
	History  []Line    `json:"history" nullable:"false" doc:"What happened about it, oldest first."`
}

// Attempt is one attempt to send a message.
type Attempt struct {
	At    time.Time `json:"at" doc:"When."`
	Fate  string    `json:"fate" doc:"accepted, retry, rejected, expired or in_doubt."`
	Code  string    `json:"code,omitempty" doc:"The peer's word for it."`
	Host  string    `json:"host,omitempty" doc:"The peer: a carrier, or a server."`
	TLS   string    `json:"tls,omitempty" doc:"How the connection was encrypted."`
	Reply string    `json:"reply,omitempty" doc:"What the peer said, or what went wrong."`
}

// ViewAttempts makes the plain form of attempts.
func ViewAttempts(all []runtime.Attempt) []Attempt {
	views := make([]Attempt, len(all))
	for i, a := range all {
		views[i] = Attempt{a.At, a.Fate.String(), a.Code, a.Host, a.TLS, a.Reply}
	}
	return views
}

// ViewMessage makes the plain form of what is known of a message.
func ViewMessage(m *runtime.MessageStatus) *Message {
	v := &Message{
		ID: m.ID, State: m.State, Channel: m.Channel, From: m.From, To: m.To, Subject: m.Subject, Flow: m.Flow, Version: m.Version, Number: m.Number,
		Element: m.Element, Queued: m.Queued, Due: m.Due, Expires: m.Expires, Done: m.Done, Parts: m.Units,
		Attempts: ViewAttempts(m.Attempts), History: viewHistory(m.History, m.Person),
	}
	if !m.Person.IsZero() {
		v.Person = m.Person.String()
	}
	switch {
	case m.CostUnknown:
		v.Cost = &Cost{Amounts: []Amount{}, UnknownUnits: uint64(m.Units)}
	case m.Priced():
		v.Cost = &Cost{Amounts: []Amount{{m.Currency.String(), m.Cost.String()}}}
	}
	return v
}
