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

// maxReference bounds what names a person, in octets: a push registration with
// its kind in front.
const maxReference = 1030

// Reference reads what names a person: an id, an address with its kind in front
// (phone:, email:, push:, chat:, external:), or a bare phone number or e-mail address.
func Reference(text string) (runtime.Who, error) {
	if id, err := flowengine.ParsePersonID(text); err == nil {
		return runtime.Who{ID: id}, nil
	}
	if len(text) > maxReference {
		return runtime.Who{}, fmt.Errorf("a reference has at most %d octets", maxReference)
	}
	a := flowengine.ParseAddress(text)
	if err := a.Check(); err != nil {
		return runtime.Who{}, fmt.Errorf("%w; a person is named by id, or as phone:…, email:…, push:…, chat:… or external:…", err)
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
	k := flowengine.AddressKindNamed(kind)
	if k == 0 {
		return flowengine.Address{}, fmt.Errorf("%q is none of phone, email, push, chat and external", clip(kind))
	}
	return flowengine.ReadAddress(k, value)
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
