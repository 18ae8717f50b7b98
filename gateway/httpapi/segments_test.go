package httpapi

import (
	"context"
	"fmt"
	"testing"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
)

// segmented is a site with one segment that has n members.
func segmented(t *testing.T, n int) *site {
	s := newSite(t, options{})
	schema := s.rt.Schema().WithSegments("vip")
	vip, err := flowengine.ParseSegment("vip.yaml", []byte("segment: vip\nname: Our best\ncondition: {tag: vip}\n"), schema)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.rt.Publish(context.Background(), runtime.Publication{Schema: schema, Segments: []*flowengine.PeopleSegment{vip}}); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		s.post(People, "/v1/people", map[string]any{
			"addresses": []any{map[string]any{"kind": "external", "value": fmt.Sprintf("crm-%d", i)}}, "tags": []any{"VIP"},
		}).is(201)
	}
	s.post(People, "/v1/people", map[string]any{"addresses": []any{map[string]any{"kind": "external", "value": "other"}}}).is(201)
	return s
}

func TestSegments(t *testing.T) {
	s := segmented(t, 7)
	computed := func() bool { return s.get(People, "/v1/segments/vip").is(200).field("computing") == false }
	for deadline := time.Now().Add(10 * time.Second); !computed(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the segment is never computed")
		}
	}
	list := s.get(People, "/v1/segments").is(200).field("segments").([]any)
	expect(t, "segments", len(list), 1)
	vip := list[0].(map[string]any)
	expect(t, "segment", fmt.Sprintf("%v %v %v %v", vip["id"], vip["name"], vip["update"], vip["members"]), "vip Our best real_time 7")
	for _, path := range []string{"/v1/segments/vip/people?limit=3", "/v1/people?limit=3&segment=vip", "/v1/people?limit=3&tag=vip", "/v1/people?limit=3&tag=vip&segment=vip"} {
		seen := map[any]bool{}
		cursor := ""
		for pages := 0; ; pages++ {
			a := s.get(People, path+"&cursor="+cursor).is(200)
			page := a.field("people").([]any)
			expect(t, path+": a page is short", len(page) <= 3, true)
			for _, p := range page {
				seen[p.(map[string]any)["id"]] = true
			}
			next, more := a.field("cursor").(string)
			if !more {
				break
			}
			if cursor = next; pages > 5 {
				t.Fatal("no end")
			}
		}
		expect(t, path, len(seen), 7)
	}
	s.send(request{scope: People, method: "DELETE", path: "/v1/people/external:crm-0/tags/vip"}).is(204)
	expect(t, "members", fmt.Sprint(s.get(People, "/v1/segments/vip").is(200).field("members")), "6")
	expect(t, "segments of a person", fmt.Sprint(s.get(People, "/v1/people/external:crm-1").is(200).field("segments")), "[vip]")
	s.get(People, "/v1/segments/vop").is(404)
	s.get(People, "/v1/segments/vip/people?cursor=x").is(422)
	s.post(People, "/v1/segments/vip/recompute", nil).is(403)
	expect(t, "recompute", s.post(Admin, "/v1/segments/vip/recompute", nil).is(202).field("id"), any("vip"))
}
