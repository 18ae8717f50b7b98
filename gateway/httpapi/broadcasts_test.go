package httpapi

import (
	"fmt"
	"testing"
	"time"
)

// B1: a broadcast by way of the API: made, estimated, approved by another key,
// and run; mistakes are told with their pointers.
func TestBroadcasts(t *testing.T) {
	s := newSite(t, options{})
	bad := s.post(Broadcasts, "/v1/broadcasts", object{"broadcast": "sale", "recipients": object{"tags": "vip"}, "message": object{"type": "send_sms", "text": "{{ person.shoSize }}"}}).is(422)
	faults := bad.field("errors").([]any)
	expect(t, "pointer", faults[0].(object)["pointer"], any("/message/text"))

	sale := object{
		"broadcast": "sale", "recipients": object{"persons": []any{"385911"}, "lists": []any{"later"}}, "approval": "required",
		"message": object{"type": "send_sms", "from": "38591000001", "text": "Sale!"},
	}
	expect(t, "state", s.post(Broadcasts, "/v1/broadcasts", sale).is(201).field("state"), any("draft"))
	s.post(Broadcasts, "/v1/broadcasts", sale).is(409)
	s.post(Flows, "/v1/broadcasts", sale).is(403)
	const path = "/v1/broadcasts/sale"
	expect(t, "added", s.post(Broadcasts, path+"/recipients", object{"recipients": []any{"385912", "+385 911"}}).is(200).field("added"), any(1.0))
	s.post(Broadcasts, path+"/recipients", object{"recipients": []any{"phone:"}}).is(422)
	expect(t, "estimate", s.get(Broadcasts, path+"/estimate").is(200).field("recipients"), any(2.0))
	expect(t, "state", s.post(Broadcasts, path+"/start", object{}).is(200).field("state"), any("awaiting_approval"))
	s.post(Broadcasts, path+"/approve", object{}).is(409) // its own key
	expect(t, "state", s.post(Admin, path+"/approve", object{}).is(200).field("state"), any("running"))
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		b := s.get(Broadcasts, path).is(200)
		if b.field("state") == "finished" {
			expect(t, "sent", b.field("messages_sent"), any(2.0))
			expect(t, "creator", b.field("creator"), any("key:broadcasts"))
			expect(t, "approver", b.field("approver"), any("key:admin"))
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it does not finish: %s", b.body)
		}
	}
	days := s.get(Broadcasts, path+"/report").is(200).field("days").([]any)
	expect(t, "sent in the report", days[0].(object)["messages_sent"], any(2.0))
	all := s.get(Broadcasts, "/v1/broadcasts").is(200).field("broadcasts").([]any)
	expect(t, "broadcasts", len(all), 1)
	for _, verb := range []string{"start", "pause", "resume", "cancel", "approve"} {
		s.post(Admin, fmt.Sprintf("%s/%s", path, verb), object{}).is(409)
		s.post(Admin, fmt.Sprintf("/v1/broadcasts/none/%s", verb), object{}).is(404)
	}
}
