package tariff

import (
	"cmp"
	"fmt"
	"slices"
)

func (p *parser) fill(g *group, staged []stagedRow) {
	if len(staged) == 0 {
		return
	}
	slices.SortFunc(staged, func(a, b stagedRow) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.validFrom, b.validFrom),
			cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line))
	})
	p.duplicates(g, staged)
	g.rows = make([]row, len(staged))
	for i := range staged {
		g.rows[i] = staged[i].row
	}
	g.spans = make(map[uint64]span, distinctKeys(staged))
	for start := 0; start < len(staged); {
		key, end := staged[start].key, start+1
		for end < len(staged) && staged[end].key == key {
			end++
		}
		g.spans[key] = span{uint32(start), uint32(end)}
		g.lengths |= 1 << digitsOf(key)
		start = end
	}
}

// duplicates reports each row that has a forerunner for the same time.
func (p *parser) duplicates(g *group, staged []stagedRow) {
	first := 0
	for i := 1; i < len(staged); i++ {
		if staged[i].key != staged[first].key || staged[i].validFrom != staged[first].validFrom {
			first = i
			continue
		}
		a, b := &staged[first], &staged[i]
		prefix := g.prefix(b.key)
		p.findings.add(finding{
			file: int(b.file), line: int(b.line), column: int(b.column), name: columns[colPrefix], text: prefix,
			message: fmt.Sprintf("%s %s %s has two prices from the same time on", g.channel, g.direction, prefix),
			hint:    fmt.Sprintf("the first is in %s:%d", p.files[a.file].Name, a.line),
		})
	}
}

func distinctKeys(sorted []stagedRow) int {
	n := 1
	for i := 1; i < len(sorted); i++ {
		if sorted[i].key != sorted[i-1].key {
			n++
		}
	}
	return n
}

// digitsOf counts the digits of a prefix by its key; those of a domain mean nothing.
func digitsOf(key uint64) int {
	n := 0
	for ; key >= 10; key /= 10 {
		n++
	}
	return n
}
