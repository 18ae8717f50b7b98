package httpapi

import (
	"fmt"
	"testing"
	"time"
)

// Versions and counters of a flow, also of an element that was removed.
func TestVersionsAndStats(t *testing.T) {
	s := newSite(t, options{})
	const first = "flow: life\nentries: [{id: e, type: flow_api, next: a}]\nelements: {a: {type: add_tag, tag: x, on: {done: b}}, b: {type: pause, for: 1h}}\n"
	const second = "flow: life\nentries: [{id: e, type: flow_api, next: b}]\nelements: {b: {type: pause, for: 1h}}\n"
	enter := func(phone string) {
		t.Helper()
		one := object{"identifyBy": object{"identifier": phone, "type": "PHONE"}}
		s.post(Flows, "/v1/flows/life/entries/e/participants", object{"participants": []object{one}}).is(202)
	}
	s.publish(first)
	enter("385911000001")
	s.eventually("the first", func() bool { return s.inside("life", 1) == 1 })
	s.publish(second)
	enter("385911000002")
	s.eventually("the second", func() bool { return s.inside("life", 2) == 1 })

	var list struct{ Versions []Version }
	s.get(Flows, "/v1/flows/life/versions").is(200).into(&list)
	for i, want := range []string{"1 draining 1", "2 current 1"} {
		v := list.Versions[i]
		expect(t, "version", fmt.Sprint(v.Version, " ", v.State, " ", v.Inside), want)
		expect(t, "digits of its hash", len(v.Hash), 64)
	}
	stats := func(query string) (text string) {
		t.Helper()
		var v Stats
		s.get(Flows, "/v1/flows/life/stats"+query).is(200).into(&v)
		for _, e := range v.Elements {
			text += fmt.Sprintf("%s %t %d %d; ", e.ID, e.Retired, e.Total, e.Unique)
		}
		return text
	}
	today := time.Now().UTC().Format(time.DateOnly)
	expect(t, "all", stats(""), "b false 2 2; a true 1 1; ")
	expect(t, "today", stats("?since="+today+"&until="+today), "b false 2 2; a true 1 1; ")
	expect(t, "version 1", stats("?version=1"), "b false 1 1; a true 1 1; ")
	expect(t, "version 2", stats("?version=2"), "b false 1 1; ")
	expect(t, "long ago", stats("?until=2020-01-01"), "b false 0 0; ")
	s.get(Flows, "/v1/flows/life/stats?version=3").is(404)
	s.get(Flows, "/v1/flows/life/stats?since=yesterday").is(422)
	s.get(Flows, "/v1/flows/death/stats").is(404)
	s.get(Flows, "/v1/flows/death/versions").is(404)

	remove := func(query string) *answer {
		t.Helper()
		return s.send(request{scope: Flows, method: "DELETE", path: "/v1/flows/life/participants?phone=385911000001" + query})
	}
	remove("&version=2").is(404)
	expect(t, "runs that ended", remove("&version=1").is(200).field("runs"), any(float64(1)))
	s.post(Admin, "/v1/flows/life/stop?version=1&drain=7d", nil).is(200)
}

func (s *site) inside(flow string, version int) uint64 {
	s.Helper()
	all, err := s.rt.Versions(flow)
	if err != nil || len(all) < version {
		s.Fatal(all, err)
	}
	return all[version-1].Inside
}
