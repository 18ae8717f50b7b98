package flowengine

import (
	"slices"
	"testing"
	"time"
)

// X12 A2: what two persons were sent counts for caps when they turn out to be one.
func TestAbsorbKeepsPlaces(t *testing.T) {
	at := func(minutes int) Place {
		return Place{Channel: "sms", Marketing: true, At: testNow.Add(time.Duration(minutes) * time.Minute), Message: uint32(minutes)}
	}
	set, _, err := NewSet(testSchema(t), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	survivor := Person{ID: NewPersonID(Address{Phone, "385911"}, 0)}
	passages := Passages{Places: []Place{at(1), at(5)}}
	other := Absorb{Person: Person{ID: NewPersonID(Address{Phone, "385912"}, 0)}, Passages: Passages{Places: []Place{at(0), at(3), at(9)}}}
	set.Step(&survivor, &passages, &other, testNow)
	if want := []Place{at(0), at(1), at(3), at(5), at(9)}; !slices.Equal(passages.Places, want) {
		t.Errorf("%v, want %v", passages.Places, want)
	}
}
