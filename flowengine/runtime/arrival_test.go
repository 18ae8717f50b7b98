package runtime

import (
	"reflect"
	"testing"
	"time"

	"trunkline/flowengine"
)

// What is stored of a message on its way to another executor is all of it. The time
// of its schedule stands in its key.
func TestArrivalRecord(t *testing.T) {
	a := Arrival{
		ID: "1", Channel: "email", Carrier: "smtp", From: flowengine.ParseAddress("email:Ana@B.example"), To: "shop@example.com", Text: "text", Subject: "subject",
		Mail: flowengine.MailFacts{SPF: "pass", DKIM: "fail", DMARC: "none", Files: []string{"a.pdf", "b.pdf"}},
		Key:  "1@b.example", At: time.UnixMilli(1_700_000_000_123).UTC(), ReportWanted: true, ReportFrom: "a", ReportTo: "b",
		Part: &Part{Ref: 1, Total: 2, Seq: 1, Coding: 8, Header: []byte{1}, Payload: []byte{2}},
	}
	v := reflect.ValueOf(a)
	for i := range v.NumField() {
		if v.Field(i).IsZero() && v.Type().Field(i).Name != "DeliverAt" {
			t.Errorf("%s is not tested", v.Type().Field(i).Name)
		}
	}
	var b Arrival
	if err := b.decode(a.append(nil)); err != nil || !reflect.DeepEqual(a, b) {
		t.Errorf("%v\n%+v\n%+v", err, a, b)
	}
}
