package drawing

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"

	"trunkline/flowengine"
)

// Sizes of texts, in pixels.
const (
	normalText = 14.0
	smallText  = 12.0
	lineHeight = 17.0
	titleSpace = 34.0
)

// style has the colours for light and dark surroundings.
const style = `
.flow{--paper:#fff;--ink:#1d2328;--faint:#57626c;--line:#7b8792;font-family:system-ui,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;font-size:14px}
.flow .entry{--fill:#dcf5e3;--edge:#2e8b57}.flow .send{--fill:#dcebfc;--edge:#2f6fb5}.flow .wait{--fill:#fdf0d0;--edge:#b7841c}
.flow .branch{--fill:#ece3fb;--edge:#7a51c4}.flow .change{--fill:#eceff1;--edge:#66727d}.flow .end{--fill:#f7dfdf;--edge:#a64b4b}
@media(prefers-color-scheme:dark){.flow{--paper:#14181c;--ink:#e8edf1;--faint:#a9b4be;--line:#8995a0}
.flow .entry{--fill:#16382a;--edge:#57c08a}.flow .send{--fill:#16304c;--edge:#6aa9ee}.flow .wait{--fill:#41330f;--edge:#dcae4c}
.flow .branch{--fill:#322152;--edge:#b090ee}.flow .change{--fill:#2a3138;--edge:#93a0ab}.flow .end{--fill:#452222;--edge:#dd8585}}
.flow .paper{fill:var(--paper)}.flow .box{fill:var(--fill);stroke:var(--edge);stroke-width:1.4}
.flow text{fill:var(--ink)}.flow .name{font-weight:600}.flow .kind,.flow .label{fill:var(--faint);font-size:12px}.flow .heading{font-size:17px;font-weight:600}
.flow .way{fill:none;stroke:var(--line);stroke-width:1.5}.flow .back{stroke-dasharray:5 4}.flow .tip{fill:var(--line)}
.flow .plate{fill:var(--paper)}.flow .said{font-size:12px}
`

// SVG draws the graph from top to bottom. The picture stands alone, follows the
// light or dark scheme of its reader, and has its texts as texts. The error is
// ErrTooLarge.
func SVG(g *flowengine.Graph) (string, error) {
	l, err := arrange(g, nodeSize)
	if err != nil {
		return "", err
	}
	heading := shorten(g.Name, 80)
	width := max(l.width, textWidth(heading, 18)+2*margin)
	shift := (width - l.width) / 2
	height := l.height + titleSpace
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" class="flow" role="img" aria-labelledby="flow-title flow-desc" viewBox="0 0 %s %s" width="%s" height="%s">`+"\n",
		px(width), px(height), px(width), px(height))
	fmt.Fprintf(&b, "<title id=\"flow-title\">Flow %s</title>\n<desc id=\"flow-desc\">%s</desc>\n<style>%s</style>\n", escape(g.Name), escape(describe(g)), style)
	b.WriteString(`<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path class="tip" d="M0 0L10 5L0 10z"/></marker></defs>` + "\n")
	b.WriteString(`<rect class="paper" width="100%" height="100%"/>` + "\n")
	fmt.Fprintf(&b, `<text class="heading" x="%d" y="30">%s</text>`+"\n", margin, escape(heading))
	fmt.Fprintf(&b, `<g transform="translate(%s %s)">`+"\n", px(shift), px(titleSpace))
	for _, r := range l.routes {
		drawRoute(&b, l, r)
	}
	for _, layer := range l.layers {
		for _, x := range layer {
			switch {
			case x.node != nil:
				drawNode(&b, x)
			case x.label != "":
				drawLabel(&b, x.x, x.y, x.width, x.label)
			}
		}
	}
	b.WriteString("</g>\n</svg>\n")
	return b.String(), nil
}

// describe says the graph for those who do not see it.
func describe(g *flowengine.Graph) string {
	titles := map[string]string{}
	for i := range g.Nodes {
		titles[g.Nodes[i].ID] = g.Nodes[i].Title
	}
	var parts []string
	for _, e := range g.Edges {
		part := titles[e.From]
		if e.Label != "" {
			part += " (" + shorten(e.Label, maxLabel) + ")"
		}
		parts = append(parts, part+" leads to "+titles[e.To])
	}
	return strings.Join(parts, "; ") + "."
}

const (
	endRadius = 9.0
	stub      = 8.0 // straight piece of an edge at a box, for the tip
)

func nodeSize(n *flowengine.GraphNode) (w, h float64) {
	if n.Kind == flowengine.GraphEnd && n.Type == "" {
		return 2 * endRadius, 2 * endRadius
	}
	w = max(boldWidth(n.Title), textWidth(typeWords(n.Type), smallText))
	lines := textLines(n)
	for _, line := range lines {
		w = max(w, textWidth(line, smallText))
	}
	return max(w+28, 96), 20 + 2*lineHeight + float64(len(lines))*(lineHeight-1)
}

// drawn is how wide the box of a node is: without the room for its loops.
func drawn(b *box) float64 { w, _ := nodeSize(b.node); return w }

func drawNode(b *strings.Builder, x *box) {
	n := x.node
	fmt.Fprintf(b, `<g class="%s"><title>%s</title>`, n.Kind, escape(strings.TrimSpace(strings.Join(append([]string{n.Title, typeWords(n.Type)}, n.Lines...), "\n"))))
	if n.Kind == flowengine.GraphEnd && n.Type == "" {
		fmt.Fprintf(b, `<circle class="box" cx="%s" cy="%s" r="%s"/></g>`+"\n", px(x.x), px(x.y), px(endRadius-1))
		return
	}
	w, left, top := drawn(x), x.x-drawn(x)/2, x.y-x.height/2
	radius := 8.0
	if n.Kind == flowengine.GraphEntry {
		radius = 22
	}
	fmt.Fprintf(b, `<rect class="box" x="%s" y="%s" width="%s" height="%s" rx="%s"/>`, px(left), px(top), px(w), px(x.height), px(radius))
	y := top + 10 + normalText
	text := func(class, s string) {
		fmt.Fprintf(b, `<text class="%s" x="%s" y="%s" text-anchor="middle">%s</text>`, class, px(x.x), px(y), escape(s))
		y += lineHeight - 1
	}
	text("name", n.Title)
	text("kind", typeWords(n.Type))
	y++
	for _, line := range textLines(n) {
		text("said", line)
	}
	b.WriteString("</g>\n")
}

func drawLabel(b *strings.Builder, x, y, width float64, label string) {
	fmt.Fprintf(b, `<rect class="plate" x="%s" y="%s" width="%s" height="%d" rx="4"/><text class="label" x="%s" y="%s" text-anchor="middle">%s</text>`+"\n",
		px(x-width/2), px(y-labelLine/2), px(width), labelLine, px(x), px(y+4), escape(label))
}

// drawRoute draws an edge as a smooth line through its bends.
func drawRoute(b *strings.Builder, l *layout, r *route) {
	if r.loop {
		drawLoop(b, l.boxes[r.edge.From], shorten(r.edge.Label, maxLabel))
		return
	}
	last := len(r.through) - 1
	first := r.through[0]
	x, y := port(first, r.through[1].x), first.y+first.height/2
	var d strings.Builder
	fmt.Fprintf(&d, "M%s %sV%s", px(x), px(y), px(first.bottom+stub)) // past taller boxes beside it
	y = first.bottom + stub
	for i := 1; i <= last; i++ {
		t := r.through[i]
		tx, ty, bottom := t.x, t.top, t.bottom
		if i == last {
			tx, ty, bottom = port(t, x), t.top-stub, t.y-t.height/2
		}
		mid := (y + ty) / 2
		fmt.Fprintf(&d, "C%s %s %s %s %s %s", px(x), px(mid), px(tx), px(mid), px(tx), px(ty))
		fmt.Fprintf(&d, "V%s", px(bottom)) // straight between boxes, and behind the label
		x, y = tx, bottom
	}
	class, tip := "way", "marker-end"
	if r.back {
		class, tip = "way back", "marker-start"
	}
	fmt.Fprintf(b, `<path class="%s" d="%s" %s="url(#tip)"/>`+"\n", class, d.String(), tip)
}

// port is where an edge meets a box: towards the other end, so that several
// edges do not lie on each other.
func port(b *box, towards float64) float64 {
	if b.node == nil || b.width <= 2*endRadius {
		return b.x
	}
	reach := drawn(b)/2 - 18
	return b.x + max(-reach, min(reach, (towards-b.x)/4))
}

func drawLoop(b *strings.Builder, x *box, label string) {
	right := x.x + drawn(x)/2
	fmt.Fprintf(b, `<path class="way back" d="M%s %sC%s %s %s %s %s %s" marker-end="url(#tip)"/>`+"\n",
		px(right), px(x.y-10), px(right+loopWidth), px(x.y-22), px(right+loopWidth), px(x.y+22), px(right), px(x.y+10))
	if label != "" {
		w := textWidth(label, smallText)
		drawLabel(b, right+loopWidth-4+w/2, x.y, w+2, label)
	}
}

// px writes a coordinate with one decimal place at most.
func px(v float64) string {
	s := strconv.FormatFloat(v, 'f', 1, 64)
	s = strings.TrimSuffix(s, ".0")
	if s == "-0" {
		return "0"
	}
	return s
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

// textWidth estimates the width of a text: fonts differ, so it is on the safe side.
func textWidth(s string, size float64) float64 {
	w := 0.0
	for _, r := range s {
		switch {
		case strings.ContainsRune("iljtfI.,:;'|!()[] ", r):
			w += 0.36
		case strings.ContainsRune("mwMW@%—…", r):
			w += 0.95
		case r >= 'A' && r <= 'Z':
			w += 0.72
		case r >= 0x1100: // wide scripts and signs
			w += 1.05
		default:
			w += 0.6
		}
	}
	return w * size
}

func boldWidth(s string) float64 { return textWidth(s, normalText) * 1.06 }
