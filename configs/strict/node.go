package strict

import (
	"fmt"
	"slices"
	"strconv"
)

// Kind is what a node of a file is.
type Kind uint8

// The kinds. A broken node was reported already; decoding it does nothing.
const (
	Broken Kind = iota
	Null
	Bool
	Number
	String
	List
	Map
)

// String says the kind in words for messages.
func (k Kind) String() string {
	return [...]string{"something broken", "nothing", "true or false", "a number", "text", "a list", "a map of keys"}[k]
}

// Node is a value of a file with its place in it.
type Node struct {
	Kind   Kind
	Text   string // of a scalar, without quotes and with secrets filled in
	Items  []*Node
	Fields []Field // in the order of the file, each key once

	Line, Column int // from 1; columns count characters

	doc    *Document
	raw    string // of a scalar: Text as it was written
	quoted bool   // always so in canonical JSON: nothing but hints may depend on it
	filled bool   // a secret was filled in: raw may be shown, Text may not
	hidden bool   // it is a secret by its tag: not even raw may be shown
	key    *Node  // that leads here; nil in lists and at the top
	parent *Node
	index  int // in the parent's list

	faulty  bool     // decoding reported an error about the node itself
	inside  bool     // … or about something in it
	missing []string // keys that decoding reported as missing
}

// Field is a key of a map with its value.
type Field struct{ Key, Value *Node }

// Field finds the value of a key, or returns nil.
func (n *Node) Field(key string) *Node {
	for _, f := range n.Fields {
		if f.Key.Text == key {
			return f.Value
		}
	}
	return nil
}

// Inline puts a text in the place of a field, under another key: what a file holds that
// the field names. Mistakes in it are reported where the field stands.
func (n *Node) Inline(key, as, text string) {
	for i, f := range n.Fields {
		if f.Key.Text != key {
			continue
		}
		name, value := *f.Key, *f.Value
		name.Text, name.raw = as, as
		value.Kind, value.Text, value.raw, value.quoted = String, text, text, true
		value.key = &name
		n.Fields[i] = Field{&name, &value}
		return
	}
}

// Errorf reports an error about the node.
func (n *Node) Errorf(format string, args ...any) { n.Report(fmt.Sprintf(format, args...), "") }

// Report reports an error about the node, with what would be right.
func (n *Node) Report(message, hint string) {
	n.fault()
	n.doc.add(n.finding(message, hint))
}

// Warnf reports what is probably not meant.
func (n *Node) Warnf(format string, args ...any) {
	n.doc.warn(n.finding(fmt.Sprintf(format, args...), ""))
}

// Mistyped reports that the node is not what is expected there, such as "a list".
func (n *Node) Mistyped(expected, hint string) {
	switch n.Kind {
	case Broken:
		return
	case Null:
		if hint == "" {
			hint = "leave the key out or give it a value"
		}
		n.Report("there is no value where "+expected+" is expected", hint)
	case List, Map:
		n.Report(n.Kind.String()+" is found where "+expected+" is expected", hint)
	default:
		n.Report(n.shown()+" is not "+expected, hint)
	}
}

// finding is an error at the node. A list or map that has a key is meant by it.
func (n *Node) finding(message, hint string) Error {
	at := n
	if n.key != nil && (n.Kind == List || n.Kind == Map || n.Kind == Null) {
		at = n.key
	}
	text := at.raw
	if n.hidden {
		text = ""
	}
	if label := n.label(); label != "" {
		message = label + ": " + message
	}
	return Error{Line: at.Line, Column: at.Column, Path: n.path(), Text: text, Message: message, Hint: hint, hidden: n.hidden}
}

// label names the node in messages: its key, and its place in lists after it.
func (n *Node) label() string {
	switch {
	case n.key != nil:
		return n.key.raw
	case n.parent != nil:
		return n.parent.label() + "[" + strconv.Itoa(n.index) + "]"
	}
	return ""
}

// path is the node's place in the file, such as routes[2].prefix.
func (n *Node) path() string {
	switch {
	case n.parent == nil:
		return ""
	case n.key == nil:
		return n.parent.path() + "[" + strconv.Itoa(n.index) + "]"
	case n.parent.parent == nil:
		return n.key.raw
	}
	return n.parent.path() + "." + n.key.raw
}

// shown is the scalar for messages, cut when it is long.
func (n *Node) shown() string {
	switch {
	case n.hidden:
		return "what is written there"
	case n.Kind == String:
		return quoteShort(n.raw)
	}
	return cut(n.raw)
}

func (n *Node) fault() {
	n.faulty = true
	for p := n; p != nil && !p.inside; p = p.parent {
		p.inside = true
	}
}

// lacks notes that a key is missing, so that nobody complains about its value.
func (n *Node) lacks(key string) {
	n.missing = append(n.missing, key)
	for p := n; p != nil && !p.inside; p = p.parent {
		p.inside = true
	}
}

// excused says whether decoding has reported an error because of which a
// finding about the path below n means nothing: about the path's end, about
// something in it, or about what leads to it.
func (n *Node) excused(path []any) bool {
	for {
		if n.faulty || n.Kind == Broken {
			return true
		}
		if len(path) == 0 {
			return n.inside
		}
		next := n.child(path[0])
		if next == nil {
			key, _ := path[0].(string)
			return slices.Contains(n.missing, key)
		}
		n, path = next, path[1:]
	}
}

// child follows one step of a path, or returns nil.
func (n *Node) child(step any) *Node {
	switch step := step.(type) {
	case string:
		return n.Field(step)
	case int:
		if step >= 0 && step < len(n.Items) {
			return n.Items[step]
		}
	}
	return nil
}
