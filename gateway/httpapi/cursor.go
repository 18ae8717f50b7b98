package httpapi

import (
	"encoding/base64"
	"net/http"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
)

// A cursor says where the next page begins. To callers it is opaque: a letter for
// the list that it belongs to and the place in it, in base64url.

func cursor(list byte, place []byte) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{list}, place...))
}

// place reads a cursor back; "" is the start of the list, nil.
func place(text string, list byte, size int) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) != 1+size || b[0] != list || base64.RawURLEncoding.EncodeToString(b) != text { // the decoder takes line ends and stray bits
		return nil, newProblem(http.StatusUnprocessableEntity, "validation failed", Fault{Parameter: "cursor", Detail: "it is not a cursor of this list: leave it out for the first page, and take that of a page for the next one"})
	}
	return b[1:], nil
}

func personCursor(id flowengine.PersonID) string {
	if id.IsZero() {
		return ""
	}
	return cursor('p', id[:])
}

func personPlace(text string) (id flowengine.PersonID, err error) {
	b, err := place(text, 'p', len(id))
	copy(id[:], b)
	if err == nil && id.Shard() >= flowengine.Shards {
		_, err = place("?", 'p', 0)
	}
	return id, err
}

func markCursor(list byte, m runtime.Mark) string {
	if m == (runtime.Mark{}) {
		return ""
	}
	return cursor(list, m[:])
}

func markPlace(text string, list byte) (m runtime.Mark, err error) {
	b, err := place(text, list, len(m))
	copy(m[:], b)
	return m, err
}
