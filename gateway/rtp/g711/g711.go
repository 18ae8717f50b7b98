// Package g711 is the codec of ITU-T G.711: 16-bit linear samples to and from
// µ-law (PCMU) and A-law (PCMA), one octet each. It knows octets and samples
// and nothing else. Values on a decision threshold go where the ITU's own
// reference (G.191 software tool library) puts them.
package g711

// Law is one of the two companding laws.
type Law uint8

// The laws.
const (
	MuLaw Law = iota // North America, Japan: RTP payload type 0
	ALaw             // elsewhere: RTP payload type 8
)

// Silence is the octet of a zero sample.
func (l Law) Silence() byte {
	if l == ALaw {
		return 0xD5
	}
	return 0xFF
}

// Decode writes the samples of src into dst and returns how many: the shorter
// of the two.
func (l Law) Decode(dst []int16, src []byte) int {
	table := &muLinear
	if l == ALaw {
		table = &aLinear
	}
	n := min(len(dst), len(src))
	for i, o := range src[:n] {
		dst[i] = table[o]
	}
	return n
}

// Encode writes the octets of src into dst and returns how many: the shorter
// of the two.
func (l Law) Encode(dst []byte, src []int16) int {
	n := min(len(dst), len(src))
	if l == ALaw {
		for i, s := range src[:n] {
			dst[i] = aOctets[uint16(s)>>4]
		}
		return n
	}
	for i, s := range src[:n] {
		dst[i] = muOctets[uint16(s)>>2]
	}
	return n
}

// µ-law looks at the upper 14 bits of a sample, A-law at the upper 12 (with
// the half step at their bottom it is the 13 of the standard), so these
// tables are complete.
var (
	muLinear = linear(muExpand)
	aLinear  = linear(aExpand)
	muOctets = func() (t [1 << 14]byte) {
		for i := range t {
			t[i] = muCompress(int16(i << 2))
		}
		return t
	}()
	aOctets = func() (t [1 << 12]byte) {
		for i := range t {
			t[i] = aCompress(int16(i << 4))
		}
		return t
	}()
)

func linear(expand func(byte) int16) (t [256]int16) {
	for i := range t {
		t[i] = expand(byte(i))
	}
	return t
}

// muExpand: G.711 table 2. All bits are inverted on the wire; the 33 is the
// bias that makes every segment twice as long as the one before.
func muExpand(o byte) int16 {
	o = ^o
	v := (int16(o&0x0F)<<1+33)<<(o>>4&7) - 33
	if o&0x80 != 0 {
		v = -v
	}
	return v << 2
}

func muCompress(s int16) byte {
	v, sign := s>>2, byte(0x80)
	if s < 0 {
		v, sign = ^s>>2, 0
	}
	v = min(v+33, 0x1FFF)
	segment := 0
	for v>>(segment+6) != 0 {
		segment++
	}
	low := byte(v>>(segment+1)) & 0x0F
	return sign | ^(byte(segment)<<4|low)&0x7F
}

// aExpand: G.711 table 1. Every other bit is inverted on the wire.
func aExpand(o byte) int16 {
	o ^= 0x55
	segment := o >> 4 & 7
	v := int16(o & 0x0F)
	if segment > 0 {
		v += 16
	}
	v = v<<4 + 8
	if segment > 1 {
		v <<= segment - 1
	}
	if o&0x80 == 0 {
		v = -v
	}
	return v
}

func aCompress(s int16) byte {
	v, sign := s>>4, byte(0x80)
	if s < 0 {
		v, sign = ^s>>4, 0
	}
	segment := byte(0)
	if v > 15 {
		for segment = 1; v > 31; segment++ {
			v >>= 1
		}
		v -= 16
	}
	return (sign | segment<<4 | byte(v)) ^ 0x55
}
