package text

// Packed septets (3GPP TS 23.038 §6.1.2.1): the first one is in the lowest bits
// of the first octet. Behind a user data header they begin on a septet
// boundary, so fill bits come first (3GPP TS 23.040 §9.2.3.24).

// filler pads packed septets whose last octet would leave room for another one
// (3GPP TS 23.038 §6.1.2.3.1): short messages on SMPP have a length in octets, not
// in septets, and a receiver would otherwise find an @.
const filler = '\r'

// fillBits returns the bits between a header of so many octets, with its
// length octet, and the first septet.
func fillBits(headerOctets int) int {
	return (7 - headerOctets*8%7) % 7
}

// packedLen returns the octets that n septets take behind fill bits.
func packedLen(n, fill int) int {
	if n == 0 {
		return 0
	}
	return (fill + 7*n + 7) / 8
}

// pack appends septets to dst, behind fill bits, with a filler where needed.
func pack(dst, septets []byte, fill int) []byte {
	if len(septets) == 0 {
		return dst
	}
	p := packer{dst: dst, free: fill}
	for _, s := range septets {
		p.put(s)
	}
	return p.finish()
}

// packer appends packed septets to dst: one at least, or fill bits would come alone.
type packer struct {
	dst  []byte
	bits uint // not yet written, the lowest first
	free int  // how many they are, fill bits included
}

func (p *packer) put(septet byte) {
	p.bits |= uint(septet) << p.free
	p.free += 7
	for p.free >= 8 {
		p.dst = append(p.dst, byte(p.bits))
		p.bits >>= 8
		p.free -= 8
	}
}

func (p *packer) finish() []byte {
	if p.free == 1 { // needsFiller
		p.put(filler)
	}
	if p.free > 0 {
		p.dst = append(p.dst, byte(p.bits))
	}
	return p.dst
}

// unpack appends the septets in data, behind fill bits, to dst. A last septet
// that fills its octet to the end is dropped when it is a filler or zero, which
// most peers put there.
func unpack(dst, data []byte, fill int) []byte {
	start := len(dst)
	bits, have := uint(0), -fill
	for _, b := range data {
		bits |= uint(b) << max(have, 0)
		if have < 0 {
			bits >>= -have
		}
		have += 8
		for have >= 7 {
			dst = append(dst, byte(bits&0x7f))
			bits >>= 7
			have -= 7
		}
	}
	if last := len(dst) - 1; have == 0 && last >= start && isFiller(dst[last]) {
		return dst[:last]
	}
	return dst
}

func isFiller(septet byte) bool { return septet == filler || septet == 0 }

// needsFiller reports that n packed septets leave room for another one.
func needsFiller(n, fill int) bool { return n > 0 && spareBits(n, fill) == 7 }

// looksFilled reports that the last of n packed septets will be taken for a
// filler.
func looksFilled(n, fill int, last byte) bool {
	return n > 0 && spareBits(n, fill) == 0 && isFiller(last)
}

func spareBits(n, fill int) int { return packedLen(n, fill)*8 - fill - 7*n }
