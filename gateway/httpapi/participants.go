package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
)

// Bounds of a request for participants.
const (
	maxCallback = 4000 // octets
)

func (s *Server) participantRoutes() {
	const path = "/v1/flows/{flow}/entries/{entry}/participants"
	operate(s, route{id: "add-participants", method: post, path: path, tag: "participants", scope: Flows, token: true, status: http.StatusAccepted,
		summary: "Let 1 to 1000 persons into a flow",
		about: "The request is durable when it is answered, and each participant then enters once. Whom the identifier and the contacts lead to is updated; " +
			"who is unknown is made; persons to whom several contacts lead become one, the oldest of them, unless onConflict says reject. One participant that is wrong does not stop the others: the report tells."}, s.addParticipants)
	describeBody[ParticipantsInput](s, path)
	operate(s, route{id: "participants-report", method: get, path: path + "/report", tag: "participants", scope: Flows, token: true,
		summary: "Read what became of the participants of a request", about: "A report is kept for 30 days."}, s.participantsReport)
}

// ParticipantsInput is a request for participants.
type ParticipantsInput struct {
	Participants []ParticipantInput `json:"participants" minItems:"1" maxItems:"1000" doc:"The participants."`
	NotifyURL    string             `json:"notifyUrl,omitempty" format:"uri" maxLength:"2048" doc:"Where the report is posted to when all participants are settled: http or https."`
	CallbackData string             `json:"callbackData,omitempty" maxLength:"4000" doc:"What the report shall repeat."`
	OnConflict   string             `json:"onConflict,omitempty" enum:"merge,reject" doc:"When the contacts of a participant are those of several persons: they are merged, or the participant is rejected. Default: the setting people.on_conflict."`
}

// ParticipantInput is one person to be let in.
type ParticipantInput struct {
	IdentifyBy Identifier                 `json:"identifyBy" doc:"What the person is found by."`
	Variables  map[string]json.RawMessage `json:"variables,omitempty" doc:"Variables of the run: strings, numbers, true and false."`
	Person     *ParticipantPerson         `json:"person,omitempty" doc:"What is to be written to the profile."`
}

// Identifier is what a person is found by.
type Identifier struct {
	Identifier string `json:"identifier" maxLength:"256" doc:"The identifier."`
	Type       string `json:"type" enum:"PHONE,EMAIL,EXTERNAL" doc:"Kind of the identifier."`
}

// ParticipantPerson is what a request knows of a person. Besides the fields here
// it may have attributes by their names.
type ParticipantPerson struct {
	_ struct{} `additionalProperties:"true"`

	ExternalID         string                     `json:"externalId,omitempty" maxLength:"256" doc:"Id of the person in another system."`
	FirstName          string                     `json:"firstName,omitempty" doc:"Written to the attribute of this name, as are lastName, birthDate and others."`
	LastName           string                     `json:"lastName,omitempty" doc:"Likewise."`
	Tags               []string                   `json:"tags,omitempty" doc:"Tags to add."`
	CustomAttributes   map[string]json.RawMessage `json:"customAttributes,omitempty" doc:"Attributes by name; null removes one."`
	ContactInformation *ContactInformation        `json:"contactInformation,omitempty" doc:"Further contacts."`
}

// ContactInformation lists contacts.
type ContactInformation struct {
	Phone []PhoneContact `json:"phone,omitempty" doc:"Phone numbers."`
	Email []EmailContact `json:"email,omitempty" doc:"E-mail addresses."`
}

// PhoneContact is a phone number.
type PhoneContact struct {
	Number string `json:"number" doc:"The number."`
}

// EmailContact is an e-mail address.
type EmailContact struct {
	Address string `json:"address" doc:"The address."`
}

type participantsInput struct {
	Flow        string `path:"flow" maxLength:"64" doc:"Id of the flow."`
	Entry       string `path:"entry" maxLength:"64" doc:"Id of the entry point, which is of type flow_api."`
	Key         string `header:"Idempotency-Key" maxLength:"255" doc:"A repeated request with the same key and body gets the same answer for 24 hours, and nobody enters again."`
	ContentType string `header:"Content-Type" hidden:"true"`
	RawBody     []byte `contentType:"application/json"`
}

type participantsOutput struct {
	Body struct {
		OperationID string `json:"operationId" doc:"Names the request in the report."`
	}
}

func (s *Server) addParticipants(ctx context.Context, in *participantsInput) (*participantsOutput, error) {
	exchangeOf(ctx).flow = in.Flow
	if err := isJSON(in.ContentType); err != nil {
		return nil, err
	}
	op, err := s.readParticipants(in.RawBody)
	if err != nil {
		return nil, err
	}
	op.Flow, op.Entry = in.Flow, in.Entry
	id, err := s.rt.Accept(ctx, op, once(ctx, in.Key, "POST "+participantsPath(in.Flow, in.Entry), in.RawBody))
	out := new(participantsOutput)
	out.Body.OperationID = id.String()
	return out, err
}

func isJSON(contentType string) error {
	if contentType == "" {
		return nil
	}
	if kind, _, err := mime.ParseMediaType(contentType); err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return newProblem(http.StatusUnsupportedMediaType, "the body has to be application/json")
	}
	return nil
}

// once makes a request with an idempotency key act once for its caller.
func once(ctx context.Context, key, what string, body []byte) *runtime.Once {
	if key == "" {
		return nil
	}
	request := sha256.New()
	_, _ = io.WriteString(request, what+"\x00")
	request.Write(body)
	o := &runtime.Once{Key: sha256.Sum256([]byte(exchangeOf(ctx).caller + "\x00" + key))}
	request.Sum(o.Request[:0])
	return o
}

// readParticipants reads a request. Only what makes the request as a whole
// unreadable is an error: what is wrong with one participant is its own reason.
func (s *Server) readParticipants(body []byte) (*runtime.Operation, error) {
	var in struct {
		Participants []json.RawMessage `json:"participants"`
		NotifyURL    string            `json:"notifyUrl"`
		CallbackData string            `json:"callbackData"`
		OnConflict   string            `json:"onConflict"`
	}
	if err := decode(body, &in); err != nil {
		return nil, newProblem(http.StatusBadRequest, "the body can't be read: "+err.Error())
	}
	if n := len(in.Participants); n < 1 || n > runtime.MaxParticipants {
		detail := fmt.Sprintf("Number of participants must be between 1 and %d. Received: %d", runtime.MaxParticipants, n)
		return nil, newProblem(http.StatusBadRequest, detail, Fault{Pointer: "/participants", Detail: detail})
	}
	var f faults
	if len(in.CallbackData) > maxCallback {
		f.at("/callbackData", fmt.Sprintf("it has more than %d octets", maxCallback))
	}
	if in.NotifyURL != "" {
		if s.notify == nil {
			f.at("/notifyUrl", "this gateway sends no notifications; ask for the report")
		} else if err := s.notify(in.NotifyURL); err != nil {
			f.at("/notifyUrl", err.Error())
		}
	}
	conflict, err := runtime.ConflictNamed(in.OnConflict)
	if err != nil {
		f.at("/onConflict", err.Error())
	}
	op := &runtime.Operation{OnConflict: conflict, Notify: in.NotifyURL, Callback: in.CallbackData, Participants: make([]runtime.Participant, len(in.Participants))}
	for i, raw := range in.Participants {
		op.Participants[i] = readParticipant(raw, s.rt.Schema())
	}
	return op, f.err()
}

// decode reads one JSON value strictly.
func decode(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("there is more after the end of the object")
	}
	return nil
}

// participantReader reads one participant; the first reason stays.
type participantReader struct {
	schema *flowengine.Schema
	out    runtime.Participant
}

// readParticipant reads one participant. What is wrong with it becomes its reason
// (rule A3).
func readParticipant(raw json.RawMessage, schema *flowengine.Schema) runtime.Participant {
	r := &participantReader{schema: schema}
	var in struct {
		IdentifyBy json.RawMessage            `json:"identifyBy"`
		Variables  map[string]json.RawMessage `json:"variables"`
		Person     map[string]json.RawMessage `json:"person"`
	}
	if err := decode(raw, &in); err != nil {
		r.reject(runtime.RejectedAttribute, "", err.Error())
	}
	r.identifier(in.IdentifyBy)
	r.person(in.Person)
	var f faults
	r.out.Vars = properties(in.Variables, "/variables", &f)
	r.rejectAll(f)
	if r.out.Rejected != "" { // keep what the report shows, no more
		return runtime.Participant{Addresses: r.out.Addresses[:min(1, len(r.out.Addresses))], Rejected: r.out.Rejected, Detail: r.out.Detail}
	}
	return r.out
}

func (r *participantReader) reject(reason, at, detail string) {
	if r.out.Rejected == "" {
		if at != "" {
			detail = at + ": " + detail
		}
		r.out.Rejected, r.out.Detail = reason, detail
	}
}

func (r *participantReader) rejectAll(f faults) {
	if len(f) == 0 {
		return
	}
	details := make([]string, min(len(f), 5))
	for i := range details {
		details[i] = f[i].Pointer + ": " + f[i].Detail
	}
	r.reject(runtime.RejectedAttribute, "", strings.Join(details, "; "))
}

func (r *participantReader) address(kind, value, at string) {
	a, err := addressOf(kind, value)
	if err != nil {
		r.reject(runtime.RejectedContact, at, err.Error())
		return
	}
	for _, known := range r.out.Addresses {
		if known == a {
			return
		}
	}
	if len(r.out.Addresses) == runtime.MaxContacts {
		r.reject(runtime.RejectedContact, at, fmt.Sprintf("at most %d contacts are taken", runtime.MaxContacts))
		return
	}
	r.out.Addresses = append(r.out.Addresses, a)
}

func (r *participantReader) identifier(raw json.RawMessage) {
	var in struct {
		Identifier string          `json:"identifier"`
		Type       string          `json:"type"`
		Sender     json.RawMessage `json:"sender"` // of chats; not needed here
	}
	if raw == nil {
		r.reject(runtime.RejectedContact, "/identifyBy", "it is missing")
		return
	}
	if err := decode(raw, &in); err != nil {
		r.reject(runtime.RejectedContact, "/identifyBy", err.Error())
		return
	}
	switch in.Type {
	case "PHONE", "EMAIL", "EXTERNAL":
		r.address(strings.ToLower(in.Type), in.Identifier, "/identifyBy/identifier")
	default:
		r.reject(runtime.RejectedContact, "/identifyBy/type", fmt.Sprintf("%q is none of PHONE, EMAIL and EXTERNAL", clip(in.Type)))
	}
}

// person reads what is to be written to the profile. What has no meaning of its
// own is an attribute by its name.
func (r *participantReader) person(given map[string]json.RawMessage) {
	var f faults
	plain := map[string]json.RawMessage{}
	for name, raw := range given {
		var err error
		switch name {
		case "externalId":
			var id string
			if err = json.Unmarshal(raw, &id); err == nil && id != "" {
				r.address("external", id, "/person/externalId")
				plain[name] = raw // flows see it as an attribute
			}
		case "tags":
			var names []string
			if err = json.Unmarshal(raw, &names); err == nil {
				r.out.Tags = tags(names, "/person/tags", &f)
			}
		case "contactInformation":
			err = r.contacts(raw)
		case "customAttributes":
			var custom map[string]json.RawMessage
			if err = json.Unmarshal(raw, &custom); err == nil {
				r.attributes(attributes(r.schema, custom, "/person/customAttributes", &f))
			}
		default:
			plain[name] = raw
		}
		if err != nil {
			f.at("/person"+pointer(name), err.Error())
		}
	}
	r.attributes(attributes(r.schema, plain, "/person", &f))
	r.rejectAll(f)
}

func (r *participantReader) attributes(set []flowengine.Attr) {
	for _, a := range set {
		if a.Value.Type == flowengine.Unset {
			r.out.Unset = append(r.out.Unset, a.Name)
			continue
		}
		r.out.Attrs.Set(a.Name, a.Value)
	}
}

func (r *participantReader) contacts(raw json.RawMessage) error {
	var in ContactInformation
	if err := decode(raw, &in); err != nil {
		return err
	}
	for i, p := range in.Phone {
		r.address("phone", p.Number, pointer("person", "contactInformation", "phone", fmt.Sprint(i)))
	}
	for i, e := range in.Email {
		r.address("email", e.Address, pointer("person", "contactInformation", "email", fmt.Sprint(i)))
	}
	return nil
}

type reportInput struct {
	Flow        string `path:"flow" maxLength:"64" doc:"Id of the flow."`
	Entry       string `path:"entry" maxLength:"64" doc:"Id of the entry point."`
	OperationID string `query:"operationId" required:"true" maxLength:"26" doc:"Id that the request was answered with."`
}

// Report tells what became of the participants of a request.
type Report struct {
	OperationID  string              `json:"operationId" doc:"Names the request."`
	Flow         string              `json:"flow" doc:"Id of the flow."`
	Entry        string              `json:"entry" doc:"Id of the entry point."`
	AcceptedAt   time.Time           `json:"acceptedAt" doc:"When the request was accepted."`
	CallbackData string              `json:"callbackData,omitempty" doc:"What the request gave."`
	Pending      int                 `json:"pending" doc:"Participants that are on their way."`
	Accepted     int                 `json:"accepted" doc:"Participants that entered."`
	Rejected     int                 `json:"rejected" doc:"Participants that did not."`
	Participants []ParticipantReport `json:"participants" nullable:"false" doc:"What became of each, in the order of the request."`
}

// ParticipantReport tells what became of a participant.
type ParticipantReport struct {
	IdentifyBy  *Identifier `json:"identifyBy,omitempty" doc:"What the person is found by; gone when the person was erased, or when it could not be read."`
	Person      string      `json:"person,omitempty" doc:"Id of the person."`
	Status      string      `json:"status" enum:"PENDING,ACCEPTED,REJECTED" doc:"What became of the participant."`
	ErrorReason string      `json:"errorReason,omitempty" enum:"REJECTED_INVALID_CONTACT,REJECTED_ATTRIBUTE_MISSED,REJECTED_PERSON_IN_FLOW,REJECTED_PERSON_NOT_ALLOWED_TO_REENTER,REJECTED_FLOW_ERROR_UNKNOWN" doc:"Why the participant was rejected."`
	Detail      string      `json:"detail,omitempty" doc:"More about that."`
}

type reportOutput struct{ Body *Report }

func (s *Server) participantsReport(ctx context.Context, in *reportInput) (*reportOutput, error) {
	exchangeOf(ctx).flow = in.Flow
	id, err := runtime.ParseOperationID(in.OperationID)
	if err != nil {
		return nil, newProblem(http.StatusUnprocessableEntity, "validation failed", Fault{Parameter: "operationId", Detail: err.Error()})
	}
	o, err := s.rt.Operation(id)
	if err != nil {
		return nil, err
	}
	if o.Flow != in.Flow || o.Entry != in.Entry {
		return nil, newProblem(http.StatusNotFound, fmt.Sprintf("there is no operation %s of this entry point", id))
	}
	return &reportOutput{ViewReport(o)}, nil
}

// Notification is the body that is posted to the notifyUrl of a request, whose
// operation a row of runtime.NotifyChannel names.
func (s *Server) Notification(operation string) ([]byte, error) {
	id, err := runtime.ParseOperationID(operation)
	if err != nil {
		return nil, err
	}
	o, err := s.rt.Operation(id)
	if err != nil {
		return nil, err
	}
	return json.Marshal(ViewReport(o))
}

// ViewReport makes the plain form of an operation's report.
func ViewReport(o *runtime.OperationReport) *Report {
	v := &Report{
		OperationID: o.ID.String(), Flow: o.Flow, Entry: o.Entry, AcceptedAt: o.At, CallbackData: o.Callback,
		Pending: o.Pending, Accepted: o.Accepted, Rejected: o.Rejected, Participants: make([]ParticipantReport, len(o.Participants)),
	}
	for i, p := range o.Participants {
		r := ParticipantReport{Status: strings.ToUpper(p.Status.String()), Detail: p.Detail}
		if p.Identifier.Value != "" {
			r.IdentifyBy = &Identifier{Identifier: p.Identifier.Value, Type: strings.ToUpper(p.Identifier.Kind.String())}
		}
		if !p.Person.IsZero() {
			r.Person = p.Person.String()
		}
		if p.Status == runtime.Rejected {
			r.ErrorReason = reasonOf(p.Reason)
			if r.Detail == "" {
				r.Detail = p.Reason
			}
		}
		v.Participants[i] = r
	}
	return v
}

// reasonOf translates why a participant was rejected.
func reasonOf(reason string) string {
	switch reason {
	case runtime.RejectedContact:
		return "REJECTED_INVALID_CONTACT"
	case runtime.RejectedAttribute:
		return "REJECTED_ATTRIBUTE_MISSED"
	case flowengine.RefusedInFlow:
		return "REJECTED_PERSON_IN_FLOW"
	case flowengine.RefusedReenter, flowengine.RefusedTimeDelay, flowengine.RefusedEntryLimit, flowengine.RefusedControlGroup:
		return "REJECTED_PERSON_NOT_ALLOWED_TO_REENTER"
	}
	return "REJECTED_FLOW_ERROR_UNKNOWN"
}
