package strict

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// converter makes nodes of the library's syntax tree.
type converter struct{ d *Document }

func (c converter) node(n ast.Node, key *Node, depth int) *Node {
	if depth > maxDepth {
		c.d.fail(n.GetToken().Position.Line, n.GetToken().Position.Column, "", tooDeep, "")
		return c.at(n.GetToken(), Broken, key)
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return c.mapping(n, key, depth)
	case *ast.MappingValueNode:
		m := c.at(n.Key.GetToken(), Map, key)
		c.pair(m, n, map[string]*Node{}, depth)
		return m
	case *ast.SequenceNode:
		return c.sequence(n, key, depth)
	case *ast.LiteralNode:
		s := c.at(n.Start, String, key)
		s.Text, s.quoted = n.Value.Value, true
		s.raw = s.Text
		return s
	case *ast.AnchorNode: // reported by its token, as are the next two
		return c.node(n.Value, key, depth+1)
	case *ast.TagNode:
		if n.Value == nil {
			return c.at(n.Start, Broken, key)
		}
		return c.node(n.Value, key, depth+1)
	case *ast.AliasNode:
		return c.at(n.Start, Broken, key)
	case ast.ScalarNode:
		return c.scalar(n, key)
	case nil:
		return c.at(nil, Null, key)
	}
	t := n.GetToken()
	c.d.fail(t.Position.Line, t.Position.Column, t.Value, "this kind of YAML is not allowed", "")
	return c.at(t, Broken, key)
}

func (c converter) at(t *token.Token, kind Kind, key *Node) *Node {
	n := &Node{Kind: kind, Line: 1, Column: 1, doc: c.d, key: key}
	switch {
	case t != nil && t.Position != nil && t.Position.Line > 0:
		n.Line, n.Column = t.Position.Line, max(t.Position.Column, 1)
	case key != nil:
		n.Line, n.Column = key.Line, key.Column
	}
	return n
}

func (c converter) mapping(m *ast.MappingNode, key *Node, depth int) *Node {
	start := m.GetToken()
	if !m.IsFlowStyle && len(m.Values) > 0 { // its token is the first colon
		start = m.Values[0].Key.GetToken()
	}
	n := c.at(start, Map, key)
	seen := make(map[string]*Node, len(m.Values))
	for _, pair := range m.Values {
		c.pair(n, pair, seen, depth)
	}
	return n
}

func (c converter) pair(m *Node, pair *ast.MappingValueNode, seen map[string]*Node, depth int) {
	if pair.Key.Type() == ast.MergeKeyType { // reported by its token
		return
	}
	scalar, ok := pair.Key.(ast.ScalarNode)
	if !ok {
		t := pair.Key.GetToken()
		c.d.fail(t.Position.Line, t.Position.Column, t.Value, "a key is a word or a text on one line", "write key: value")
		return
	}
	key := c.scalar(scalar, nil)
	value := c.node(pair.Value, key, depth+1)
	m.put(key, value, seen)
}

// put adds a field, or reports its key when it is there already or is no text.
func (m *Node) put(key, value *Node, seen map[string]*Node) {
	d := m.doc
	switch first := seen[key.Text]; {
	case key.Kind == Null || key.Kind == Bool:
		d.fail(key.Line, key.Column, key.raw, "the key "+key.raw+" is not text", fmt.Sprintf("put it in quotes: %q", key.raw))
		return
	case first != nil:
		d.fail(key.Line, key.Column, key.raw, fmt.Sprintf("the key %q is there twice", key.Text), fmt.Sprintf("the first is in line %d", first.Line))
		return
	}
	seen[key.Text] = key
	key.parent, value.parent, value.key = m, m, key
	m.Fields = append(m.Fields, Field{key, value})
}

func (c converter) sequence(s *ast.SequenceNode, key *Node, depth int) *Node {
	n := c.at(s.GetToken(), List, key)
	for _, v := range s.Values {
		item := c.node(v, nil, depth+1)
		item.parent, item.index = n, len(n.Items)
		n.Items = append(n.Items, item)
	}
	return n
}

func (c converter) scalar(s ast.ScalarNode, key *Node) *Node {
	t := s.GetToken()
	n := c.at(t, String, key)
	switch v := s.(type) {
	case *ast.NullNode:
		n.Kind = Null
		if t.Value != "" && t.Position.Line > 0 {
			n.Text = t.Value
		}
	case *ast.StringNode:
		n.Text = v.Value
		n.quoted = t.Type == token.SingleQuoteType || t.Type == token.DoubleQuoteType
	default:
		n.Text = t.Value
	}
	if !n.quoted && n.Kind != Null {
		n.Kind = plainKind(n.Text)
	}
	n.raw = n.Text
	if key == nil || n.Kind != Null {
		c.place(n, t)
	}
	if !n.quoted && strings.Contains(strings.TrimSpace(t.Origin), "\t") { // the library would lose it
		c.d.fail(n.Line, n.Column, n.raw, "a text without quotes holds a tab", "put it in quotes")
		n.Kind = Broken
	}
	return n
}

// place corrects the column of a scalar: the library miscounts after tabs.
func (c converter) place(n *Node, t *token.Token) {
	want := n.raw
	switch t.Type {
	case token.SingleQuoteType:
		want = "'"
	case token.DoubleQuoteType:
		want = `"`
	}
	text := c.d.line(n.Line)
	if len(text) > longLine {
		return
	}
	line := []rune(text)
	is := func(column int) bool {
		return column >= 1 && column <= len(line) && strings.HasPrefix(string(line[column-1:min(len(line), column-1+len(want))]), want)
	}
	for off := range maxMiscount {
		for _, column := range []int{n.Column - off, n.Column + off} {
			if is(column) {
				n.Column = column
				return
			}
		}
	}
}

const (
	maxMiscount = 20   // columns
	longLine    = 2000 // bytes; looking at longer ones for each scalar takes too long
)

var plainNumber = regexp.MustCompile(`^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+)$`)

// plainKind says what a scalar without quotes is, by the core schema of YAML
// 1.2.2 §10.3.2; infinity and not-a-number are text here, as no setting wants
// them.
func plainKind(text string) Kind {
	switch text {
	case "", "~", "null", "Null", "NULL":
		return Null
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return Bool
	}
	if len(text) <= maxNumber && plainNumber.MatchString(text) {
		return Number
	}
	return String
}
