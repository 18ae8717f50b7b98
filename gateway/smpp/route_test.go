package smpp

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestRouteOrder(t *testing.T) {
	table := newRouteTable([]Carrier{
		{Name: "world", Routes: []Route{{}}},
		{Name: "hr", Routes: []Route{{Prefix: "+385", Cost: 2}}},
		{Name: "hr-cheap", Routes: []Route{{Prefix: "385", Cost: 1}}},
		{Name: "hr-first", Routes: []Route{{Prefix: "385", Priority: 1, Cost: 9}}},
		{Name: "mobile", Routes: []Route{{Prefix: "38591"}, {Prefix: "385"}}},
		{Name: "brand", Routes: []Route{{Prefix: "38591", Sender: "acme*", Priority: 5}}},
		{Name: "mute"},
	})
	for _, tt := range []struct{ from, to, want string }{
		{"12345", "+491", "world"},
		{"12345", "385981", "hr-first mobile hr-cheap hr world"},
		{"12345", "+38591222", "mobile hr-first hr-cheap hr world"},
		{"ACME shop", "+38591222", "brand mobile hr-first hr-cheap hr world"},
		{"12345", "", "world"},
	} {
		if got := strings.Join(table.find(nil, "m1", tt.from, tt.to), " "); got != tt.want {
			t.Errorf("from %q to %q goes to %q, not %q", tt.from, tt.to, got, tt.want)
		}
	}
}

// Equal routes share the messages as their weights say, and a message keeps its
// carrier from attempt to attempt.
func TestRouteWeights(t *testing.T) {
	table := newRouteTable([]Carrier{
		{Name: "a", Routes: []Route{{Weight: 1}}},
		{Name: "b", Routes: []Route{{Weight: 3}}},
	})
	first := map[string]int{}
	for i := range 10000 {
		id := fmt.Sprint("message/", i)
		got := table.find(nil, id, "1", "2")
		if len(got) != 2 || !slices.Equal(got, table.find(nil, id, "1", "2")) {
			t.Fatalf("%s: %v", id, got)
		}
		first[got[0]]++
	}
	if n := first["b"]; n < 7200 || n > 7800 {
		t.Errorf("weight 3 of 4 got %d of 10000 messages", n)
	}
}

func TestMatchSender(t *testing.T) {
	for _, tt := range []struct {
		pattern, sender string
		want            bool
	}{
		{"", "x", true}, {"*", "", true}, {"ACME", "acme", true}, {"acme", "acme2", false},
		{"385*", "+38591", true}, {"*bank", "MyBank", true}, {"*bank", "banker", false},
		{"a*b*c", "axxbyyc", true}, {"a*b*c", "acb", false}, {"a**c", "abc", true}, {"a*a", "a", false},
	} {
		if got := matchSender(tt.pattern, tt.sender); got != tt.want {
			t.Errorf("matchSender(%q, %q) = %v", tt.pattern, tt.sender, got)
		}
	}
}

func TestSenderRules(t *testing.T) {
	rules := []SenderRule{
		{Prefix: "1", Allow: []string{"1*"}, Replace: "12025550100"},
		{Prefix: "+385", Allow: []string{"acme"}},
		{Prefix: "38591"},
	}
	for _, tt := range []struct {
		from, to, want string
		ok             bool
	}{
		{"acme", "49171", "acme", true},
		{"acme", "1202", "12025550100", true},
		{"1303", "1202", "1303", true},
		{"Acme", "+38598", "Acme", true},
		{"other", "38598", "", false},
		{"other", "38591", "other", true},
	} {
		if got, ok := applySender(rules, tt.from, tt.to); got != tt.want || ok != tt.ok {
			t.Errorf("sender %q to %q: %q, %v", tt.from, tt.to, got, ok)
		}
	}
}

func BenchmarkRoute(b *testing.B) {
	var carriers []Carrier
	for i := range 20 {
		c := Carrier{Name: fmt.Sprint("c", i)}
		for p := range 50 {
			c.Routes = append(c.Routes, Route{Prefix: fmt.Sprint(p + 1), Cost: float64(i)})
		}
		carriers = append(carriers, c)
	}
	table := newRouteTable(carriers)
	var dst []string
	b.ReportAllocs()
	for b.Loop() {
		dst = table.find(dst[:0], "run/element/1", "12345", "+38591234567")
	}
}
