package drawing

import (
	"cmp"
	"errors"
	"slices"

	"trunkline/flowengine"
)

// The layout is that of Sugiyama: layers by longest path, dummies on the way of
// long edges, fewer crossings by barycentres, then places near the neighbours.
// Labels are dummies too, in layers of their own, so that nothing overlaps them.

// Distances, in pixels.
const (
	gapX       = 28 // between boxes of a layer
	gapY       = 22 // between a box and a label
	margin     = 24
	labelLine  = 18
	sweeps     = 12
	loopWidth  = 34 // room for a way from an element to itself
	maxPlacing = 40
)

// box is something that takes a place: a node, a label, or a bend of an edge.
type box struct {
	node          *flowengine.GraphNode // nil: a bend
	label         string                // of the edge whose bend this is
	layer         int
	width, height float64
	x, y          float64 // centre
	top, bottom   float64 // of its layer
	order         int     // in its layer
	up, down      []*box
}

// route is an edge with the boxes that it runs through, from the upper one to
// the lower one.
type route struct {
	edge    flowengine.GraphEdge
	through []*box
	back    bool // it leads upwards: against the order of the layers
	loop    bool
}

type layout struct {
	layers        [][]*box
	boxes         map[string]*box
	routes        []*route
	width, height float64
}

// ErrTooLarge says that nobody could read the picture, nor wait for it.
var ErrTooLarge = errors.New("the flow has too many ways across too many elements for a picture; Mermaid and Graphviz take its text")

// maxBends bounds the pieces that all edges together are made of.
const maxBends = 4000

func arrange(g *flowengine.Graph, size func(*flowengine.GraphNode) (w, h float64)) (*layout, error) {
	l := &layout{boxes: map[string]*box{}}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		w, h := size(n)
		l.boxes[n.ID] = &box{node: n, width: w, height: h}
	}
	l.rank(g)
	if l.bends() > maxBends {
		return nil, ErrTooLarge
	}
	l.route()
	l.cross()
	l.place()
	return l, nil
}

// rank gives each node its layer: below all that lead to it, but for edges that
// close a cycle. Nodes have even layers, labels the odd ones between.
func (l *layout) rank(g *flowengine.Graph) {
	out := map[string][]int{}
	for i, e := range g.Edges {
		out[e.From] = append(out[e.From], i)
		l.routes = append(l.routes, &route{edge: e, loop: e.From == e.To})
	}
	const open, done = 1, 2
	state := map[string]int{}
	var finished []string
	var visit func(id string)
	visit = func(id string) {
		state[id] = open
		for _, i := range out[id] {
			to := l.routes[i].edge.To
			switch {
			case l.routes[i].loop:
			case state[to] == open:
				l.routes[i].back = true
			case state[to] == 0:
				visit(to)
			}
		}
		state[id] = done
		finished = append(finished, id)
	}
	for i := range g.Nodes {
		if state[g.Nodes[i].ID] == 0 {
			visit(g.Nodes[i].ID)
		}
	}
	slices.Reverse(finished) // a topological order, back edges apart
	for _, id := range finished {
		for _, i := range out[id] {
			if r := l.routes[i]; !r.back && !r.loop {
				to := l.boxes[r.edge.To]
				to.layer = max(to.layer, l.boxes[id].layer+2)
			}
		}
	}
	l.pull(g, out)
	for i := range g.Nodes {
		l.add(l.boxes[g.Nodes[i].ID])
	}
}

// pull lets an entry point stand right above the element that it leads to.
func (l *layout) pull(g *flowengine.Graph, out map[string][]int) {
	for i := range g.Nodes {
		if n := &g.Nodes[i]; n.Kind == flowengine.GraphEntry {
			for _, e := range out[n.ID] {
				l.boxes[n.ID].layer = max(0, l.boxes[l.routes[e].edge.To].layer-2)
			}
		}
	}
}

// bends counts the layers that edges pass.
func (l *layout) bends() (n int) {
	for _, r := range l.routes {
		d := l.boxes[r.edge.To].layer - l.boxes[r.edge.From].layer
		n += max(d, -d)
	}
	return n
}

func (l *layout) add(b *box) {
	for len(l.layers) <= b.layer {
		l.layers = append(l.layers, nil)
	}
	b.order = len(l.layers[b.layer])
	l.layers[b.layer] = append(l.layers[b.layer], b)
}

// route lays the edges through the layers.
func (l *layout) route() {
	for _, r := range l.routes {
		upper, lower := l.boxes[r.edge.From], l.boxes[r.edge.To]
		if r.loop {
			upper.width += 2 * (loopWidth + textWidth(shorten(r.edge.Label, maxLabel), smallText)) // on both sides: it stays in the middle
			continue
		}
		if r.back {
			upper, lower = lower, upper
		}
		r.through = []*box{upper}
		labelAt := upper.layer + 1 // near the element that the label belongs to
		if r.back {
			labelAt = lower.layer - 1
		}
		for layer := upper.layer + 1; layer < lower.layer; layer++ {
			bend := &box{layer: layer, width: 8}
			if layer == labelAt && r.edge.Label != "" {
				bend.label = shorten(r.edge.Label, maxLabel)
				bend.width, bend.height = textWidth(bend.label, smallText)+12, labelLine
			}
			l.add(bend)
			r.through = append(r.through, bend)
		}
		r.through = append(r.through, lower)
		for i := 1; i < len(r.through); i++ {
			a, b := r.through[i-1], r.through[i]
			a.down, b.up = append(a.down, b), append(b.up, a)
		}
	}
}

// cross orders each layer so that edges cross little, and keeps the best order.
func (l *layout) cross() {
	l.exchange()
	best, fewest := l.orders(), l.crossings()
	for i := 0; i < sweeps && fewest > 0; i++ {
		if i%2 == 0 {
			for _, layer := range l.layers[1:] {
				reorder(layer, func(b *box) []*box { return b.up })
			}
		} else {
			for j := len(l.layers) - 2; j >= 0; j-- {
				reorder(l.layers[j], func(b *box) []*box { return b.down })
			}
		}
		l.exchange()
		if n := l.crossings(); n < fewest {
			best, fewest = l.orders(), n
		}
	}
	for i, order := range best {
		l.layers[i] = order
		for j, b := range order {
			b.order = j
		}
	}
}

func (l *layout) orders() [][]*box {
	all := make([][]*box, len(l.layers))
	for i := range l.layers {
		all[i] = slices.Clone(l.layers[i])
	}
	return all
}

// reorder sorts a layer by the mean place of the neighbours. Boxes without
// neighbours keep their place.
func reorder(layer []*box, neighbours func(*box) []*box) {
	at := make(map[*box]float64, len(layer))
	for _, b := range layer {
		at[b] = float64(b.order)
		if near := neighbours(b); len(near) > 0 {
			sum := 0.0
			for _, n := range near {
				sum += float64(n.order)
			}
			at[b] = sum / float64(len(near))
		}
	}
	slices.SortStableFunc(layer, func(a, b *box) int { return cmp.Compare(at[a], at[b]) })
	for i, b := range layer {
		b.order = i
	}
}

// exchange lets neighbours change places where that saves crossings.
func (l *layout) exchange() {
	for _, layer := range l.layers {
		for i := 1; i < len(layer); i++ {
			a, b := layer[i-1], layer[i]
			now := crossed(a.up, b.up) + crossed(a.down, b.down)
			if now > crossed(b.up, a.up)+crossed(b.down, a.down) {
				layer[i-1], layer[i] = b, a
				a.order, b.order = i, i-1
			}
		}
	}
}

// crossed counts the crossings of the edges of two neighbours, a on the left.
func crossed(a, b []*box) (n int) {
	for _, x := range a {
		for _, y := range b {
			if x.order > y.order {
				n++
			}
		}
	}
	return n
}

// crossings counts the pairs of edges that cross between neighbouring layers.
func (l *layout) crossings() (n int) {
	for _, layer := range l.layers {
		var ends []int // of edges in the order of their upper ends
		for _, b := range layer {
			orders := make([]int, len(b.down))
			for i, d := range b.down {
				orders[i] = d.order
			}
			slices.Sort(orders)
			for _, o := range orders {
				for _, before := range ends {
					if before > o {
						n++
					}
				}
			}
			ends = append(ends, orders...)
		}
	}
	return n
}

// place gives the boxes their coordinates.
func (l *layout) place() {
	for _, layer := range l.layers {
		x := 0.0
		for _, b := range layer {
			b.x = x + b.width/2
			x += b.width + gapX
		}
	}
	for i := range maxPlacing {
		for j := range l.layers {
			layer := l.layers[j]
			if i%2 == 1 {
				layer = l.layers[len(l.layers)-1-j]
			}
			settle(layer, i%2 == 0, i >= maxPlacing-4)
		}
	}
	l.bounds()
}

// settle moves the boxes of a layer as near to their neighbours as their order
// and widths allow: the least squares under the distances, by pooling.
func settle(layer []*box, down, both bool) {
	type pool struct {
		sum, weight float64
		n           int
	}
	var pools []pool
	offsets := make([]float64, len(layer))
	for i, b := range layer {
		if i > 0 {
			offsets[i] = offsets[i-1] + layer[i-1].width/2 + gapX + b.width/2
		}
		want, weight := wish(b, down, both)
		pools = append(pools, pool{(want - offsets[i]) * weight, weight, 1})
		for len(pools) > 1 {
			last, before := pools[len(pools)-1], pools[len(pools)-2]
			if before.sum/before.weight <= last.sum/last.weight {
				break
			}
			pools = append(pools[:len(pools)-2], pool{last.sum + before.sum, last.weight + before.weight, last.n + before.n})
		}
	}
	i := 0
	for _, p := range pools {
		for range p.n {
			layer[i].x = p.sum/p.weight + offsets[i]
			i++
		}
	}
}

// wish is where a box wants to be, and how much. Bends want straight edges most.
func wish(b *box, down, both bool) (x, weight float64) {
	near := b.up
	switch {
	case both:
		near = slices.Concat(b.up, b.down)
	case !down:
		near = b.down
	}
	if len(near) == 0 {
		return b.x, 0.1
	}
	weight = 1
	if b.node == nil {
		weight = 8
	}
	total := 0.0
	for _, n := range near {
		pull := 1.0
		if b.node == nil && n.node == nil {
			pull = 6
		}
		x, total = x+n.x*pull, total+pull
	}
	return x / total, weight
}

// bounds moves everything to the margin and stacks the layers.
func (l *layout) bounds() {
	left := 1e9
	for _, layer := range l.layers {
		for _, b := range layer {
			left = min(left, b.x-b.width/2)
		}
	}
	y := float64(margin)
	for _, layer := range l.layers {
		tall := 0.0
		for _, b := range layer {
			tall = max(tall, b.height)
		}
		for _, b := range layer {
			b.x += margin - left
			b.y, b.top, b.bottom = y+tall/2, y, y+tall
			l.width = max(l.width, b.x+b.width/2+margin)
		}
		y += tall + gapY
	}
	l.height = y - gapY + margin
}
