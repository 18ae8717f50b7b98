package text

import "slices"

// Language names a pair of national language tables (3GPP TS 23.038
// §6.2.1.2.4). A user data header says which ones a message uses.
type Language uint8

// The languages, with the values they have on the wire.
const (
	Default Language = iota // the default alphabet and its extension table
	Turkish
	Spanish
	Portuguese
	Bengali // and Assamese
	Gujarati
	Hindi
	Kannada
	Malayalam
	Oriya
	Punjabi
	Tamil
	Telugu
	Urdu
)

var languageNames = [...]string{
	"default", "turkish", "spanish", "portuguese", "bengali", "gujarati", "hindi",
	"kannada", "malayalam", "oriya", "punjabi", "tamil", "telugu", "urdu",
}

// String returns the language's English name in lower case.
func (l Language) String() string {
	if int(l) < len(languageNames) {
		return languageNames[l]
	}
	return "unknown"
}

// characters holds what the 128 septets of a table mean; 0 is none. All
// characters of the specification are in the basic multilingual plane.
type characters [128]uint16

// escape announces a septet of the single shift table (3GPP TS 23.038 §6.2.1).
const escape = 0x1b

// table is a shift table with the way back from character to septet.
type table struct {
	chars *characters
	ascii [128]uint8 // septet of an ASCII character, absent if none
	other []entry    // the other characters, ascending
}

type entry struct {
	char   uint16
	septet uint8
}

const absent = 0xff

func newTable(c *characters) *table {
	t := &table{chars: c}
	for i := range t.ascii {
		t.ascii[i] = absent
	}
	for septet, char := range c {
		switch {
		case char == 0:
		case char >= 128:
			t.other = append(t.other, entry{char, uint8(septet)})
		case t.ascii[char] == absent: // the Indic single shift tables have * and ¡ twice: the first counts
			t.ascii[char] = uint8(septet)
		}
	}
	slices.SortStableFunc(t.other, func(a, b entry) int { return int(a.char) - int(b.char) })
	return t
}

// septet returns the septet of r, absent if the table lacks r.
func (t *table) septet(r rune) uint8 {
	if r < 128 {
		return t.ascii[r]
	}
	return t.find(r)
}

func (t *table) find(r rune) uint8 {
	if r > 0xffff {
		return absent
	}
	low, high := 0, len(t.other)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if t.other[mid].char < uint16(r) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low < len(t.other) && t.other[low].char == uint16(r) {
		return t.other[low].septet
	}
	return absent
}

// lockingTables and singleTables are indexed by language. There is no Spanish
// locking shift table.
var (
	lockingTables = [...]*table{
		Default: newTable(&defaultLocking), Turkish: newTable(&turkishLocking),
		Portuguese: newTable(&portugueseLocking), Bengali: newTable(&bengaliLocking),
		Gujarati: newTable(&gujaratiLocking), Hindi: newTable(&hindiLocking),
		Kannada: newTable(&kannadaLocking), Malayalam: newTable(&malayalamLocking),
		Oriya: newTable(&oriyaLocking), Punjabi: newTable(&punjabiLocking),
		Tamil: newTable(&tamilLocking), Telugu: newTable(&teluguLocking),
		Urdu: newTable(&urduLocking),
	}
	singleTables = [...]*table{
		Default: newTable(&defaultSingle), Turkish: newTable(&turkishSingle),
		Spanish: newTable(&spanishSingle), Portuguese: newTable(&portugueseSingle),
		Bengali: newTable(&bengaliSingle), Gujarati: newTable(&gujaratiSingle),
		Hindi: newTable(&hindiSingle), Kannada: newTable(&kannadaSingle),
		Malayalam: newTable(&malayalamSingle), Oriya: newTable(&oriyaSingle),
		Punjabi: newTable(&punjabiSingle), Tamil: newTable(&tamilSingle),
		Telugu: newTable(&teluguSingle), Urdu: newTable(&urduSingle),
	}
)

// locking returns the table of l; a language without one, or one that we do
// not know, has the default alphabet (3GPP TS 23.040 §9.2.3.24.16).
func locking(l Language) *table {
	if int(l) < len(lockingTables) && lockingTables[l] != nil {
		return lockingTables[l]
	}
	return lockingTables[Default]
}

// single is the same for single shift tables (3GPP TS 23.040 §9.2.3.24.15).
func single(l Language) *table {
	if int(l) < len(singleTables) && singleTables[l] != nil {
		return singleTables[l]
	}
	return singleTables[Default]
}

func hasLocking(l Language) bool {
	return l != Default && int(l) < len(lockingTables) && lockingTables[l] != nil
}

func hasSingle(l Language) bool {
	return l != Default && int(l) < len(singleTables) && singleTables[l] != nil
}
