package main

import "testing"

// What we send out holds one message, whatever was composed.
func TestSmugglingOut(t *testing.T) {
	for _, v := range vectorsOut() {
		if answer, _, problem := v.play(t.Context(), ""); problem != "" {
			t.Errorf("%s: %s: %s", v.name, answer, problem)
		}
	}
}

func TestCloses(t *testing.T) {
	for end, want := range map[string]bool{"\r\n.\r\n": false, "\r\n..\r\n": false, "\n": true, "\r\n.\n": true, "\r.\r\n": true, "\r\n.\r": true, "\x85": false} {
		if got := closes(end); got != want {
			t.Errorf("%q: %v", end, got)
		}
	}
}
