package g711

import (
	"testing"

	"pgregory.net/rapid"
)

// levels builds the decision values x_n and the output values y_n of one
// polarity as the standard's tables state them: segments of 16 equal steps.
func levels(l Law) (decision, output []int) {
	if l == ALaw { // in units of 16-bit samples: tables 1a and 1b, times 8
		x, step := 0, 16
		for n := range 128 {
			if n >= 32 && n%16 == 0 {
				step *= 2
			}
			decision, output = append(decision, x), append(output, x+step/2)
			x += step
		}
		return decision, output
	}
	// Tables 2a and 2b, times 4: the first step is half of one, around zero.
	decision, output = []int{0}, []int{0}
	x, step := 4, 8
	for n := 1; n < 128; n++ {
		if n%16 == 0 {
			step *= 2
		}
		decision, output = append(decision, x), append(output, x+step/2)
		x += step
	}
	return decision, output
}

// quantise finds the interval by the definition: slowly and without tables.
func quantise(l Law, s int16) (n int, negative bool) {
	m := int(s)
	if s < 0 { // the reference's one's complement: a negative value on a threshold goes inwards
		m, negative = -int(s)-1, true
	}
	decision, _ := levels(l)
	for n = len(decision) - 1; m < decision[n]; n-- {
	}
	return n, negative
}

func wire(l Law, n int, negative bool) byte {
	o := byte(n)
	if !negative {
		o |= 0x80
	}
	if l == ALaw {
		return o ^ 0x55
	}
	return o&0x80 | ^o&0x7F
}

func TestEverySampleIsCodedAsTheTablesSay(t *testing.T) {
	for _, l := range []Law{MuLaw, ALaw} {
		_, output := levels(l)
		var octet [1]byte
		var back [1]int16
		for s := -32768; s <= 32767; s++ {
			n, negative := quantise(l, int16(s))
			l.Encode(octet[:], []int16{int16(s)})
			if want := wire(l, n, negative); octet[0] != want {
				t.Fatalf("law %d: %d is coded %#x, want %#x", l, s, octet[0], want)
			}
			l.Decode(back[:], octet[:])
			want := output[n]
			if negative {
				want = -want
			}
			if int(back[0]) != want {
				t.Fatalf("law %d: %#x means %d, want %d", l, octet[0], back[0], want)
			}
		}
	}
}

// Values that other implementations print, so that both sides above cannot be
// wrong in the same way.
func TestKnownValues(t *testing.T) {
	for _, c := range []struct {
		law   Law
		octet byte
		want  int16
	}{
		{MuLaw, 0x00, -32124}, {MuLaw, 0x80, 32124}, {MuLaw, 0xFF, 0}, {MuLaw, 0x7F, 0},
		{MuLaw, 0xFE, 8}, {MuLaw, 0xEF, 132}, {MuLaw, 0x8F, 16764},
		{ALaw, 0xD5, 8}, {ALaw, 0x55, -8}, {ALaw, 0xAA, 32256}, {ALaw, 0x2A, -32256}, {ALaw, 0xC5, 264},
	} {
		var s [1]int16
		c.law.Decode(s[:], []byte{c.octet})
		if s[0] != c.want {
			t.Errorf("law %d: %#x means %d, want %d", c.law, c.octet, s[0], c.want)
		}
	}
	for _, l := range []Law{MuLaw, ALaw} {
		var o [1]byte
		if l.Encode(o[:], []int16{0}); o[0] != l.Silence() {
			t.Errorf("law %d: silence is %#x, want %#x", l, o[0], l.Silence())
		}
	}
}

func TestCodingTwiceChangesNothingMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Law(rapid.IntRange(0, 1).Draw(t, "law"))
		in := rapid.SliceOfN(rapid.Int16(), 1, 400).Draw(t, "samples")
		once, octets, twice := make([]int16, len(in)), make([]byte, len(in)), make([]int16, len(in))
		l.Encode(octets, in)
		l.Decode(once, octets)
		l.Encode(octets, once)
		l.Decode(twice, octets)
		for i := range once {
			if once[i] != twice[i] {
				t.Fatalf("%d became %d, then %d", in[i], once[i], twice[i])
			}
		}
	})
}
