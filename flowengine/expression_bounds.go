package flowengine

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm/runtime"
)

// The machine's budget counts the elements of some lists, and no octets of texts.
// So whatever makes texts longer, or cuts them to lists, is ours. With variables
// and reduce a value could be made of itself again and again: they are left out.
const maxPieces = 1000 // of a text that is cut

// functionJoined is what `+` is compiled to where it may put texts together.
const functionJoined = "joined"

// boundedTexts replaces what could make texts long.
func boundedTexts() []expr.Option {
	return []expr.Option{
		expr.Function(functionJoined, joined, new(func(string, string) string), new(func(any, any) any)),
		expr.Function("replace", replaced, new(func(string, string, string) string), new(func(string, string, string, int) string)),
		expr.Function("split", pieces(strings.SplitN), new(func(string, string) []string), new(func(string, string, int) []string)),
		expr.Function("splitAfter", pieces(strings.SplitAfterN), new(func(string, string) []string), new(func(string, string, int) []string)),
		expr.Function("repeat", repeated, new(func(string, int) string)),
		expr.Function("join", joinedList, new(func([]string, string) string), new(func([]string) string), new(func([]any, string) string), new(func([]any) string)),
		expr.Function("toJSON", toJSON, new(func(any) string)),
		expr.Function("toBase64", toBase64, new(func(string) string)),
	}
}

func pieces(cut func(text, by string, n int) []string) func(...any) (any, error) {
	return func(args ...any) (any, error) {
		n := -1
		if len(args) > 2 {
			n = runtime.ToInt(args[2])
		}
		if n < 0 || n > maxPieces {
			n = maxPieces + 1
		}
		list := cut(args[0].(string), args[1].(string), n)
		if len(list) > maxPieces {
			return nil, fmt.Errorf("the text has more than %d pieces", maxPieces)
		}
		return list, nil
	}
}

// joined is a + b.
func joined(args ...any) (any, error) {
	a, isText := args[0].(string)
	b, both := args[1].(string)
	switch {
	case isText && both && len(a)+len(b) > maxRendered:
		return nil, errTooLong
	case isText && both:
		return a + b, nil
	}
	return runtime.Add(args[0], args[1]), nil // panics like the operator; the machine recovers
}

func replaced(args ...any) (any, error) {
	text, old, by := args[0].(string), args[1].(string), args[2].(string)
	n := -1
	if len(args) > 3 {
		n = runtime.ToInt(args[3])
	}
	found := strings.Count(text, old)
	if n >= 0 {
		found = min(found, n)
	}
	if len(text)+found*(len(by)-len(old)) > maxRendered {
		return nil, errTooLong
	}
	return strings.Replace(text, old, by, n), nil
}

func repeated(args ...any) (any, error) {
	text, n := args[0].(string), runtime.ToInt(args[1])
	switch {
	case n < 0:
		return nil, fmt.Errorf("repeat can't make a text %d times", n)
	case text == "":
		return "", nil
	case n > maxRendered/len(text):
		return nil, errTooLong
	}
	return strings.Repeat(text, n), nil
}

func joinedList(args ...any) (any, error) {
	glue := ""
	if len(args) > 1 {
		glue = args[1].(string)
	}
	var list []string
	switch given := args[0].(type) {
	case []string:
		list = given
	case []any:
		for _, item := range given {
			s, ok := item.(string)
			if !ok {
				return nil, fmt.Errorf("join puts texts together, not a %T", item)
			}
			list = append(list, s)
		}
	}
	size := len(glue) * max(0, len(list)-1)
	for _, s := range list {
		size += len(s)
	}
	if size > maxRendered {
		return nil, errTooLong
	}
	return strings.Join(list, glue), nil
}

func toJSON(args ...any) (any, error) {
	if weight(args[0]) > maxRendered {
		return nil, errTooLong
	}
	text, err := json.MarshalIndent(args[0], "", "  ") // as the function that it replaces
	if err == nil && len(text) > maxRendered {
		err = errTooLong
	}
	return string(text), err
}

// weight is the least number of octets that a value takes as JSON, as far as it
// matters.
func weight(v any) (n int) {
	switch v := v.(type) {
	case string:
		return len(v)
	case []string:
		for _, s := range v {
			n += 1 + len(s)
		}
	case []any:
		for i := 0; i < len(v) && n <= maxRendered; i++ {
			n += 1 + weight(v[i])
		}
	case map[string]any:
		for name, item := range v {
			n += 1 + len(name) + weight(item)
		}
	}
	return n
}

func toBase64(args ...any) (any, error) {
	text := args[0].(string)
	if base64.StdEncoding.EncodedLen(len(text)) > maxRendered {
		return nil, errTooLong
	}
	return base64.StdEncoding.EncodeToString([]byte(text)), nil
}

// joining compiles `+` to joined where a side may be a text.
type joining struct{}

func (joining) Visit(node *ast.Node) {
	if n, ok := (*node).(*ast.BinaryNode); ok && n.Operator == "+" && mayBeText(n.Left.Type()) && mayBeText(n.Right.Type()) {
		ast.Patch(node, &ast.CallNode{Callee: &ast.IdentifierNode{Value: functionJoined}, Arguments: []ast.Node{n.Left, n.Right}})
	}
}

func mayBeText(t reflect.Type) bool {
	return t == nil || t.Kind() == reflect.String || t.Kind() == reflect.Interface
}

var (
	errPattern = errors.New("the pattern of `matches` is written out in quotes; one that is computed could be of any length")
	errAgain   = errors.New("an expression has no variables (let) and no reduce; count, sum, min and max work on lists")
)
