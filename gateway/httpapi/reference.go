package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
)

// Bounds of addresses: E.164 §6 for phones, RFC 5321 §4.5.3.1 for mail.
const (
	maxPhone     = 15
	minPhone     = 3
	maxEmail     = 254
	maxLocal     = 64
	maxExternal  = 256
	maxReference = 320
)

// Reference reads what names a person: an id, an address with its kind in front
// (phone:, email:, external:), or a bare phone number or e-mail address.
func Reference(text string) (runtime.Who, error) {
	if id, err := flowengine.ParsePersonID(text); err == nil {
		return runtime.Who{ID: id}, nil
	}
	if len(text) > maxReference {
		return runtime.Who{}, fmt.Errorf("a reference has at most %d octets", maxReference)
	}
	a := flowengine.ParseAddress(text)
	if err := checkAddress(a); err != nil {
		return runtime.Who{}, fmt.Errorf("%w; a person is named by id, or as phone:…, email:… or external:…", err)
	}
	return runtime.Who{Address: a}, nil
}

// who reads the reference in a path.
func who(text string) (runtime.Who, error) {
	w, err := Reference(text)
	if err != nil {
		return w, newProblem(http.StatusUnprocessableEntity, "validation failed", Fault{Parameter: "ref", Detail: err.Error()})
	}
	return w, nil
}

// addressOf makes an address from its kind and value as they are written.
func addressOf(kind, value string) (flowengine.Address, error) {
	var a flowengine.Address
	if len(value) > maxReference {
		return a, fmt.Errorf("it has more than %d octets", maxReference)
	}
	switch kind {
	case "phone", "email", "external":
		a = flowengine.ParseAddress(kind + ":" + value)
	default:
		return a, fmt.Errorf("%q is none of phone, email and external", clip(kind))
	}
	return a, checkAddress(a)
}

// checkAddress tells what keeps an address from leading to a person.
func checkAddress(a flowengine.Address) error {
	switch a.Kind {
	case flowengine.Phone:
		if len(a.Value) < minPhone || len(a.Value) > maxPhone || strings.Trim(a.Value, "0123456789") != "" || a.Value[0] == '0' {
			return fmt.Errorf("%q is not a phone number in international form, such as +385911234567", clip(a.Value))
		}
	case flowengine.Email:
		local, domain, _ := cutLast(a.Value, '@')
		if local == "" || domain == "" || len(local) > maxLocal || len(a.Value) > maxEmail || !printable(a.Value) || strings.ContainsAny(a.Value, " <>") {
			return fmt.Errorf("%q is not an e-mail address", clip(a.Value))
		}
	case flowengine.External:
		if a.Value == "" || len(a.Value) > maxExternal || !printable(a.Value) {
			return fmt.Errorf("%q is not an external id: 1 to %d octets of printable text are expected", clip(a.Value), maxExternal)
		}
	}
	return nil
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// clip shortens a text for an error.
func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
