package keyword

import "testing"

func TestCutMailbox(t *testing.T) {
	for _, tc := range []struct {
		in, local, domain string
		ok                bool
	}{
		{"Shop@Example.COM", "shop", "example.com", true}, // K7
		{"*@example.com", CatchAll, "example.com", true},
		{"a@b@example.com", "a@b", "example.com", true},
		{"@example.com", "", "", false},
		{"shop@", "", "", false},
		{"shop", "", "", false},
		{"", "", "", false},
	} {
		local, domain, ok := CutMailbox(Number(tc.in))
		if local != tc.local || domain != tc.domain || ok != tc.ok {
			t.Errorf("CutMailbox(%q) = %q, %q, %v", tc.in, local, domain, ok)
		}
	}
}

// R1: the ranks of what one text finds are the order of Decide itself.
func TestRank(t *testing.T) {
	order := []Consumer{
		{Kind: ByReserved, Keyword: "stop"}, {Kind: ByWait, Keyword: "yes"}, {Kind: ByEntry, Keyword: "start"}, {Kind: ByWait}, {Kind: ByEntry},
		{Kind: ByNoMatch}, {Kind: Unrouted},
	}
	for i, c := range order {
		if c.Rank() != i+1 {
			t.Errorf("%s %q has rank %d, not %d", c.Kind, c.Keyword, c.Rank(), i+1)
		}
	}
}
