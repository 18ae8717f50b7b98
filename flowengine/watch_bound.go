package flowengine

import (
	"slices"
)

// boundWatchers are conditions that only compare an attribute with numbers: their truth
// changes when the attribute passes one of these, comes or goes.
type boundWatchers[T comparable] struct {
	bounds []bound[T] // ordered by value, each once
	all    []T
}

type bound[T comparable] struct {
	value Value // a whole number or a decimal
	of    []T
}

func (w *watchers[T]) byBoundOf(key string) *boundWatchers[T] {
	b := w.byBound[key]
	if b == nil {
		b = new(boundWatchers[T])
		w.byBound[key] = b
	}
	return b
}

func (b *boundWatchers[T]) add(x T, values []Value) {
	b.all = append(b.all, x)
	for _, v := range values {
		i, there := b.find(v)
		if !there {
			b.bounds = slices.Insert(b.bounds, i, bound[T]{value: v})
		}
		if at := &b.bounds[i]; !slices.Contains(at.of, x) {
			at.of = append(at.of, x)
		}
	}
}

func (b *boundWatchers[T]) find(v Value) (int, bool) {
	return slices.BinarySearchFunc(b.bounds, v, func(at bound[T], v Value) int { return compareNumbers(at.value, v) })
}

// passed lists whose bounds lie between two values, these included.
func (b *boundWatchers[T]) passed(from, to Value) (all []T) {
	if !numberFamily.has(from.Type) || !numberFamily.has(to.Type) {
		return b.all
	}
	if compareNumbers(from, to) > 0 {
		from, to = to, from
	}
	for i, _ := b.find(from); i < len(b.bounds) && compareNumbers(b.bounds[i].value, to) <= 0; i++ {
		all = join(all, b.bounds[i].of)
	}
	return all
}

// bounds lists the numbers with which the condition compares an attribute. ok is false
// when it looks at it in another way, too.
func (n *node) bounds(attribute string) (values []Value, ok bool) {
	for i := range n.kids {
		of, ok := n.kids[i].bounds(attribute)
		if !ok {
			return nil, false
		}
		values = append(values, of...)
	}
	switch {
	case n.kind == exprNode:
		return nil, !slices.Contains(n.computed.expression.reads.person, attribute)
	case n.kind == attributeNode && n.value.name == attribute:
		return n.value.bounds, len(n.value.bounds) > 0
	}
	return values, true
}
