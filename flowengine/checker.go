package flowengine

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"trunkline/keyword"
)

// Checker is what an element checks its options with. Paths lead from the
// element's own options into the file: keys are strings, list indexes ints. All
// findings are collected; none ends the check.
type Checker struct {
	Schema   *Schema
	Settings *Settings

	numbers Numbers
	targets map[string]string // of the element's ports
	at      []any             // path of the element
	report  func(path []any, warning bool, message string)
	// version is told what it needs of the daemon.
	version *Version
}

// Numbers says whether a number, as keyword.Number writes it, is one of ours on
// a channel.
type Numbers func(channel, number string) bool

// Errorf reports an error about the element as a whole.
func (c *Checker) Errorf(format string, args ...any) { c.ErrorfAt(nil, format, args...) }

// ErrorfAt reports an error about one option.
func (c *Checker) ErrorfAt(path []any, format string, args ...any) {
	c.report(c.path(path), false, fmt.Sprintf(format, args...))
}

// WarnfAt reports what is probably not meant.
func (c *Checker) WarnfAt(path []any, format string, args ...any) {
	c.report(c.path(path), true, fmt.Sprintf(format, args...))
}

func (c *Checker) path(path []any) []any { return slices.Concat(c.at, path) }

// needsLinks notes that an option wants the listener of short links.
func (c *Checker) needsLinks(option string, path []any) {
	if c.version != nil {
		c.version.linking = append(c.version.linking, LinkUse{option, c.path(path)})
	}
}

// sendsFrom notes as whom a mail is sent.
func (c *Checker) sendsFrom(identity string, path []any) {
	if c.version != nil {
		c.version.mailing = append(c.version.mailing, MailUse{identity, c.path(path)})
	}
}

// attaches notes a file that goes along with a mail.
func (c *Checker) attaches(file string, path []any) {
	if c.version != nil {
		c.version.files = append(c.version.files, FileUse{file, c.path(path)})
	}
}

// requests notes the address of a request: a Liquid template, of which only a fixed
// host is of interest.
func (c *Checker) requests(address string, path ...any) {
	fixed, _, open := strings.Cut(address, "{")
	if _, rest, _ := strings.Cut(fixed, "://"); c.version == nil || open && !strings.ContainsAny(rest, "/?#") {
		return
	}
	c.version.addresses = append(c.version.addresses, WebAddress{c.path(path), fixed})
}

func (c *Checker) leads(port string) bool { return c.targets[port] != "" }

// Template compiles a text.
func (c *Checker) Template(source string, lenient bool, path ...any) *Template {
	return c.template(source, templateKind{lenient: lenient}, path...)
}

func (c *Checker) template(source string, kind templateKind, path ...any) *Template {
	t, err := compileTemplate(source, c.Schema, kind)
	if err != nil {
		c.ErrorfAt(path, "%v", err)
		return &Template{}
	}
	return t
}

// Expression compiles the inside of ${…}.
func (c *Checker) Expression(source string, path ...any) *Expression {
	e, err := CompileExpression(source, c.Schema, false)
	if err != nil {
		c.ErrorfAt(path, "%v", err)
		return nil
	}
	return e
}

// Condition compiles a condition.
func (c *Checker) Condition(source string, path ...any) *Condition {
	when, err := CompileCondition(source, c.Schema)
	if err != nil {
		c.ErrorfAt(path, "%v", err)
	}
	return when
}

// ConditionOn compiles a condition on an event of that name.
func (c *Checker) ConditionOn(event, source string, path ...any) *Condition {
	when, err := CompileCondition(source, c.Schema.about(event))
	if err != nil {
		c.ErrorfAt(path, "%v", err)
	}
	return when
}

// EventName checks the name of a People event. Once some are declared, another one is
// likely a mistake.
func (c *Checker) EventName(name string, path ...any) {
	if declared := c.Schema.events; len(declared) > 0 && declared[name] == nil && !slices.Contains(ownEvents, name) {
		known := slices.Concat(slices.Sorted(maps.Keys(declared)), ownEvents)
		c.WarnfAt(path, "the event %q is not declared among people.events%s", name, didYouMean(name, known))
	}
	if !eventName.MatchString(name) {
		c.ErrorfAt(path, "%q is not the name of an event: a letter and at most 63 more letters, digits, _ and - are expected", name)
	}
}

var eventName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)

// Number normalises one of our numbers, which has to exist.
func (c *Checker) Number(channel, number string, path ...any) string {
	n := keyword.Number(number)
	if c.numbers != nil && !c.numbers(channel, n) {
		c.ErrorfAt(path, "%q is not one of our %s numbers; declare it among the numbers first", number, channel)
	}
	return n
}

// Sender normalises the sender of messages: one of our numbers, or a name.
func (c *Checker) Sender(channel, from string, path ...any) string {
	n := keyword.Number(from)
	if n == "" {
		c.ErrorfAt(path, "%q is neither a number nor a name", from)
	}
	if strings.Trim(n, "0123456789") == "" && c.numbers != nil && !c.numbers(channel, n) {
		c.WarnfAt(path, "%q is not one of our %s numbers: answers to it will not arrive here", from, channel)
	}
	return n
}

// Keywords is `any` or a list of keywords.
type Keywords struct {
	Any   bool
	Words []string
}

// Patterns prepares keywords for routing.
func (c *Checker) Patterns(k Keywords, mode string, foldDiacritics bool, path ...any) []keyword.Pattern {
	if k.Any {
		return []keyword.Pattern{keyword.AnyPattern()}
	}
	m := keyword.Whole
	if mode == "first_word" {
		m = keyword.FirstWord
	}
	var patterns []keyword.Pattern
	for _, w := range k.Words {
		p, err := keyword.NewPattern(w, m, foldDiacritics)
		if err != nil {
			c.ErrorfAt(path, "%v", err)
			continue
		}
		patterns = append(patterns, p)
	}
	return patterns
}
