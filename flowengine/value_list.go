package flowengine

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// ListValue makes a list; without items it is unset.
func ListValue(items []string) Value {
	if len(items) == 0 {
		return Value{}
	}
	return Value{Type: List, Str: canonicalList(items)}
}

// List gives the items of a list; nil when v is none.
func (v Value) List() []string {
	if v.Type != List {
		return nil
	}
	var items []string
	for item, rest, ok := nextItem(v.Str); ok; item, rest, ok = nextItem(rest) {
		items = append(items, item)
	}
	return items
}

// canonicalList is the one spelling of a list: without white space, and with no
// escapes but those that JSON needs.
func canonicalList(items []string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(items) // strings always encode
	return strings.TrimSuffix(b.String(), "\n")
}

// nextItem takes the next item from a list or from what is left of one. An item
// without escapes is a part of s, so that walking over a list allocates nothing.
func nextItem(s string) (item, rest string, ok bool) {
	start := strings.IndexByte(s, '"')
	if start < 0 {
		return "", "", false
	}
	s = s[start+1:]
	end, escaped := listItemEnd(s)
	if end < 0 {
		return "", "", false
	}
	if item = s[:end]; escaped {
		item = unescaped(item)
	}
	return item, s[end+1:], true
}

func unescaped(s string) (item string) {
	_ = json.Unmarshal([]byte(`"`+s+`"`), &item) // canonicalList wrote it
	return item
}

// listItemEnd finds the quote that ends an item.
func listItemEnd(s string) (end int, escaped bool) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return i, escaped
		case '\\':
			escaped = true
			i++
		}
	}
	return -1, escaped
}

// parseList takes a text apart: a JSON array, or items between commas.
func parseList(s string) ([]string, error) {
	if !strings.HasPrefix(s, "[") {
		return strings.Split(s, ","), nil
	}
	var items []any
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	if err := d.Decode(&items); err != nil || d.InputOffset() != int64(len(s)) {
		return nil, errors.New(`a list such as ["a", "b"] or a, b is expected`)
	}
	return listItems(items)
}

// listItems makes texts of the items of a list.
func listItems(items []any) ([]string, error) {
	texts := make([]string, len(items))
	for i, item := range items {
		switch item := item.(type) {
		case json.Number:
			texts[i] = item.String()
		default:
			v, err := Coerce(item, Text)
			if _, nested := item.([]any); err != nil || nested {
				return nil, fmt.Errorf("item %d is no text", i+1)
			}
			texts[i] = v.Str
		}
	}
	return texts, nil
}

// coerceItems takes a list that is not all text.
func coerceItems(items []any, t Type) (Value, error) {
	if len(items) > MaxListItems {
		return Value{}, &CoerceError{t, fmt.Sprintf("%d items", len(items)), fmt.Sprintf("a list has at most %d items", MaxListItems)}
	}
	texts, err := listItems(items)
	if err != nil {
		return Value{}, &CoerceError{t, shorten(fmt.Sprint(items)), err.Error()}
	}
	return coerceList(texts, t)
}

// coerceList makes a value of texts. Items are trimmed; empty ones fall away.
func coerceList(items []string, t Type) (Value, error) {
	kept := make([]string, 0, min(len(items), MaxListItems))
	for _, item := range items {
		if item = strings.TrimSpace(item); item != "" {
			if len(kept) == MaxListItems {
				return Value{}, &CoerceError{t, fmt.Sprintf("%d items", len(items)), fmt.Sprintf("a list has at most %d items", MaxListItems)}
			}
			kept = append(kept, item)
		}
	}
	switch t {
	case List:
		v := ListValue(kept)
		if len(v.Str) > MaxText {
			return Value{}, &CoerceError{t, shorten(v.Str), fmt.Sprintf("it is longer than %d bytes", MaxText)}
		}
		return v, nil
	case Text:
		return coerceText(strings.Join(kept, ", "), Text)
	}
	return Value{}, &CoerceError{t, shorten(strings.Join(kept, ", ")), "it is a list"}
}
