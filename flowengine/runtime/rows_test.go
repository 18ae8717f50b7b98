package runtime

import (
	"reflect"
	"testing"
	"time"

	"trunkline/flowengine"
)

// A mail in the outbox comes back as it was put there; a row without one has none.
func TestMailRow(t *testing.T) {
	m := &Message{Send: flowengine.Send{
		ID: "x", Channel: "email", From: "news@shop.example", To: "ana@example.org",
		Mail: &flowengine.Mail{
			Subject: "Proljeće", FromName: "Shop", ReplyTo: "help@shop.example", Preheader: "20 %", HTML: "<p>\x00", Unsubscribe: "https://l.example/u/1",
			Files:    []flowengine.MailFile{{Path: "a.pdf", Name: "b.pdf"}, {Path: "l.png", ContentID: "logo"}},
			Composed: time.UnixMilli(1_767_225_600_123).UTC(),
		},
	}}
	got, err := decodeMessage(m.append(nil))
	if err != nil || !reflect.DeepEqual(got.Send, m.Send) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got.Mail, m.Mail)
	}
	m.Mail = nil
	if got, err := decodeMessage(m.append(nil)); err != nil || got.Mail != nil {
		t.Errorf("%v %v", got.Mail, err)
	}
}
