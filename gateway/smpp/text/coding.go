package text

// Values of data_coding (SMPP 3.4 §5.2.19).
const (
	codingDefault   = 0x00
	codingIA5       = 0x01
	codingOctets2   = 0x02
	codingLatin1    = 0x03
	codingOctets    = 0x04
	codingJIS       = 0x05
	codingCyrillic  = 0x06
	codingHebrew    = 0x07
	codingUCS2      = 0x08
	codingISO2022JP = 0x0a
	codingKanjiJIS  = 0x0d
	codingKSC5601   = 0x0e

	// codingUTF8 is ours: canonical user data in UTF-8. On the wire the value
	// is reserved, and Canonical never lets it pass.
	codingUTF8 = 0xbf
)

// Canonical turns a carrier's coding and user data into what [Assemble]
// understands without knowing the carrier. header is the user data header without
// its length octet, nil if there is none; it stays valid for the result. The
// result shares data's memory unless septets had to be unpacked. Canonical data
// must not be made canonical again.
func Canonical(coding byte, a Alphabet, header, data []byte) (byte, []byte) {
	coding = resolve(coding)
	if coding != codingDefault {
		return coding, data
	}
	switch a {
	case GSM7Packed:
		return codingDefault, unpack(make([]byte, 0, len(data)*8/7+1), data, fillBits(headerOctets(header)))
	case Latin1:
		return codingLatin1, data
	case ASCII:
		return codingIA5, data
	case UTF8:
		return codingUTF8, data
	}
	return codingDefault, data
}

// headerOctets is the length of a header on the wire, where its length octet
// counts.
func headerOctets(header []byte) int {
	if header == nil {
		return 0
	}
	return len(header) + 1
}

// resolve reduces a data_coding to one of the constants above. Values from 0x10
// on are reserved by SMPP; peers that send them pass on the data coding scheme of the
// air interface (3GPP TS 23.038 §4), message class and indication included.
func resolve(coding byte) byte {
	switch {
	case coding < 0x10:
		return resolveTable(coding)
	case coding < 0x80: // general data coding, and marked for automatic deletion
		if coding&0x20 != 0 {
			return codingOctets // compressed: nobody ever did
		}
		return resolveBits(coding)
	case coding < 0xe0: // reserved: read as default; message waiting, default alphabet
		return codingDefault
	case coding < 0xf0: // message waiting, UCS-2
		return codingUCS2
	case coding&0x04 != 0: // message class, 8-bit data
		return codingOctets
	}
	return codingDefault
}

func resolveTable(coding byte) byte {
	switch coding {
	case codingOctets2:
		return codingOctets
	case 0x09, 0x0b, 0x0c, 0x0f: // pictograms, which nobody specified, and reserved
		return resolveBits(coding)
	}
	return coding
}

// resolveBits reads the alphabet in bits 3 and 2; 11 is reserved.
func resolveBits(coding byte) byte {
	switch coding >> 2 & 3 {
	case 1:
		return codingOctets
	case 2:
		return codingUCS2
	}
	return codingDefault
}
