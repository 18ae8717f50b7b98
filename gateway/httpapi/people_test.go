package httpapi

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"trunkline/flowengine"
)

func newSiteSchema(f testing.TB) *flowengine.Schema {
	f.Helper()
	schema, err := flowengine.NewSchema(flowengine.Attribute{Name: "shoeSize", Type: flowengine.Whole})
	if err != nil {
		f.Fatal(err)
	}
	return schema
}

func address(kind, value string) object { return object{"kind": kind, "value": value} }

func (s *site) patch(ref string, body any) *answer {
	s.Helper()
	return s.send(request{scope: People, method: "PATCH", path: "/v1/people/" + url.PathEscape(ref), body: body})
}

func TestPeople(t *testing.T) {
	s := newSite(t, options{})
	ann := object{"addresses": []object{address("phone", "+385 (91) 100-0001"), address("email", "ann@Example.COM"), address("external", "crm/1 ä")}, "attributes": object{"shoeSize": 38}, "tags": []string{"VIP"}}
	var p Person
	s.post(People, "/v1/people", ann).is(201).into(&p)
	s.post(People, "/v1/people", ann).is(200)
	for _, ref := range []string{p.ID, strings.ToUpper(p.ID), "+385911000001", "phone:385911000001", "ann@example.com", "email:ann@example.com", "external:crm/1 ä"} {
		expect(t, ref, s.get(People, "/v1/people/"+url.PathEscape(ref)).is(200).field("id"), any(p.ID))
	}
	var q Person
	s.patch(p.ID, object{
		"attributes": object{"shoeSize": nil, "firstName": "Ann", "debt": 12.345678, "seen": "2026-01-02T03:04:05+01:00"}, "tags": object{"add": []string{"new"}, "remove": []string{"vip"}},
		"do_not_contact": object{"add": []string{"phone"}}, "addresses": object{"add": []object{address("phone", "385911000009")}, "remove": []object{address("email", "ann@example.com")}},
	}).is(200).into(&q)
	expect(t, "attributes", fmt.Sprint(q.Attributes), "map[debt:12.345678 firstName:Ann seen:2026-01-02T02:04:05.000Z]")
	expect(t, "tags", fmt.Sprint(q.Tags), "[new]")
	expect(t, "do not contact", fmt.Sprint(q.DoNotContact), "[phone]")
	expect(t, "addresses", fmt.Sprint(q.Addresses), "[{phone 385911000001} {external crm/1 ä} {phone 385911000009}]")
	s.get(People, "/v1/people/ann@example.com").is(404)
	s.send(request{scope: People, method: "PUT", path: "/v1/people/" + p.ID + "/tags/a%2Fb"}).is(204)
	s.send(request{scope: People, method: "DELETE", path: "/v1/people/" + p.ID + "/tags/NEW"}).is(204)
	expect(t, "tags", fmt.Sprint(s.get(People, "/v1/people/"+p.ID).is(200).field("tags")), "[a/b]")
	s.send(request{scope: Messages, method: "POST", path: "/v1/messages", body: object{"to": "385911000001", "text": "hi"}}).is(409)
}

// A2: contacts of several persons make one of them, as does a request to merge.
func TestMergePeople(t *testing.T) {
	s := newSite(t, options{})
	make := func(kind, value, city string) (p Person) {
		s.post(People, "/v1/people", object{"addresses": []object{address(kind, value)}, "attributes": object{"city": city}}).is(201).into(&p)
		time.Sleep(2 * time.Millisecond)
		return p
	}
	oldest := make("external", "crm-1", "Split")
	make("phone", "385911000001", "Zadar")
	make("email", "ann@example.com", "Pula")
	var p Person
	s.post(People, "/v1/people", object{"addresses": []object{address("phone", "385911000001"), address("external", "crm-1")}, "attributes": object{"firstName": "Ann"}}).is(200).into(&p)
	expect(t, "the oldest", p.ID, oldest.ID)
	expect(t, "attributes", fmt.Sprint(p.Attributes), "map[city:Split firstName:Ann]")
	s.post(People, "/v1/people/email:ann@example.com/merge", object{"with": []string{"phone:385911000001"}}).is(200).into(&p)
	expect(t, "the oldest", p.ID, oldest.ID)
	expect(t, "addresses", len(p.Addresses), 3)
	s.post(People, "/v1/people/email:ann@example.com/merge", object{"with": []string{"phone:385911000001"}}).is(200)
	s.post(People, "/v1/people/email:ann@example.com/merge", object{"with": []string{"phone:385911000099"}}).is(404)
	s.post(People, "/v1/people/email:ann@example.com/merge", object{"with": []string{}}).is(422)
}

// Every field that is wrong is told, at once.
func TestPeopleRefused(t *testing.T) {
	s := newSite(t, options{})
	s.post(People, "/v1/people", object{
		"addresses":  []object{address("phone", "call me"), address("pigeon", "1"), address("phone", "385911000001"), address("external", "a\x00b"), address("email", "a b@c")},
		"attributes": object{"hatSize": 1, "id": "x", "shoeSize": "38", "vip": 1, "birthDate": "31.12.1990", "debt": "much"}, "tags": []string{"", strings.Repeat("t", 200), "fine"},
	}).is(422).wrong("/addresses/0", "/addresses/1", "/addresses/3", "/addresses/4", "/attributes/birthDate", "/attributes/debt", "/attributes/hatSize", "/attributes/id",
		"/attributes/shoeSize", "/attributes/vip", "/tags/0", "/tags/1")
	s.post(People, "/v1/people", `{"addresses":[{"kind":7}],"name":"x","tags":[1]}`).is(422).wrong("/addresses/0/kind", "/addresses/0/value", "/tags/0", "/name")
	s.post(People, "/v1/people", object{"addresses": []object{}}).is(422).wrong("/addresses")
	s.patch("phone:nonsense", object{}).is(422).wrong("ref")
	s.patch("385911000001", object{}).is(404)
	s.patch("385911000001", object{"tags": []string{}}).is(422).wrong("/tags")
	s.post(People, "/v1/people", object{"addresses": []object{address("phone", "385911000001")}}).is(201)
	s.post(People, "/v1/people", object{"addresses": []object{address("phone", "385911000002")}}).is(201)
	s.post(People, "/v1/people", object{"addresses": []object{address("phone", "385911000002"), address("phone", "385911000001")}, "on_conflict": "reject"}).is(409)
	s.post(People, "/v1/people", object{"addresses": []object{address("phone", "385911000002")}, "on_conflict": "guess"}).is(422).wrong("/on_conflict")
	s.patch("385911000002", object{"addresses": object{"add": []object{address("phone", "385911000001")}}}).is(409)
	s.send(request{scope: People, method: "PATCH", path: "/v1/people/385911000003?create=true", body: object{"attributes": object{"vip": true}}}).is(200)
	s.send(request{scope: People, method: "DELETE", path: "/v1/people/385911000099"}).is(404)
	s.get(People, "/v1/people?cursor=x").is(422).wrong("cursor")
	s.get(People, "/v1/people/385911000001/history?cursor="+personCursor(flowengine.PersonID{1})).is(422)
}

func TestListAndErase(t *testing.T) {
	s := newSite(t, options{})
	for i := range 25 {
		s.post(People, "/v1/people", object{"addresses": []object{address("phone", phoneOf(i))}, "tags": []string{fmt.Sprint("t", i%2)}}).is(201)
	}
	list := func(query string) (ids map[string]bool, pages int) {
		ids = map[string]bool{}
		for cursor := ""; ; pages++ {
			var page struct {
				People []Person
				Cursor string
			}
			s.get(People, "/v1/people?limit=10&cursor="+cursor+query).is(200).into(&page)
			for _, p := range page.People {
				ids[p.ID] = true
			}
			if cursor = page.Cursor; cursor == "" {
				return ids, pages + 1
			}
		}
	}
	all, pages := list("")
	expect(t, "people", len(all), 25)
	expect(t, "pages", pages, 3)
	tagged, _ := list("&tag=T1")
	expect(t, "tagged", len(tagged), 12)
	s.post(Events, "/v1/people/"+phoneOf(1)+"/events", object{"name": "bought", "id": "1", "properties": object{"total": 12.5}}).is(200)
	var out struct {
		Person  Person
		History []Line
		Events  []Event
	}
	s.get(People, "/v1/people/"+phoneOf(1)+"/export").is(200).into(&out)
	expect(t, "events", fmt.Sprint(out.Events[0].Properties), "map[total:12.5]")
	if len(out.History) < 2 || out.Person.Tags[0] != "t1" {
		t.Errorf("export: %+v", out)
	}
	s.send(request{scope: People, method: "DELETE", path: "/v1/people/" + phoneOf(1)}).is(204)
	s.get(People, "/v1/people/"+phoneOf(1)).is(404)
	s.get(People, "/v1/people/"+out.Person.ID+"/history").is(404)
	s.get(Events, "/v1/people/"+out.Person.ID+"/events").is(404)
	all, _ = list("")
	expect(t, "people after one was erased", len(all), 24)
}

func TestHistoryPages(t *testing.T) {
	s := newSite(t, options{})
	for i := range 7 {
		s.send(request{scope: People, method: "PATCH", path: "/v1/people/385911?create=true", body: object{"attributes": object{"shoeSize": i}}}).is(200)
	}
	lines := 0
	for cursor := ""; ; {
		var page struct {
			History []Line
			Cursor  string
		}
		s.get(People, "/v1/people/385911/history?limit=3&cursor="+cursor).is(200).into(&page)
		lines += len(page.History)
		if cursor = page.Cursor; cursor == "" {
			break
		}
	}
	expect(t, "lines", lines, 7)
}

func TestEvents(t *testing.T) {
	now := time.Now()
	s := newSite(t, options{now: func() time.Time { return now }})
	const path = "/v1/people/385911000001/events"
	s.post(Events, path, object{"name": "bought"}).is(404)
	expect(t, "status", s.post(Events, path, object{"id": "1", "name": "bought", "create": true, "properties": object{"total": 12.5, "n": 3, "ok": true, "what": "shoes", "at": "2026-01-02T03:04:05Z", "none": nil}}).is(200).field("status"), any("accepted"))
	expect(t, "status", s.post(Events, path, object{"id": "1", "name": "bought"}).is(200).field("status"), any("repeated"))
	for _, tt := range []struct {
		body  object
		wrong []string
	}{
		{object{"name": "x", "at": now.Add(-91 * 24 * time.Hour)}, []string{"/at"}},
		{object{"name": "x", "at": now.Add(6 * time.Minute)}, []string{"/at"}},
		{object{"name": "x", "at": "yesterday"}, []string{"/at"}},
		{object{"name": ""}, []string{"/name"}},
		{object{}, []string{"/name"}},
		{object{"name": "x", "properties": object{"a b": 1, "c": []int{1}, "d": object{}, "e": 1e300}}, []string{"/properties/a b", "/properties/c", "/properties/d", "/properties/e"}},
		{object{"name": "Rented", "properties": object{"days": "many", "prise": 1, "price": 9}}, []string{"/properties/days", "/properties/prise"}},
		{object{"name": "x", "properties": object{"long": strings.Repeat("x", 5000)}}, []string{"/properties/long"}},
	} {
		s.post(Events, path, tt.body).is(422).wrong(tt.wrong...)
	}
	s.post(Events, path, object{"name": "x", "at": now.Add(-89 * 24 * time.Hour)}).is(200)
	s.post(Events, path, object{"name": "x", "at": now.Add(4 * time.Minute)}).is(200)
	var page struct{ Events []Event }
	s.get(Events, path).is(200).into(&page)
	expect(t, "events", len(page.Events), 3)
	expect(t, "properties", fmt.Sprint(page.Events[1].Properties), "map[at:2026-01-02T03:04:05.000Z n:3 ok:true total:12.5 what:shoes]")
}

func TestBatchOfEvents(t *testing.T) {
	s := newSite(t, options{})
	var all []object
	for i := range 1000 {
		all = append(all, object{"person": phoneOf(i), "name": "bought", "id": fmt.Sprint(i), "create": i%2 == 0})
	}
	all[0]["person"] = "nonsense!"
	all[2]["properties"] = object{"a": []int{}}
	var out struct {
		Accepted, Rejected int
		Results            []eventResult
	}
	s.post(Events, "/v1/events", object{"events": all}).is(200).into(&out)
	expect(t, "accepted", out.Accepted, 498)
	expect(t, "rejected", out.Rejected, 502)
	expect(t, "pointer", out.Results[0].Errors[0].Pointer, "/events/0/person")
	expect(t, "pointer", out.Results[2].Errors[0].Pointer, "/events/2/properties/a")
	if !strings.Contains(out.Results[1].Reason, "not found") {
		t.Errorf("%+v", out.Results[1])
	}
	expect(t, "repeated", s.post(Events, "/v1/events", object{"events": all}).is(200).field("repeated"), any(float64(498)))
	s.post(Events, "/v1/events", object{"events": append(all, all[1])}).is(422).wrong("/events")
}

func TestFlows(t *testing.T) {
	s := newSite(t, options{})
	var list struct{ Flows []Flow }
	s.get(Flows, "/v1/flows").is(200).into(&list)
	expect(t, "flows", list.Flows[0].ID+" "+list.Flows[0].State, "invited active")
	s.get(Flows, "/v1/flows/unknown").is(404)
	s.post(Admin, "/v1/flows/invited/start", nil).is(409)
	s.post(Admin, "/v1/flows/unknown/start", nil).is(404)
	expect(t, "state", s.post(Admin, "/v1/flows/invited/pause", nil).is(200).field("state"), any("paused"))
	s.post(Admin, "/v1/flows/invited/pause", nil).is(409)
	s.post(Flows, "/v1/flows/invited/resume", nil).is(403)
	expect(t, "state", s.post(Admin, "/v1/flows/invited/resume", nil).is(200).field("state"), any("active"))
	s.post(Admin, "/v1/flows/invited/stop?drain=31d", nil).is(409)
	s.post(Admin, "/v1/flows/invited/stop?drain=soon", nil).is(422)
	s.post(Admin, "/v1/flows/invited/stop?version=1", nil).is(409) // the newest
	s.post(Admin, "/v1/flows/invited/stop?version=2", nil).is(404)
	expect(t, "state", s.post(Admin, "/v1/flows/invited/stop?drain=7d", nil).is(200).field("state"), any("finishing"))
	expect(t, "state", s.post(Admin, "/v1/flows/invited/stop", nil).is(200).field("state"), any("cancelled"))
	s.post(Admin, "/v1/flows/invited/stop", nil).is(409)
	expect(t, "state", s.post(Admin, "/v1/flows/invited/start", nil).is(200).field("state"), any("active"))
}

func TestMessages(t *testing.T) {
	s := newSite(t, options{})
	id := s.post(Messages, "/v1/messages", object{"channel": "sms", "from": "38591000001", "to": "+385 91 1000001", "text": "Hello", "category": "marketing"}).is(202).field("id")
	if !strings.HasPrefix(fmt.Sprint(id), "api/") {
		t.Errorf("id %v", id)
	}
	s.eventually("the message", func() bool { return s.sentTo("385911000001") == 1 })
	expect(t, "marketing", s.sent[0].Marketing, true)
	path := "/v1/messages/" + url.PathEscape(fmt.Sprint(id))
	s.eventually("the message's state", func() bool { return s.get(Messages, path).is(200).field("state") == "accepted" })
	expect(t, "recipient", s.get(Messages, path).is(200).field("to"), any("385911000001"))
	s.get(Messages, "/v1/messages/api%2Funknown").is(404)
	s.get(People, path).is(403)
	s.post(Messages, "/v1/messages", object{"to": "home", "text": "x", "from": "a\nb"}).is(422).wrong("/to", "/from")
	s.post(Messages, "/v1/messages", object{"channel": "pigeon", "text": ""}).is(422).wrong("/channel", "/text", "/to")
}

func FuzzReference(f *testing.F) {
	for _, seed := range []string{"", "385911", "+385 91-1", "ann@example.com", "email:x", "phone:", "external:\x00", "external:" + strings.Repeat("x", 300), "00000000000000000000000000", "@", "a@b@c", "::", "🙂@🙂"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w, err := Reference(text)
		if err != nil {
			return
		}
		if !w.ID.IsZero() || w.Address.Kind == 0 {
			return
		}
		again, err := addressOf(w.Address.Kind.String(), w.Address.Value)
		if err != nil || again != w.Address {
			t.Errorf("%q became %v, and that %v: %v", text, w.Address, again, err)
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add("")
	f.Add(personCursor(flowengine.PersonID{0, 7, 1}))
	f.Add(markCursor('h', [12]byte{1}))
	f.Add("____")
	f.Add("aA0\n00000000000000A")
	f.Fuzz(func(t *testing.T, text string) {
		if id, err := personPlace(text); err == nil && (id.Shard() >= flowengine.Shards || !id.IsZero() && personCursor(id) != text) {
			t.Errorf("%q became %v", text, id)
		}
		if m, err := markPlace(text, 'h'); err == nil && markCursor('h', m) != text && m != [12]byte{} {
			t.Errorf("%q became %v", text, m)
		}
	})
}

// People are searched by any condition; what is wrong with one is told at its place.
func TestSearchPeople(t *testing.T) {
	s := newSite(t, options{})
	for i := range 12 {
		s.post(People, "/v1/people", object{"addresses": []object{address("phone", phoneOf(i))}, "attributes": object{"shoeSize": 38 + i}, "tags": []string{fmt.Sprint("t", i%2)}}).is(201)
	}
	search := func(where any) (n int) {
		var page struct {
			People []Person
			Cursor string
		}
		for more := true; more; more = page.Cursor != "" {
			body := object{"where": where, "limit": 2, "timezone": "Europe/Zagreb"}
			if page.Cursor != "" {
				body["cursor"] = page.Cursor
			}
			page.Cursor = ""
			s.post(People, "/v1/people/search", body).is(200).into(&page)
			n += len(page.People)
		}
		return n
	}
	large := object{"attr": "shoeSize", "op": "gte", "value": 44}
	expect(t, "by an attribute", search(large), 6)
	expect(t, "by a tag", search(object{"tag": "T1"}), 6)
	expect(t, "by both", search(object{"all": []any{large, object{"tag": "t0"}}}), 3)
	s.post(People, "/v1/people/search", object{"where": object{"all": []any{large, object{"attr": "hatSize", "op": "is", "value": 1}}}}).is(422).wrong("/where/all/1/attr")
	s.post(People, "/v1/people/search", object{"where": object{"tag": "x"}, "timezone": "Mars"}).is(422).wrong("/timezone")
	s.post(People, "/v1/people/search", object{"where": object{"var": "x", "op": "is", "value": 1}}).is(422)
	s.post(People, "/v1/people/search", object{"where": object{"tag": "x"}, "cursor": "?"}).is(422).wrong("cursor")
	s.post(People, "/v1/people/search", object{}).is(422).wrong("/where")
	s.post(Events, "/v1/people/search", object{"where": large}).is(403)
}
