package flowengine

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"trunkline/keyword"
)

// MaxOfKind bounds the addresses of one kind that a person may have.
const MaxOfKind = 100

// Bounds of addresses: E.164 §6 for phones, RFC 5321 §4.5.3.1 for mail.
const (
	minPhone    = 3
	maxPhone    = 15
	maxEmail    = 254
	maxLocal    = 64
	maxExternal = 256
	maxToken    = 1024 // of push registrations and chat identities
)

var addressKinds = []AddressKind{Phone, Email, Push, Chat, External}

// AddressKindNamed is the inverse of AddressKind.String; 0 when there is no such kind.
func AddressKindNamed(name string) AddressKind {
	for _, k := range addressKinds {
		if k.String() == name {
			return k
		}
	}
	return 0
}

// ParseAddress reads an e-mail address or a phone number as people write them.
// A prefix phone:, email:, push:, chat: or external: says which kind it is.
func ParseAddress(s string) Address {
	s = strings.TrimSpace(s)
	if kind, value, ok := strings.Cut(s, ":"); ok {
		if k := AddressKindNamed(kind); k != 0 {
			return newAddress(k, value)
		}
	}
	if strings.LastIndexByte(s, '@') > 0 {
		return newAddress(Email, s)
	}
	return newAddress(Phone, s)
}

// ReadAddress reads an address of a kind, strictly.
func ReadAddress(k AddressKind, value string) (Address, error) {
	a := newAddress(k, value)
	return a, a.Check()
}

// newAddress normalises an address.
func newAddress(k AddressKind, value string) Address {
	value = strings.TrimSpace(value)
	switch k {
	case Phone:
		return Address{Phone, keyword.Number(value)}
	case Email:
		at := strings.LastIndexByte(value, '@') + 1
		return Address{Email, value[:at] + strings.ToLower(value[at:])}
	}
	return Address{k, value}
}

// Check tells what keeps an address from leading to a person.
func (a Address) Check() error {
	switch a.Kind {
	case Phone:
		if len(a.Value) < minPhone || len(a.Value) > maxPhone || strings.Trim(a.Value, "0123456789") != "" || a.Value[0] == '0' {
			return fmt.Errorf("%q is not a phone number in international form, such as +385911234567", shorten(a.Value))
		}
	case Email:
		at := strings.LastIndexByte(a.Value, '@')
		if at < 1 || at > maxLocal || at == len(a.Value)-1 || len(a.Value) > maxEmail || !printable(a.Value) || strings.ContainsAny(a.Value, " <>") {
			return fmt.Errorf("%q is not an e-mail address", shorten(a.Value))
		}
	case External:
		if a.Value == "" || len(a.Value) > maxExternal || !printable(a.Value) {
			return fmt.Errorf("%q is not an external id: 1 to %d octets of printable text are expected", shorten(a.Value), maxExternal)
		}
	case Push, Chat:
		if a.Value == "" || len(a.Value) > maxToken || !printable(a.Value) {
			return fmt.Errorf("%q is no address of kind %s: 1 to %d octets of printable text are expected", shorten(a.Value), a.Kind, maxToken)
		}
	default:
		return fmt.Errorf("there is no %s", a.Kind)
	}
	return nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// Crowded names a kind of which the person would have more than MaxOfKind
// addresses with those added; 0 when there is none.
func (p *Person) Crowded(added []Address) AddressKind {
	if len(p.Addresses)+len(added) <= MaxOfKind {
		return 0
	}
	for _, k := range addressKinds {
		n := 0
		for _, a := range p.Addresses {
			if a.Kind == k {
				n++
			}
		}
		for i, a := range added {
			if a.Kind == k && !p.HasAddress(a) && !slices.Contains(added[:i], a) {
				n++
			}
		}
		if n > MaxOfKind {
			return k
		}
	}
	return 0
}
