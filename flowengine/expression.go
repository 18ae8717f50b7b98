package flowengine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"
)

// Limits of one expression. They bound its cost whatever it computes.
const (
	maxExpression      = 2000 // bytes of source
	maxExpressionNodes = 200
	expressionMemory   = 10_000 // elements of all lists that it makes; see boundedTexts
)

// What expressions and templates can name.
const (
	rootPerson  = "person"
	rootInbound = "inbound"
	rootVars    = "vars"
	rootEvent   = "event"
	rootNow     = "now"
	rootCall    = "call"
	rootCollect = "collect"
	fieldTags   = "tags" // of person
)

var roots = []string{rootPerson, rootInbound, rootEvent, rootCall, rootCollect, rootVars, rootNow}

// orderings are the operators that are false when a side is missing.
var orderings = []string{"<", "<=", ">", ">=", "contains", "startsWith", "endsWith", "matches"}

// Expression is a compiled expression over person, inbound, event, vars and now. It is
// safe for concurrent use.
//
// A comparison with a missing value is false, but for `!=` and `== nil`.
type Expression struct {
	source string
	prog   *vm.Program
	reads  reads
}

// reads says which values an expression or template looks at, so that no
// others are prepared for it.
type reads struct {
	person  []string
	inbound []string
	call    []string // of call
	collect []string
	vars    bool
	event   bool
	now     bool
	message bool // addresses of the mail that is rendered
}

func (r *reads) member(root, name string) {
	names := map[string]*[]string{rootPerson: &r.person, rootInbound: &r.inbound, rootCall: &r.call, rootCollect: &r.collect}[root]
	if names != nil && !slices.Contains(*names, name) {
		*names = append(*names, name)
	}
	if root == rootMessage {
		r.message = true
	}
}

// CompileExpression compiles source against the schema. With boolean, the
// result must be true or false. The error says where in the source it is wrong.
func CompileExpression(source string, schema *Schema, boolean bool) (*Expression, error) {
	if strings.TrimSpace(source) == "" {
		return nil, errors.New("the expression is empty")
	}
	if len(source) > maxExpression {
		return nil, fmt.Errorf("the expression is longer than %d bytes", maxExpression)
	}
	e := &Expression{source: source}
	seen := &usage{reads: &e.reads}
	options := []expr.Option{
		expr.Env(environment(schema)), expr.MaxNodes(maxExpressionNodes), expr.Timezone("UTC"),
		expr.DisableBuiltin("now"), // it reads the clock of the machine; ours is a variable
		expr.Patch(seen), expr.Patch(tolerant{schema.at != nil}), expr.Patch(joining{}),
	}
	options = append(options, boundedTexts()...)
	if boolean {
		options = append(options, expr.AsBool())
	}
	prog, err := expr.Compile(source, options...)
	if err != nil {
		return nil, explain(err, source, schema)
	}
	if seen.ranges > 0 || seen.loops > 1 {
		return nil, errors.New("an expression has no ranges and at most one loop (any, all, filter, …)")
	}
	switch {
	case seen.computed:
		return nil, errPattern
	case seen.again:
		return nil, errAgain
	}
	e.prog = prog
	return e, nil
}

// environment types what expressions can name; anything else is an error.
func environment(schema *Schema) types.Map {
	person := types.Map{fieldTags: types.Array(types.String)}
	for _, name := range schema.Names() {
		person[name] = exprType(schema.Type(name))
	}
	event := types.Map{types.Extra: types.Any}
	if schema.at != nil {
		event = exprTypes(schema.at.types)
	}
	return types.Map{
		rootPerson: person, rootInbound: exprTypes(inboundTypes), rootCall: exprTypes(callTypes), rootCollect: exprTypes(collectTypes),
		rootVars: types.Map{types.Extra: types.Any}, rootEvent: event, rootNow: exprType(DateTime),
	}
}

func exprTypes(fields map[string]Type) types.Map {
	all := types.Map{}
	for name, t := range fields {
		all[name] = exprType(t)
	}
	return all
}

func exprType(t Type) types.Type {
	if zero := zeroOf(t); zero != nil {
		return types.TypeOf(zero)
	}
	return types.Any
}

// zeroOf is a value of the Go type that expressions see for t.
func zeroOf(t Type) any {
	switch t {
	case Text:
		return ""
	case Whole:
		return int64(0)
	case Decimal:
		return float64(0)
	case Boolean:
		return false
	case Date, DateTime:
		return (Value{Type: DateTime}).Any()
	case List:
		return []string(nil)
	}
	return nil
}

// explain shortens a compile error to its first line, with its column, and adds
// what may have been meant.
func explain(err error, source string, schema *Schema) error {
	var at *file.Error
	if !errors.As(err, &at) {
		return err
	}
	hint := ""
	if name, ok := strings.CutPrefix(at.Message, "unknown field "); ok {
		known := append(slices.Clone(schema.Names()), fieldTags)
		runes := []rune(source)
		before := string(runes[:min(at.From, len(runes))])
		if schema.at != nil && strings.HasSuffix(before, rootEvent+".") {
			known = schema.at.names
		}
		for root, fields := range fieldsOf {
			if strings.HasSuffix(before, root+".") {
				known = slices.Sorted(maps.Keys(fields))
			}
		}
		hint = didYouMean(name, known)
	} else if name, ok := strings.CutPrefix(at.Message, "unknown name "); ok {
		hint = didYouMean(name, roots)
	}
	return fmt.Errorf("column %d: %s%s", at.Column+1, at.Message, hint)
}

// fieldsOf lists the fields of the roots whose fields are fixed.
var fieldsOf = map[string]map[string]Type{rootInbound: inboundTypes, rootCall: callTypes, rootCollect: collectTypes}

// usage records what the expression reads, and what would make it slow.
type usage struct {
	reads         *reads
	ranges, loops int
	computed      bool // a pattern of `matches` is
	again         bool // there are variables or reduce
}

func (u *usage) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		switch n.Value {
		case rootVars:
			u.reads.vars = true
		case rootEvent:
			u.reads.event = true
		case rootNow:
			u.reads.now = true
		}
	case *ast.MemberNode:
		if root, name, ok := memberOf(n); ok {
			u.reads.member(root, name)
		}
	case *ast.PredicateNode:
		u.loops++
	case *ast.VariableDeclaratorNode:
		u.again = true
	case *ast.BuiltinNode:
		u.again = u.again || n.Name == "reduce"
	case *ast.BinaryNode:
		switch n.Operator {
		case "..":
			u.ranges++
		case "matches":
			_, constant := n.Right.(*ast.StringNode)
			u.computed = u.computed || !constant
		}
	}
}

// memberOf takes person.x and inbound.x apart.
func memberOf(n ast.Node) (root, name string, ok bool) {
	m, isMember := n.(*ast.MemberNode)
	if !isMember {
		return "", "", false
	}
	id, isRoot := m.Node.(*ast.IdentifierNode)
	prop, isName := m.Property.(*ast.StringNode)
	if !isRoot || !isName {
		return "", "", false
	}
	return id.Value, prop.Value, true
}

// tolerant gives missing values a meaning instead of an error. A comparison
// with one is false: `a < b` becomes `a != nil and b != nil and a < b`; but it
// does differ: `a != b` becomes `a == nil or b == nil or a != b`. As a truth
// value it is false: `not a` becomes `not (a ?? false)`.
type tolerant struct {
	event bool // the types of its properties are known
}

func (t tolerant) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.UnaryNode:
		if n.Operator == "not" || n.Operator == "!" {
			n.Node = t.orFalse(n.Node)
		}
	case *ast.ConditionalNode:
		n.Cond = t.orFalse(n.Cond)
	case *ast.BinaryNode:
		switch {
		case n.Operator == "and" || n.Operator == "&&" || n.Operator == "or" || n.Operator == "||":
			n.Left, n.Right = t.orFalse(n.Left), t.orFalse(n.Right)
		case n.Operator == "!=":
			t.guard(node, n, "==", "or")
		case n.Operator == "==" || slices.Contains(orderings, n.Operator):
			t.guard(node, n, "!=", "and")
		}
	}
}

// guard puts a test for nil before a comparison, for each side that may be missing.
func (t tolerant) guard(node *ast.Node, n *ast.BinaryNode, test, join string) {
	if isNil(n.Left) || isNil(n.Right) {
		return
	}
	guarded := ast.Node(n)
	for _, side := range []ast.Node{n.Right, n.Left} {
		if t.mayMiss(side) {
			guarded = &ast.BinaryNode{Operator: join, Right: guarded, Left: &ast.BinaryNode{Operator: test, Left: side, Right: &ast.NilNode{}}}
		}
	}
	if guarded != ast.Node(n) {
		ast.Patch(node, guarded)
	}
}

func (t tolerant) orFalse(n ast.Node) ast.Node {
	if !t.mayMiss(n) {
		return n
	}
	return &ast.BinaryNode{Operator: "??", Left: n, Right: &ast.BoolNode{Value: false}}
}

func isNil(n ast.Node) bool { _, ok := n.(*ast.NilNode); return ok }

func (t tolerant) mayMiss(n ast.Node) bool {
	root, _, ok := memberOf(n)
	return ok && root != rootVars && (root != rootEvent || t.event)
}

var machines = sync.Pool{New: func() any { return &vm.VM{MemoryBudget: expressionMemory} }}

// Value computes the expression for a passage.
func (e *Expression) Value(x *Passage) (any, error) {
	env := e.reads.bindings(x, Value.Any)
	machine := machines.Get().(*vm.VM)
	out, err := machine.Run(e.prog, env)
	machines.Put(machine)
	if err != nil {
		var at *file.Error
		if errors.As(err, &at) {
			err = errors.New(at.Message)
		}
		return nil, fmt.Errorf("%q: %w", shorten(e.source), err)
	}
	return out, nil
}

// bindings prepares the values that are read, in the form that convert gives.
func (r *reads) bindings(x *Passage, convert func(Value) any) map[string]any {
	env := map[string]any{rootPerson: unread, rootInbound: unread}
	if len(r.person) > 0 {
		env[rootPerson] = r.profile(x, convert)
	}
	if len(r.inbound) > 0 {
		inbound := make(map[string]any, len(r.inbound))
		for _, name := range r.inbound {
			inbound[name] = convert(x.Run.Inbound.field(name))
		}
		env[rootInbound] = inbound
	}
	if len(r.call) > 0 {
		env[rootCall] = r.ofCall(x, r.call, convert)
	}
	if len(r.collect) > 0 {
		env[rootCollect] = r.ofCall(x, r.collect, convert)
	}
	if r.vars {
		vars := make(map[string]any, len(x.Run.Vars))
		for _, v := range x.Run.Vars {
			vars[v.Name] = convert(v.Value)
		}
		env[rootVars] = vars
	}
	if r.event {
		env[rootEvent] = x.Run.Event.bindings(convert)
	}
	if r.now {
		env[rootNow] = x.Now.In(x.Version.Settings.zone())
	}
	if r.message {
		env[rootMessage] = x.mailPages()
	}
	return env
}

// ofCall is what is read of the run's call.
func (r *reads) ofCall(x *Passage, names []string, convert func(Value) any) map[string]any {
	call := make(map[string]any, len(names))
	for _, name := range names {
		call[name] = convert(x.Run.Call.field(name))
	}
	return call
}

// unread is what a root holds of which nothing is read. Nobody writes to it.
var unread = map[string]any{}

// profile is what is read of the person.
func (r *reads) profile(x *Passage, convert func(Value) any) map[string]any {
	person := make(map[string]any, len(r.person))
	for _, name := range r.person {
		if name == fieldTags {
			tags := make([]string, len(x.Person.Tags))
			for i, t := range x.Person.Tags {
				tags[i] = t.Name
			}
			person[name] = tags
			continue
		}
		person[name] = convert(x.Person.attribute(name))
	}
	return person
}

// Condition is an expression that is true or false.
type Condition struct{ expression *Expression }

// CompileCondition compiles a condition.
func CompileCondition(source string, schema *Schema) (*Condition, error) {
	e, err := CompileExpression(source, schema, true)
	if err != nil {
		return nil, err
	}
	return &Condition{e}, nil
}

// True says whether the condition holds for a passage.
func (c *Condition) True(x *Passage) (bool, error) {
	out, err := c.expression.Value(x)
	if err != nil {
		return false, err
	}
	yes, _ := out.(bool)
	return yes, nil
}
