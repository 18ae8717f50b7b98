package strict

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// parseJSON reads the source when it is JSON: what machines write need not pass
// through the YAML reader. ok is false when it is not JSON.
func (d *Document) parseJSON() (root *Node, ok bool) {
	if s := strings.TrimLeft(d.source, " \t\r\n"); s == "" || s[0] != '{' && s[0] != '[' || !json.Valid([]byte(d.source)) {
		return nil, false
	}
	r := jsonReader{d: d, dec: json.NewDecoder(strings.NewReader(d.source)), line: 1, column: 1}
	r.dec.UseNumber()
	root, err := r.value(1)
	if err != nil {
		d.errs, d.more = nil, 0
		return nil, false
	}
	return root, true
}

// jsonReader makes nodes of the tokens of encoding/json.
type jsonReader struct {
	d            *Document
	dec          *json.Decoder
	offset       int // of what line and column belong to
	line, column int
	keys         int
}

// next reads a token and the place where it begins.
func (r *jsonReader) next() (json.Token, *Node, error) {
	start := int(r.dec.InputOffset())
	start += len(r.d.source[start:]) - len(strings.TrimLeft(r.d.source[start:], " \t\r\n,:"))
	between := r.d.source[r.offset:start]
	if i := strings.LastIndexByte(between, '\n'); i >= 0 {
		r.line += strings.Count(between, "\n")
		r.column = 1 + utf8.RuneCountInString(between[i+1:])
	} else {
		r.column += utf8.RuneCountInString(between)
	}
	r.offset = start
	t, err := r.dec.Token()
	return t, &Node{doc: r.d, Line: r.line, Column: r.column, quoted: true}, err
}

func (r *jsonReader) value(depth int) (*Node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("deeper than %d levels", maxDepth)
	}
	t, n, err := r.next()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case nil:
		n.Kind, n.Text = Null, "null"
	case bool:
		n.Kind, n.Text = Bool, fmt.Sprint(t)
	case json.Number:
		n.Kind, n.Text = Number, t.String()
		if len(n.Text) > maxNumber {
			return nil, fmt.Errorf("a number has more than %d characters", maxNumber)
		}
	case string:
		n.Kind, n.Text = String, t
	case json.Delim:
		if t == '[' {
			return n, r.list(n, depth)
		}
		return n, r.object(n, depth)
	}
	n.raw = n.Text
	return n, nil
}

func (r *jsonReader) list(n *Node, depth int) error {
	n.Kind = List
	for r.dec.More() {
		item, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		item.parent, item.index = n, len(n.Items)
		n.Items = append(n.Items, item)
	}
	_, _, err := r.next()
	return err
}

func (r *jsonReader) object(n *Node, depth int) error {
	n.Kind = Map
	seen := map[string]*Node{}
	for r.dec.More() {
		t, key, err := r.next()
		if err != nil {
			return err
		}
		if r.keys++; r.keys > maxKeys {
			return fmt.Errorf("more than %d keys", maxKeys)
		}
		key.Kind = String
		key.Text, _ = t.(string)
		key.raw = key.Text
		value, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.put(key, value, seen)
	}
	_, _, err := r.next()
	return err
}
