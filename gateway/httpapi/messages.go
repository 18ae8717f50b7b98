package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"unicode/utf8"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
)

const maxParts = 255 // 3GPP TS 23.040 §9.2.3.24.1

func (s *Server) messageRoutes() {
	operate(s, route{id: "send-message", method: post, path: "/v1/messages", tag: "messages", scope: Messages, summary: "Send a message", status: http.StatusAccepted,
		about: "The message is durable when it is answered, and is sent after that. Nothing is sent to a person who wants no messages."}, s.sendMessage)
	operate(s, route{id: "get-message", method: get, path: "/v1/messages/{id}", tag: "messages", scope: Messages, summary: "Read what became of a message",
		about: "The slashes of the id are written as %2F. What is known is kept as long as history is, 100 days unless configured otherwise."}, s.getMessage)
}

type messageRef struct {
	ID string `path:"id" maxLength:"512" doc:"Id of the message."`
}

type gotMessage struct{ Body *Message }

func (s *Server) getMessage(ctx context.Context, in *messageRef) (*gotMessage, error) {
	m, err := s.rt.Message(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	exchangeOf(ctx).concerns(m.Person)
	return &gotMessage{ViewMessage(m)}, nil
}

type messageInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"255" doc:"A repeated request with the same key and body gets the same answer for 24 hours, and nothing is sent again."`
	Body messageBody
}

type messageBody struct {
	Channel  string `json:"channel,omitempty" enum:"sms" default:"sms" doc:"Channel."`
	From     string `json:"from,omitempty" maxLength:"20" doc:"Sender; the carrier's default when left out."`
	To       string `json:"to" minLength:"1" maxLength:"32" doc:"Recipient, in international form."`
	Text     string `json:"text" minLength:"1" maxLength:"10000" doc:"Text."`
	Category string `json:"category,omitempty" enum:"transactional,marketing" default:"transactional" doc:"Fate when a crash leaves open whether it was sent: a transactional message is sent again, a marketing message is not."`
	Carrier  string `json:"carrier,omitempty" maxLength:"64" doc:"The only carrier allowed; routed when left out."`
}

type messageOutput struct {
	Body struct {
		ID    string `json:"id" doc:"Id of the message."`
		Parts int    `json:"parts" doc:"SMS that it is sent as."`
	}
}

func (s *Server) sendMessage(ctx context.Context, in *messageInput) (*messageOutput, error) {
	m := in.Body
	var f faults
	to, err := addressOf("phone", m.To)
	if err != nil {
		f.at("/to", err.Error())
	}
	if !printable(m.From) {
		f.at("/from", "it is not printable")
	}
	if !utf8.ValidString(m.Text) {
		f.at("/text", "it is not UTF-8")
	}
	parts := s.parts(m.Text, m.Carrier)
	if parts > maxParts {
		f.at("/text", "it would take more than 255 SMS")
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	if err := s.mayContact(ctx, to); err != nil {
		return nil, err
	}
	body, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	id, err := s.rt.SendOnce(ctx, &runtime.Message{
		Send: flowengine.Send{
			ID: "api/" + randomID(), Channel: m.Channel, From: m.From, To: to.Value, Text: m.Text,
			Expires: s.stamp().Add(flowengine.MaxValidity), Marketing: m.Category == "marketing",
		},
		Carrier: m.Carrier,
	}, once(ctx, in.Key, "POST /v1/messages", body))
	out := new(messageOutput)
	out.Body.ID, out.Body.Parts = id, parts
	return out, err
}

func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// mayContact refuses a recipient who wants no messages. Who is not known may be
// written to.
func (s *Server) mayContact(ctx context.Context, to flowengine.Address) error {
	p, err := s.rt.Profile(ctx, runtime.Who{Address: to}, 0)
	if errors.Is(err, runtime.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	exchangeOf(ctx).concerns(p.Person.ID)
	if p.Person.Blocked(to.Kind) {
		return newProblem(http.StatusConflict, "the person wants no messages over this channel (do not contact)")
	}
	return nil
}
