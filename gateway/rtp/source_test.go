package rtp

import "testing"

func TestSources(t *testing.T) {
	frame := make([]int16, 4)
	src := List(Prompt([]int16{1, 2, 3}, 2), Prompt(nil, -1), Prompt([]int16{9}, 1))
	want := [][]int16{{1, 2, 3, 1}, {2, 3, 0, 0}, {0, 0, 0, 0}, {9, 0, 0, 0}, {0, 0, 0, 0}}
	for i, w := range want {
		more := src.Read(frame)
		if [4]int16(frame) != [4]int16(w) || more != (i < 3) {
			t.Errorf("frame %d: %v, more %v", i, frame, more)
		}
	}
	beep, length := Beep.Source(), 0
	long := make([]int16, frameLen)
	for more := true; more; length += frameLen {
		more = beep.Read(long)
	}
	if length != 400*8 {
		t.Errorf("the beep has %d samples", length)
	}
}
