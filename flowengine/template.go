package flowengine

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/osteele/liquid"
	"github.com/osteele/liquid/parser"
)

// Limits of one template. There are no loops and no inclusion of files, and
// what a filter makes is bounded, so the cost of rendering is too.
const (
	maxTemplate = 8 << 10  // bytes of source
	maxRendered = 16 << 10 // bytes of output and of every value on the way

	maxHTML         = 256 << 10 // those of an e-mail's HTML
	maxRenderedHTML = 512 << 10
)

var errTooLong = tooLong(maxRendered)

func tooLong(most int) error { return fmt.Errorf("the text is longer than %d bytes", most) }

// Template is a compiled Liquid text over person, inbound, vars and now. It is
// safe for concurrent use.
type Template struct {
	constant string // when compiled is nil
	compiled *liquid.Template
	reads    reads
	keeps    bool // the filter no_shorten is in it
	most     int  // octets of output
}

// templateKind says what a template is for.
type templateKind struct {
	lenient bool // a missing value renders as nothing
	mail    bool // of an e-mail, whose own addresses it may name
	html    bool // values are escaped for HTML
	long    bool // it may be as long as HTML
}

// CompileTemplate compiles a text. With lenient, a missing value renders as
// nothing; otherwise it is an error when the text is rendered, unless it goes
// through the filter `default`.
func CompileTemplate(source string, schema *Schema, lenient bool) (*Template, error) {
	return compileTemplate(source, schema, templateKind{lenient: lenient})
}

func compileTemplate(source string, schema *Schema, kind templateKind) (*Template, error) {
	most, t := maxTemplate, &Template{most: maxRendered}
	if kind.html || kind.long {
		most, t.most = maxHTML, maxRenderedHTML
	}
	if len(source) > most {
		return nil, fmt.Errorf("the text is longer than %d bytes", most)
	}
	if !strings.Contains(source, "{{") && !strings.Contains(source, "{%") {
		t.constant = source
		return t, nil
	}
	checker := &templateChecker{schema: schema, reads: &t.reads, mail: kind.mail}
	if err := checker.check(source); err != nil {
		return nil, err
	}
	t.keeps = checker.keeps
	engine := strictEngine
	if kind.lenient {
		engine = lenientEngine
	}
	if kind.html {
		source = escaping(source)
	}
	compiled, err := engine().ParseString(source)
	if err != nil {
		return nil, renderError(err)
	}
	t.compiled = compiled
	return t, nil
}

// escaping is a template whose values are escaped for HTML as they are put out,
// unless they go through escape or raw last.
func escaping(source string) string {
	var out strings.Builder
	verbatim := false
	for _, token := range parser.Scan(source, parser.SourceLoc{}, nil) {
		if token.Type == parser.TagTokenType && (token.Name == "raw" || token.Name == "endraw") {
			verbatim = token.Name == "raw"
		}
		if token.Type != parser.ObjTokenType || verbatim {
			out.WriteString(token.Source)
			continue
		}
		end := "}}"
		if strings.HasSuffix(token.Source, "-}}") {
			end = "-}}"
		}
		last := token.Args[strings.LastIndexByte(token.Args, '|')+1:]
		if last = strings.TrimSpace(last); last != filterEscape && last != filterRaw {
			end = " | " + filterEscape + " " + end
		}
		out.WriteString(strings.TrimSuffix(strings.TrimSuffix(token.Source, "}}"), "-"))
		out.WriteString(end)
	}
	return out.String()
}

var (
	strictEngine  = sync.OnceValue(func() *liquid.Engine { e := newEngine(); e.StrictVariables(); return e })
	lenientEngine = sync.OnceValue(newEngine)
)

func newEngine() *liquid.Engine {
	e := liquid.NewEngine()
	for name, f := range filters {
		e.RegisterFilter(name, f.call)
	}
	return e
}

// Render makes the text for a passage.
func (t *Template) Render(x *Passage) (string, error) {
	text, err := t.renderMarked(x)
	if t.keeps {
		text = withoutMarks(text)
	}
	return text, err
}

// renderMarked is Render with the marks of the filter no_shorten still in it.
func (t *Template) renderMarked(x *Passage) (text string, err error) {
	if t.compiled == nil {
		return t.constant, nil
	}
	zone := x.Version.Settings.zone()
	env := t.reads.bindings(x, func(v Value) any {
		switch v.Type {
		case Decimal:
			return decimal(float64(v.Num) / scale)
		case Date:
			return v.String() // ISO days compare as text
		case List:
			return strings.Join(v.List(), ", ")
		case DateTime:
			return time.UnixMilli(v.Num).In(zone)
		}
		return v.Any()
	})
	defer func() { // the library panics when its writer fails
		if r := recover(); r != nil {
			text, err = "", fmt.Errorf("rendering failed: %v", r)
		}
	}()
	out := boundedText{most: t.most}
	if err := t.compiled.FRender(&out, env); err != nil {
		return "", renderError(err)
	}
	return out.String(), nil
}

// renderError says what the library says, in the words of this package.
func renderError(err error) error {
	text := err.Error()
	if _, rest, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(text, "Liquid error") {
		text = rest
	}
	return errors.New(strings.Replace(text, "undefined variable in", "a value is missing in", 1))
}

// boundedText refuses to grow beyond a bound.
type boundedText struct {
	strings.Builder
	most int
}

func (b *boundedText) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.most {
		return 0, tooLong(b.most)
	}
	return b.Builder.Write(p)
}

// WriteString keeps the bound on the path that io.WriteString takes.
func (b *boundedText) WriteString(s string) (int, error) {
	if b.Len()+len(s) > b.most {
		return 0, tooLong(b.most)
	}
	return b.Builder.WriteString(s)
}

// templateChecker finds at load what the library would find, or not find, when
// a message has to be sent: names that do not exist, filters that do not exist,
// tags that message texts cannot have.
type templateChecker struct {
	schema *Schema
	reads  *reads
	locals []string // names that `assign` made
	keeps  bool     // the filter no_shorten was found
	mail   bool     // it may name the addresses of its mail
}

var (
	templateTags  = []string{"if", "elsif", "else", "endif", "unless", "endunless", "case", "when", "endcase", "assign", "comment", "endcomment", "raw", "endraw"}
	templateWords = []string{"and", "or", "contains", "true", "false", "nil"}
	templateToken = regexp.MustCompile(`"[^"]*"|'[^']*'|-?[0-9]+(?:\.[0-9]+)?|\.[A-Za-z_][A-Za-z0-9_-]*|[A-Za-z_][A-Za-z0-9_-]*:?|\S`)
)

func (c *templateChecker) check(source string) error {
	verbatim := "" // the tag that ends a stretch in which nothing is looked at
	for _, token := range parser.Scan(source, parser.SourceLoc{}, nil) {
		if verbatim != "" {
			if token.Type == parser.TagTokenType && token.Name == verbatim {
				verbatim = ""
			}
			continue
		}
		switch token.Type {
		case parser.TextTokenType:
			for _, open := range []string{"{{", "{%"} {
				if _, rest, ok := strings.Cut(token.Source, open); ok {
					return fmt.Errorf("%q is not closed", shorten(open+rest))
				}
			}
		case parser.ObjTokenType:
			if err := c.expression(token.Args); err != nil {
				return fmt.Errorf("%s: %w", shorten(token.Source), err)
			}
		case parser.TagTokenType:
			if !slices.Contains(templateTags, token.Name) {
				return fmt.Errorf("%s: a message text has no tag %q%s", shorten(token.Source), token.Name, didYouMean(token.Name, templateTags))
			}
			if token.Name == "comment" || token.Name == "raw" {
				verbatim = "end" + token.Name
				continue
			}
			args := token.Args
			if token.Name == "assign" {
				name, rest, ok := strings.Cut(args, "=")
				if !ok {
					return fmt.Errorf("%s: `assign name = value` is expected", shorten(token.Source))
				}
				c.locals, args = append(c.locals, strings.TrimSpace(name)), rest
			}
			if err := c.expression(args); err != nil {
				return fmt.Errorf("%s: %w", shorten(token.Source), err)
			}
		}
	}
	return nil
}

// expression checks the names in one Liquid expression.
func (c *templateChecker) expression(source string) error {
	tokens := templateToken.FindAllString(source, -1)
	for i := 0; i < len(tokens); i++ {
		token := tokens[i]
		if token == "|" {
			i++
			if i == len(tokens) {
				return errors.New("a filter is expected after |")
			}
			if err := checkFilter(tokens[i], tokens[i+1:]); err != nil {
				return err
			}
			c.keeps = c.keeps || tokens[i] == filterKeep
			continue
		}
		if first := token[0]; first != '_' && (first|0x20 < 'a' || first|0x20 > 'z') || slices.Contains(templateWords, token) {
			continue
		}
		next := ""
		if i+1 < len(tokens) {
			next = tokens[i+1]
		}
		if err := c.name(token, next); err != nil {
			return err
		}
	}
	return nil
}

// name checks a root name with the property that follows it.
func (c *templateChecker) name(root, next string) error {
	property, isProperty := strings.CutPrefix(next, ".")
	if slices.Contains(c.locals, root) {
		return nil
	}
	var known []string
	switch root {
	case rootPerson:
		known = append(slices.Clone(c.schema.Names()), fieldTags)
	case rootInbound, rootCall, rootCollect:
		known = slices.Sorted(maps.Keys(fieldsOf[root]))
	case rootMessage:
		if !c.mail {
			return errors.New("message is known in e-mails alone")
		}
		known = mailFields
	case rootVars:
		c.reads.vars = true
		return nil
	case rootEvent:
		c.reads.event = true
		return nil
	case rootNow:
		c.reads.now = true
		return nil
	default:
		return fmt.Errorf("%q is not known here%s", root, didYouMean(root, append(slices.Clone(roots), c.locals...)))
	}
	if !isProperty || property == "" {
		return fmt.Errorf("say which part of %s is meant, such as %s.%s", root, root, known[0])
	}
	if !slices.Contains(known, property) {
		return fmt.Errorf("%s has no %q%s", root, property, didYouMean(property, known))
	}
	c.reads.member(root, property)
	return nil
}

// checkFilter checks the name of a filter and the number of its arguments.
func checkFilter(token string, rest []string) error {
	name, hasArgs := strings.CutSuffix(token, ":")
	f, ok := filters[name]
	if !ok {
		return fmt.Errorf("there is no filter %q%s", name, didYouMean(name, slices.Sorted(maps.Keys(filters))))
	}
	args := 0
	if hasArgs {
		args = 1
		for _, t := range rest {
			if t == "|" {
				break
			}
			if t == "," {
				args++
			}
		}
	}
	if args < f.min || args > f.max {
		return fmt.Errorf("filter %q takes %s, not %d", name, f.arity(), args)
	}
	return nil
}
