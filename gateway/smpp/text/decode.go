package text

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
)

// maxOctets bounds the user data of one PDU: what message_payload holds.
const maxOctets = 1<<16 - 1

// Decode returns the text of one message or part. header is the user data
// header without its length octet, nil if there is none. What cannot be
// decoded becomes U+FFFD, and 8-bit data comes back as Latin-1 characters.
//
// The error is ErrTooLong, without text, when data is longer than
// message_payload can be; or ErrHeader, with the text as it is without the
// header's national language tables.
func Decode(coding byte, a Alphabet, header, data []byte) (string, error) {
	if len(data) > maxOctets {
		return "", ErrTooLong
	}
	h, err := parseElements(header)
	coding, data = Canonical(coding, a, header, data)
	return decode(coding, h.Locking, h.Single, data), err
}

// decode reads canonical data.
func decode(coding byte, lock, shift Language, data []byte) string {
	switch coding {
	case codingDefault:
		return decodeSeptets(data, locking(lock), single(shift))
	case codingUCS2:
		return decodeUCS2(data)
	case codingIA5:
		return decodeASCII(data)
	case codingUTF8:
		return string(bytes.ToValidUTF8(data, []byte("\uFFFD")))
	case codingCyrillic:
		return decodeBy(charmap.ISO8859_5, data)
	case codingHebrew:
		return decodeBy(charmap.ISO8859_8, data)
	case codingJIS:
		return decodeBy(japaneseOr(japanese.ShiftJIS, data), data)
	case codingKanjiJIS:
		return decodeBy(japaneseOr(japanese.EUCJP, data), data)
	case codingISO2022JP:
		return decodeBy(japanese.ISO2022JP, data)
	case codingKSC5601:
		return decodeBy(korean.EUCKR, data)
	}
	return decodeLatin1(data) // Latin-1 and 8-bit data
}

func decodeSeptets(data []byte, lock, shift *table) string {
	dst := make([]byte, 0, len(data)+len(data)/8)
	for i := 0; i < len(data); i++ {
		b := data[i]
		if b != escape {
			if b < 128 && lock.chars[b]-1 < 127 { // ASCII, the usual case
				dst = append(dst, byte(lock.chars[b]))
				continue
			}
			dst = appendCharacter(dst, lock, b)
			continue
		}
		if i++; i == len(data) {
			return string(utf8.AppendRune(dst, utf8.RuneError))
		}
		dst = appendShifted(dst, lock, shift, data[i])
	}
	return string(dst)
}

func appendCharacter(dst []byte, t *table, b byte) []byte {
	if b >= 128 || t.chars[b] == 0 {
		return utf8.AppendRune(dst, utf8.RuneError)
	}
	return utf8.AppendRune(dst, rune(t.chars[b]))
}

// appendShifted appends what b means behind an escape: where the single shift table has
// nothing, the character without the escape; behind a second escape, which is
// reserved, a space (3GPP TS 23.038 §6.2.1.1).
func appendShifted(dst []byte, lock, shift *table, b byte) []byte {
	switch {
	case b == escape:
		return append(dst, ' ')
	case b < 128 && shift.chars[b] != 0:
		return utf8.AppendRune(dst, rune(shift.chars[b]))
	}
	return appendCharacter(dst, lock, b)
}

// decodeUCS2 reads UTF-16, big endian unless a byte order mark says otherwise.
func decodeUCS2(data []byte) string {
	var order binary.ByteOrder = binary.BigEndian
	if len(data) >= 2 {
		switch binary.BigEndian.Uint16(data) {
		case 0xfffe:
			order = binary.LittleEndian
			fallthrough
		case 0xfeff:
			data = data[2:]
		}
	}
	dst := make([]byte, 0, len(data)+len(data)/2)
	for ; len(data) >= 2; data = data[2:] {
		r := rune(order.Uint16(data))
		if utf16.IsSurrogate(r) && len(data) >= 4 {
			if pair := utf16.DecodeRune(r, rune(order.Uint16(data[2:]))); pair != utf8.RuneError {
				r, data = pair, data[2:]
			}
		}
		dst = utf8.AppendRune(dst, r) // a lone surrogate becomes U+FFFD
	}
	if len(data) == 1 {
		dst = utf8.AppendRune(dst, utf8.RuneError)
	}
	return string(dst)
}

func decodeLatin1(data []byte) string {
	dst := make([]byte, 0, len(data)+len(data)/8)
	for _, b := range data {
		dst = utf8.AppendRune(dst, rune(b))
	}
	return string(dst)
}

func decodeASCII(data []byte) string {
	dst := make([]byte, 0, len(data))
	for _, b := range data {
		if b >= 128 {
			dst = utf8.AppendRune(dst, utf8.RuneError)
			continue
		}
		dst = append(dst, b)
	}
	return string(dst)
}

// japaneseOr returns ISO-2022-JP for data that shifts with escapes: SMPP names
// a character set for JIS but no encoding.
func japaneseOr(e encoding.Encoding, data []byte) encoding.Encoding {
	if bytes.IndexByte(data, 0x1b) >= 0 {
		return japanese.ISO2022JP
	}
	return e
}

func decodeBy(e encoding.Encoding, data []byte) string {
	dst, err := e.NewDecoder().Bytes(data)
	if err != nil { // these decoders replace what they cannot read
		return decodeLatin1(data)
	}
	return string(dst)
}
