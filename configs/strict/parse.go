package strict

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Options say how a file is read.
type Options struct {
	// Secrets fills ${env:NAME} and ${file:path} in. Nil leaves them as text.
	Secrets *Secrets
}

// Parse reads a file. What is wrong with it is in the document; see Err.
func Parse(file string, data []byte, o Options) *Document {
	d := &Document{File: file, plans: plans{}}
	if len(data) > maxBytes {
		d.fail(1, 1, "", fmt.Sprintf("the file has %d bytes; the most is %d", len(data), maxBytes), "split it")
		return d
	}
	d.source = lineBreaks.Replace(strings.TrimPrefix(string(data), "\ufeff"))
	if !d.readable() {
		return d
	}
	if root, ok := d.parseJSON(); ok {
		d.root = root
	} else {
		d.errs, d.more = nil, 0
		d.root = d.parseYAML()
	}
	if d.root != nil && o.Secrets != nil {
		o.Secrets.fill(d.root)
	}
	return d
}

// lineBreaks are one character from here on (YAML 1.2.2 §5.4).
var lineBreaks = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// Decode reads a file into the value that into points at.
func Decode(file string, data []byte, into any, o Options) (*Document, error) {
	d := Parse(file, data, o)
	d.Decode(into)
	return d, d.Err()
}

// readable refuses what is not text (YAML 1.2.2 §5.1).
func (d *Document) readable() bool {
	line, column := 1, 1
	for i, r := range d.source {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(d.source[i:], "\ufffd"):
			d.fail(line, column, "", "the file is not text in UTF-8", "")
			return false
		case r < ' ' && r != '\t' && r != '\n', r == 0x7f:
			d.fail(line, column, "", fmt.Sprintf("the character U+%04X is not allowed", r), fmt.Sprintf(`write "\u%04x" in double quotes`, r))
			return false
		case r == '\n':
			line, column = line+1, 0
		}
		column++
	}
	return true
}

// parseYAML reads the source with goccy/go-yaml. Its syntax tree is taken, and
// nothing of its way to give values a meaning.
func (d *Document) parseYAML() (root *Node) {
	tokens, ok := d.tokenize()
	if !ok {
		return nil
	}
	file, err := safely(func() (*ast.File, error) {
		return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	})
	if err != nil {
		d.syntax(err)
		return nil
	}
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.DirectiveType {
			continue
		}
		c := converter{d}
		root = c.node(doc.Body, nil, 1)
		return root
	}
	if len(d.errs) == 0 {
		d.fail(1, 1, "", "the file is empty", "")
	}
	return nil
}

// tokenize splits the source and reports what has no place in it, before
// anything is built of it that could grow deep or large.
func (d *Document) tokenize() (token.Tokens, bool) {
	tokens, err := safely(func() (token.Tokens, error) { return lexer.Tokenize(d.source), nil })
	if err != nil {
		d.syntax(err)
		return nil, false
	}
	if len(tokens) > maxTokens {
		d.fail(1, 1, "", fmt.Sprintf("the file has more than %d words and signs", maxTokens), "split it")
		return nil, false
	}
	s := sizes{d: d, inMap: map[int]int{}}
	content, directive := false, 0 // the line of the latest directive
	for i, t := range tokens {
		if t.Type == token.InvalidType {
			continue // parser.Parse says why
		}
		if !s.count(tokens, i) {
			return nil, false
		}
		d.forbidden(t, content)
		if t.Type == token.DirectiveType {
			directive = t.Position.Line
		}
		content = content || t.Type != token.DocumentHeaderType && t.Type != token.CommentType && t.Position.Line != directive
	}
	return tokens, true
}

// forbidden reports the parts of YAML that files here do without.
func (d *Document) forbidden(t *token.Token, content bool) {
	message, hint := "", ""
	quote := "a text that begins with " + t.Value + " is put in quotes"
	switch t.Type {
	case token.AnchorType:
		message, hint = "anchors (&) are not allowed", quote
	case token.AliasType:
		message, hint = "aliases (*) are not allowed", quote
	case token.TagType:
		message, hint = "tags (!) are not allowed", "a text that begins with ! is put in quotes"
	case token.MergeKeyType:
		message, hint = "merge keys (<<) are not allowed", "write the keys out"
	case token.DirectiveType:
		message, hint = "directives (%) are not allowed", ""
	case token.DocumentHeaderType:
		if content {
			message, hint = "a second document begins here; a file holds one", "put it in a file of its own"
		}
	}
	if message != "" {
		d.fail(t.Position.Line, t.Position.Column, t.Value, message, hint)
	}
}

// sizes bounds depth and number of keys while only tokens are there.
type sizes struct {
	d           *Document
	flow        int         // open brackets and braces
	keys        int         // in all
	inMap       map[int]int // keys of the open block maps, by column
	largest     int         // of them
	line, nests int         // sequence entries and `?` that begin on one line
}

func (s *sizes) count(tokens token.Tokens, i int) bool {
	t := tokens[i]
	at := t.Position
	if at.Line != s.line {
		s.line, s.nests = at.Line, 0
	}
	switch t.Type {
	case token.SequenceStartType, token.MappingStartType:
		s.flow++
	case token.SequenceEndType, token.MappingEndType:
		s.flow--
	case token.SequenceEntryType, token.MappingKeyType:
		s.nests++
		s.close(at.Column)
	case token.MappingValueType:
		s.keys++
		if s.flow > 0 {
			break
		}
		column := at.Column
		if i > 0 {
			column = tokens[i-1].Position.Column
		}
		s.close(column)
		s.inMap[column]++
		s.largest = max(s.largest, s.inMap[column])
	}
	if s.largest > maxMapKeys || s.keys > maxKeys {
		s.d.fail(at.Line, at.Column, "", fmt.Sprintf("there are more than %d keys in a map or %d in the file", maxMapKeys, maxKeys), "split it")
		return false
	}
	if s.flow > maxDepth || s.nests > maxDepth || len(s.inMap) > maxDepth {
		s.d.fail(at.Line, at.Column, "", tooDeep, "")
		return false
	}
	return true
}

var tooDeep = fmt.Sprintf("lists and maps are nested deeper than %d levels", maxDepth)

// close forgets the maps that end where something begins further left.
func (s *sizes) close(column int) {
	if s.flow > 0 { // within brackets the columns mean nothing
		return
	}
	for c := range s.inMap {
		if c > column {
			delete(s.inMap, c)
		}
	}
}

// safely turns a panic of the library into an error.
func safely[T any](f func() (T, error)) (out T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("the file cannot be read as YAML")
		}
	}()
	return f()
}

// syntax reports an error of the library in plain words.
func (d *Document) syntax(err error) {
	var at interface {
		GetToken() *token.Token
		GetMessage() string
	}
	if !errors.As(err, &at) || at.GetToken() == nil {
		d.fail(1, 1, "", err.Error(), "")
		return
	}
	t := at.GetToken()
	text := strings.TrimSpace(t.Value)
	line := min(max(t.Position.Line, 1), strings.Count(d.source, "\n")+1)
	if line == 1 && len(d.errs) > 0 { // it follows from what is reported already
		return
	}
	message, hint := at.GetMessage(), ""
	for _, s := range syntaxHints {
		if s.message.MatchString(message) {
			hint = s.hint
			break
		}
	}
	if strings.Contains(d.line(line), "${") && !strings.Contains(message, "end") {
		hint = "put a text with ${…} in quotes"
	}
	d.fail(line, max(t.Position.Column, 1), text, "this is not YAML: "+message, hint)
}

var syntaxHints = []struct {
	message *regexp.Regexp
	hint    string
}{
	{regexp.MustCompile(`^mapping value is not allowed`), "put a text with a colon in quotes; the keys of a map begin in the same column"},
	{regexp.MustCompile(`cannot start any token`), "indent with spaces, not with tabs"},
	{regexp.MustCompile(`is a reserved character`), "put the text in quotes"},
	{regexp.MustCompile(`^'.' or '.' must be specified`), "close the bracket, or put the text in quotes"},
	{regexp.MustCompile(`^value is not allowed|^non-map value|^unexpected key name`), "a key is followed by a colon and a space; what belongs together begins in the same column"},
	{regexp.MustCompile(`could not find end character`), "close the quotes"},
	{regexp.MustCompile(`unknown escape`), "write the text in single quotes, or \\\\ for a backslash"},
}
