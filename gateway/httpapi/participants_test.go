package httpapi

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"trunkline/flowengine/runtime"
	"trunkline/storage/memory"
)

const participants = "/v1/flows/invited/entries/api/participants"

func phoneOf(n int) string { return fmt.Sprintf("3859100%05d", n) }

// guests is a request for n participants.
func guests(n int) object {
	all := make([]object, n)
	for i := range all {
		all[i] = object{"identifyBy": object{"identifier": "+" + phoneOf(i), "type": "PHONE"}, "person": object{"externalId": fmt.Sprint("crm-", i)}}
	}
	return object{"participants": all}
}

// report waits until all participants are settled.
func (s *site) report(operation any) (r Report) {
	s.Helper()
	s.eventually("the report", func() bool {
		s.get(Flows, participants+"/report?operationId="+fmt.Sprint(operation)).is(200).into(&r)
		return r.Pending == 0
	})
	return r
}

// A1
func TestParticipants(t *testing.T) {
	s := newSite(t, options{})
	body := guests(1000)
	body["callbackData"] = "order 7"
	operation := s.post(Flows, participants, body).is(202).field("operationId")
	r := s.report(operation)
	expect(t, "accepted", r.Accepted, 1000)
	expect(t, "callbackData", r.CallbackData, "order 7")
	expect(t, "identifier", *r.Participants[999].IdentifyBy, Identifier{phoneOf(999), "PHONE"})
	expect(t, "status", r.Participants[999].Status, "ACCEPTED")
	s.eventually("the messages", func() bool { return s.sentTo(phoneOf(999)) == 1 })
	var p Person
	s.get(People, "/v1/people/external:crm-999").is(200).into(&p)
	expect(t, "person", p.ID, r.Participants[999].Person)
	expect(t, "run", p.Runs[0].Flow, "invited")
	var f Flow
	s.get(Flows, "/v1/flows/invited").is(200).into(&f)
	expect(t, "inside", f.Inside, 1000)
	expect(t, "entry", f.Entries[0].Path, participants)
	s.send(request{bearer: f.Entries[0].Token, method: "GET", path: participants + "/report?operationId=" + fmt.Sprint(operation)}).is(200)
}

// A1: the number of participants and the state of the flow are refused at once.
func TestParticipantsRefused(t *testing.T) {
	s := newSite(t, options{})
	for n, text := range map[int]string{
		0:    "Number of participants must be between 1 and 1000. Received: 0",
		1001: "Number of participants must be between 1 and 1000. Received: 1001",
	} {
		expect(t, "detail", s.post(Flows, participants, guests(n)).is(400).problem().Detail, text)
	}
	s.post(Flows, participants, `{"participants":[{}],"campaign":1}`).is(400)
	s.post(Flows, participants, object{"participants": []object{{}}, "notifyUrl": "ftp://x", "callbackData": strings.Repeat("x", 4001)}).is(422).wrong("/callbackData", "/notifyUrl")
	s.post(Flows, participants, object{"participants": []object{{}}, "notifyUrl": "https://crm.example/"}).is(422).wrong("/notifyUrl") // nobody would send it
	s.post(Flows, "/v1/flows/unknown/entries/api/participants", guests(1)).is(404)
	s.post(Flows, "/v1/flows/invited/entries/unknown/participants", guests(1)).is(404)
	s.post(Flows, "/v1/flows/invited/entries/text/participants", guests(1)).is(404)
	s.get(Flows, participants+"/report").is(422).wrong("operationId")
	s.get(Flows, participants+"/report?operationId=x").is(422).wrong("operationId")
	s.get(Flows, participants+"/report?operationId=00000000000000000000000000").is(404)
	s.post(Admin, "/v1/flows/invited/stop", nil).is(200)
	s.post(Flows, participants, guests(1)).is(409) // A3
}

// A2, A3: each participant has its own result.
func TestParticipantsOneByOne(t *testing.T) {
	s := newSite(t, options{})
	s.report(s.post(Flows, participants, guests(3)).is(202).field("operationId"))
	by := func(kind, id string) object { return object{"identifier": id, "type": kind} }
	unknown := by("PHONE", "385999000001")
	tests := []struct {
		name        string
		participant any
		reason      string
		detail      string // a part of it
	}{
		{"fine", object{"identifyBy": unknown, "person": object{"firstName": "Ann", "tags": []string{"new"}, "customAttributes": object{"shoeSize": 42, "debt": "12.50", "vip": true, "birthDate": "1990-12-31"},
			"contactInformation": object{"phone": []object{{"number": "385999000002"}}, "email": []object{{"address": "ann@Example.com"}}}}, "variables": object{"order": 7, "at": "2026-01-01T00:00:00Z"}}, "", ""},
		{"in the flow", object{"identifyBy": by("EXTERNAL", "crm-0")}, "PERSON_IN_FLOW", ""},
		{"contacts of two persons", object{"identifyBy": by("EXTERNAL", "crm-1"), "person": object{"contactInformation": object{"phone": []object{{"number": phoneOf(2)}}}}}, "INVALID_CONTACT", "several persons"},
		{"no identifier", object{}, "INVALID_CONTACT", "/identifyBy: it is missing"},
		{"no object", 7, "ATTRIBUTE_MISSED", ""},
		{"null", nil, "INVALID_CONTACT", ""},
		{"identifier of another kind", object{"identifyBy": by("FACEBOOK", "1")}, "INVALID_CONTACT", "/identifyBy/type"},
		{"identifier of another type", object{"identifyBy": object{"identifier": 385911, "type": "PHONE"}}, "INVALID_CONTACT", "/identifyBy"},
		{"no phone number", object{"identifyBy": by("PHONE", "call me")}, "INVALID_CONTACT", "/identifyBy/identifier"},
		{"no mail address", object{"identifyBy": by("EMAIL", "ann")}, "INVALID_CONTACT", "/identifyBy/identifier"},
		{"unknown attribute", object{"identifyBy": unknown, "person": object{"customAttributes": object{"hatSize": 7}}}, "ATTRIBUTE_MISSED", "/person/customAttributes/hatSize"},
		{"unknown attribute by its name", object{"identifyBy": unknown, "person": object{"nickname": "Bee"}}, "ATTRIBUTE_MISSED", "/person/nickname"},
		{"attribute of another type", object{"identifyBy": unknown, "person": object{"customAttributes": object{"shoeSize": "42"}}}, "ATTRIBUTE_MISSED", "/person/customAttributes/shoeSize"},
		{"attribute that is too long", object{"identifyBy": unknown, "person": object{"city": strings.Repeat("x", 51)}}, "ATTRIBUTE_MISSED", "/person/city"},
		{"attribute that can't be written", object{"identifyBy": unknown, "person": object{"customAttributes": object{"id": "x"}}}, "ATTRIBUTE_MISSED", "/person/customAttributes/id"},
		{"nested attribute", object{"identifyBy": unknown, "person": object{"customAttributes": object{"firstName": object{"a": 1}}}}, "ATTRIBUTE_MISSED", "/person/customAttributes/firstName"},
		{"nested variable", object{"identifyBy": unknown, "variables": object{"a": []int{1}}}, "ATTRIBUTE_MISSED", "/variables/a"},
		{"variable with a bad name", object{"identifyBy": unknown, "variables": object{"a b": 1}}, "ATTRIBUTE_MISSED", "/variables/a b"},
		{"unknown field", object{"identifyBy": unknown, "colour": 1}, "ATTRIBUTE_MISSED", "colour"},
		{"fine too", object{"identifyBy": by("EMAIL", "bob@example.com")}, "", ""},
	}
	var all []any
	for _, tt := range tests {
		all = append(all, tt.participant)
	}
	r := s.report(s.post(Flows, participants, object{"participants": all, "onConflict": "reject"}).is(202).field("operationId"))
	for i, tt := range tests {
		got, status, reason := r.Participants[i], "ACCEPTED", ""
		if tt.reason != "" {
			status, reason = "REJECTED", "REJECTED_"+tt.reason
		}
		if got.Status != status || got.ErrorReason != reason || !strings.Contains(got.Detail, tt.detail) {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
	var p Person
	s.get(People, "/v1/people/email:ann@example.com").is(200).into(&p)
	expect(t, "name", p.Attributes["firstName"], any("Ann"))
	expect(t, "decimal", p.Attributes["debt"], any("12.5"))
	expect(t, "size", p.Attributes["shoeSize"], any(float64(42)))
	expect(t, "addresses", len(p.Addresses), 3)
	expect(t, "tags", fmt.Sprint(p.Tags), "[new]")
}

func TestNotAllowedToReenter(t *testing.T) {
	s := newSite(t, options{flow: invited + "settings: {reenter: false}\n"})
	s.report(s.post(Flows, participants, guests(1)).is(202).field("operationId"))
	var removed struct{ Runs int }
	s.send(request{scope: Flows, method: "DELETE", path: "/v1/flows/invited/participants?externalId=crm-0"}).is(200).into(&removed) // A4
	expect(t, "runs", removed.Runs, 1)
	s.send(request{scope: Flows, method: "DELETE", path: "/v1/flows/invited/participants?phone=" + phoneOf(0)}).is(404)
	s.send(request{scope: Flows, method: "DELETE", path: "/v1/flows/invited/participants"}).is(422)
	s.send(request{scope: Flows, method: "DELETE", path: "/v1/flows/invited/participants?phone=1&email=x"}).is(422)
	s.send(request{scope: Flows, method: "DELETE", path: "/v1/flows/unknown/participants?phone=" + phoneOf(0)}).is(404)
	r := s.report(s.post(Flows, participants, guests(1)).is(202).field("operationId"))
	expect(t, "reason", r.Participants[0].ErrorReason, "REJECTED_PERSON_NOT_ALLOWED_TO_REENTER")
}

// A1: the answer is a promise. The runtime ends before it has worked anything
// off; the next one does.
func TestRestartAfterAnswer(t *testing.T) { // E7
	kept := memory.New()
	s := newSite(t, options{store: kept})
	key := map[string]string{"Idempotency-Key": "k-1"}
	accepted := s.send(request{scope: Flows, method: "POST", path: participants, body: guests(500), header: key}).is(202).field("operationId")
	crashed := kept.Clone() // as a kill finds it: some in, most not
	s.halt()

	s = again(t, s, crashed)
	repeated := s.send(request{scope: Flows, method: "POST", path: participants, body: guests(500), header: key}).is(202).field("operationId")
	expect(t, "answer", repeated, accepted)
	r := s.report(accepted)
	expect(t, "accepted", r.Accepted, 500)
	var f Flow
	s.get(Flows, "/v1/flows/invited").is(200).into(&f)
	expect(t, "entered", f.Entered, 500)
}

// again is a site on another store with the same keys.
func again(t *testing.T, old *site, store *memory.Store) *site {
	s := newSite(t, options{store: store, change: func(c *Config) { c.Keys = old.api.config.Keys }})
	s.keys = old.keys
	return s
}

// A1
func TestIdempotencyKey(t *testing.T) {
	s := newSite(t, options{flow: invited + "settings: {allow_simultaneous: true}\n"})
	key := map[string]string{"Idempotency-Key": "order-7"}
	send := func(scope Scope, body any) *answer {
		return s.send(request{scope: scope, method: "POST", path: participants, body: body, header: key})
	}
	first := send(Flows, guests(2)).is(202).field("operationId")
	expect(t, "repeated", send(Flows, guests(2)).is(202).field("operationId"), first)
	send(Flows, guests(3)).is(422)
	if send(Admin, guests(2)).is(202).field("operationId") == first { // keys of other callers are others
		t.Error("another caller got the answer")
	}
	s.report(first)
	message := func(text string) *answer {
		return s.send(request{scope: Messages, method: "POST", path: "/v1/messages", body: object{"to": "385999000009", "text": text}, header: key})
	}
	id := message("hello").is(202).field("id")
	expect(t, "repeated", message("hello").is(202).field("id"), id)
	message("goodbye").is(422)
	s.eventually("the message", func() bool { return s.sentTo("385999000009") > 0 })
	expect(t, "messages", s.sentTo("385999000009"), 1)
}

// Two requests at the same time, and a limit of one entry: one entry.
func TestSimultaneousRequests(t *testing.T) { // E7
	s := newSite(t, options{flow: invited + "settings: {reenter: false}\n"})
	operations := make(chan any, 16)
	for range cap(operations) {
		go func() {
			operations <- s.post(Flows, participants, guests(1)).field("operationId")
		}()
	}
	var statuses []string
	for range cap(operations) {
		statuses = append(statuses, s.report(<-operations).Participants[0].Status)
	}
	slices.Sort(statuses)
	expect(t, "accepted", slices.Index(statuses, "REJECTED"), 1)
}

// Who wants to be told is told, with the report.
func TestNotification(t *testing.T) {
	s := newSite(t, options{notify: func(string) error { return nil }})
	s.rt.Register(runtime.NotifyChannel, s)
	body := guests(3)
	body["notifyUrl"] = "https://crm.example/done"
	operation := s.post(Flows, participants, body).is(202).field("operationId")
	s.eventually("the notification", func() bool { return s.sentTo("https://crm.example/done") == 1 })
	text, err := s.api.Notification(fmt.Sprint(operation))
	if err != nil || !strings.Contains(string(text), `"accepted":3`) {
		t.Errorf("%v: %s", err, text)
	}
}

func FuzzParticipant(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `{"identifyBy":{"identifier":"385911","type":"PHONE"}}`, `{"identifyBy":{"identifier":"x","type":"EXTERNAL"},"person":{"tags":["a"],"customAttributes":{"shoeSize":1e400}}}`,
		`{"identifyBy":{"identifier":"a@b","type":"EMAIL"},"variables":{"a":1.5,"b":"2026-01-01T00:00:00Z","c":null}}`, `{"person":{"contactInformation":{"phone":[{"number":"1"}]}}}`,
	} {
		f.Add([]byte(seed))
	}
	s := newSiteSchema(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		p := readParticipant(raw, s)
		if p.Rejected == "" && (len(p.Addresses) == 0 || len(p.Addresses) > runtime.MaxContacts) {
			t.Errorf("%d contacts", len(p.Addresses))
		}
		for _, a := range p.Addresses {
			if err := a.Check(); err != nil {
				t.Error(err)
			}
		}
	})
}
