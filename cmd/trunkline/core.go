package main

import (
	"context"
	"errors"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
	"trunkline/gateway"
	"trunkline/gateway/smtp/verp"
	"trunkline/keyword"
)

// core joins the edges to the flow engine: it speaks the gateway's words on one
// side and the runtime's on the other. Addresses are normalised here, once.
type core struct{ rt *runtime.Runtime }

var _ gateway.Core = core{}

// Inbound implements gateway.Core.
func (c core) Inbound(m gateway.Inbound, done func(error)) {
	a := &runtime.Arrival{
		ID: m.ID, Channel: string(m.Channel), Carrier: m.Carrier, From: sender(m.Channel, m.From), To: keyword.Number(m.To),
		Text: m.Text, Subject: m.Subject, Key: m.Key, At: m.Received, DeliverAt: m.DeliverAt, ReportWanted: m.ReportWanted, ReportFrom: m.From, ReportTo: m.To,
	}
	if m.Channel == gateway.Email {
		a.Mail = flowengine.MailFacts{SPF: m.Properties[gateway.PropertySPF], DKIM: m.Properties[gateway.PropertyDKIM], DMARC: m.Properties[gateway.PropertyDMARC], Files: m.Files}
	}
	if f := m.Fragment; f != nil {
		a.Part = &runtime.Part{Ref: f.Ref, Total: f.Total, Seq: f.Seq, Coding: f.Coding, Header: f.Header, Payload: f.Payload}
	}
	c.rt.Inbound(a, func(err error) { done(gatewayError(err)) })
}

// Report implements gateway.Core.
func (c core) Report(r gateway.Report, done func(error)) {
	d := &runtime.Delivery{
		Carrier: r.Carrier, Keys: r.Keys, To: keyword.Number(r.Address), Other: keyword.Number(r.OtherAddress),
		State: r.State.String(), Final: r.State.Final(), Code: r.Code, At: r.Received, Channel: string(r.Channel),
	}
	if r.Complaint {
		d.State, d.Final = runtime.StateComplained, false
	}
	c.rt.Report(d, func(err error) { done(gatewayError(err)) })
}

// Query implements gateway.Core.
func (c core) Query(ctx context.Context, carrier, from, id string) (gateway.State, time.Time, error) {
	_, err := c.rt.Query(ctx, carrier, phone(from), id)
	return gateway.Enroute, time.Time{}, gatewayError(err)
}

// Cancel implements gateway.Core.
func (c core) Cancel(ctx context.Context, carrier, from, id string) error {
	return gatewayError(c.rt.Cancel(ctx, carrier, phone(from), id))
}

// Replace implements gateway.Core.
func (c core) Replace(ctx context.Context, carrier, from, id, text string, at time.Time) error {
	return gatewayError(c.rt.Replace(ctx, carrier, phone(from), id, text, at))
}

// ownNumber tells the SMPP edge which numbers are ours.
func (c core) ownNumber(number string) bool {
	return c.rt.Ours(string(gateway.SMS), keyword.Number(number))
}

// mailbox tells the SMTP edge which of our numbers takes mail to an address.
func (c core) mailbox(address string) (number string, domain bool) {
	return c.rt.Mailbox(keyword.Number(address))
}

// returnPaths makes the key of our mails' return paths.
func returnPaths(rt *runtime.Runtime) *verp.Key {
	return verp.NewKey(rt.Secret("return paths of mails"))
}

// sender is the address of a person on a channel.
func sender(channel gateway.Channel, value string) flowengine.Address {
	if channel == gateway.Email {
		a, _ := flowengine.ReadAddress(flowengine.Email, value) // the edge has looked at it
		return a
	}
	return phone(value)
}

func phone(value string) flowengine.Address {
	return flowengine.Address{Kind: flowengine.Phone, Value: keyword.Number(value)}
}

// gatewayError translates why the runtime refused work.
func gatewayError(err error) error {
	for _, pair := range [...][2]error{
		{runtime.ErrOverload, gateway.ErrOverload},
		{runtime.ErrStopping, gateway.ErrStopping},
		{runtime.ErrUnavailable, gateway.ErrUnavailable},
		{runtime.ErrNotFound, gateway.ErrNotFound},
	} {
		if errors.Is(err, pair[0]) {
			return pair[1]
		}
	}
	return err
}

// outlet is an edge's sender as the runtime sees it.
type outlet struct {
	sender gateway.Sender
	ctx    context.Context // of the daemon: ends when it stops
	units  func(text, carrier string) int
}

var _ runtime.Sender = outlet{}

// Send implements runtime.Sender.
func (o outlet) Send(m *runtime.Message, done func(runtime.Outcome)) {
	out := gateway.Outbound{
		ID: m.ID, Channel: gateway.Channel(m.Channel), Carrier: m.Carrier, From: m.From, To: m.To, Text: m.Text,
		Expires: m.Expires, ReportWanted: m.Receipt == nil, Attempt: m.Attempt, Sent: m.Sent, Ref: m.Ref,
	}
	if m.Marketing {
		out.Category = gateway.Marketing
	}
	if r := m.Receipt; r != nil {
		state := gateway.Delivered
		if r.State == runtime.StateDeleted {
			state = gateway.Deleted
		}
		out.Receipt = &gateway.Receipt{ID: r.ID, State: state, Submitted: r.Submitted, Done: r.Done, Text: r.Text}
	}
	if m.Mail != nil {
		out.Mail = mailOf(m.Mail)
	}
	o.sender.Send(o.ctx, out, func(r gateway.Result) {
		done(sentOutcome(&r))
	})
}

// mailOf is the mail of a flow as its edge sees it.
func mailOf(m *flowengine.Mail) *gateway.Mail {
	out := &gateway.Mail{
		Subject: m.Subject, FromName: m.FromName, ReplyTo: m.ReplyTo, Preheader: m.Preheader, HTML: m.HTML,
		Unsubscribe: m.Unsubscribe, Composed: m.Composed,
	}
	for _, f := range m.Files {
		out.Files = append(out.Files, gateway.MailFile(f))
	}
	return out
}

// sentOutcome is what an edge says of an attempt, in the runtime's words.
func sentOutcome(r *gateway.Result) runtime.Outcome {
	o := runtime.Outcome{
		Fate: fates[r.Fate], Carrier: r.Carrier, Keys: r.Keys, Parts: r.Parts, Ref: r.Ref, Code: r.Code, After: r.After,
		Untried: r.Untried, Dead: r.Dead, Domain: r.Domain,
	}
	if r.Trail != (gateway.Trail{}) {
		o.Trail = &runtime.Attempt{Host: r.Trail.Host, TLS: r.Trail.TLS, Reply: r.Trail.Reply}
	}
	return o
}

// Units implements runtime.Sender.
func (o outlet) Units(m *runtime.Message) uint8 {
	return uint8(min(max(o.units(m.Text, m.Carrier), 1), 255))
}

var fates = [...]runtime.Fate{
	gateway.FateAccepted: runtime.FateAccepted,
	gateway.FateRetry:    runtime.FateRetry,
	gateway.FateRejected: runtime.FateRejected,
	gateway.FateExpired:  runtime.FateExpired,
	gateway.FateInDoubt:  runtime.FateInDoubt,
}

// assemble adapts an edge's Assembler to the runtime's parts.
func assemble(join gateway.Assembler) func([]*runtime.Part) (string, error) {
	return func(parts []*runtime.Part) (string, error) {
		fragments := make([]*gateway.Fragment, len(parts))
		for i, p := range parts {
			if p != nil {
				fragments[i] = &gateway.Fragment{Ref: p.Ref, Total: p.Total, Seq: p.Seq, Coding: p.Coding, Header: p.Header, Payload: p.Payload}
			}
		}
		return join(fragments)
	}
}
