package drawing

import (
	"fmt"
	"strconv"
	"strings"

	"trunkline/flowengine"
)

// Mermaid writes the graph as a Mermaid flowchart, which GitHub, GitLab and most
// wikis show as a picture.
func Mermaid(g *flowengine.Graph) string {
	var b strings.Builder
	fmt.Fprintf(&b, "---\ntitle: %s\n---\nflowchart TD\n", strconv.Quote(g.Name))
	names := map[string]string{}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		names[n.ID] = "n" + strconv.Itoa(i+1)
		left, right := mermaidShape(n)
		fmt.Fprintf(&b, "  %s%s\"%s\"%s:::%s\n", names[n.ID], left, mermaidText(n), right, mermaidClass(n.Kind))
	}
	for _, e := range g.Edges {
		label := ""
		if e.Label != "" {
			label = `|"` + mermaidEscape(shorten(e.Label, maxLabel)) + `"|`
		}
		fmt.Fprintf(&b, "  %s -->%s %s\n", names[e.From], label, names[e.To])
	}
	b.WriteString(`  classDef entry fill:#dcf5e3,stroke:#2e8b57,color:#12351f
  classDef send fill:#dcebfc,stroke:#2f6fb5,color:#12283f
  classDef wait fill:#fdf0d0,stroke:#b7841c,color:#3b2a05
  classDef branch fill:#ece3fb,stroke:#7a51c4,color:#281445
  classDef change fill:#e8ebee,stroke:#66727d,color:#1d2328
  classDef final fill:#f7dfdf,stroke:#a64b4b,color:#3f1515
`)
	return b.String()
}

// mermaidClass avoids `end`, which is a word of Mermaid.
func mermaidClass(k flowengine.GraphKind) string {
	if k == flowengine.GraphEnd {
		return "final"
	}
	return string(k)
}

func mermaidShape(n *flowengine.GraphNode) (left, right string) {
	switch n.Kind {
	case flowengine.GraphEntry:
		return "([", "])"
	case flowengine.GraphBranch:
		return "{{", "}}"
	case flowengine.GraphEnd:
		return "((", "))"
	}
	return "[", "]"
}

func mermaidText(n *flowengine.GraphNode) string {
	t := mermaidEscape(n.Title)
	if n.Type != "" {
		t = "<b>" + t + "</b><br>" + mermaidEscape(typeWords(n.Type))
	}
	for _, line := range textLines(n) {
		t += "<br>" + mermaidEscape(line)
	}
	return t
}

// mermaidEscape writes what has a meaning in Mermaid or HTML as a character
// code; Mermaid knows #NN; for that.
func mermaidEscape(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune("\"#<>&`{}|\\;*_~[]", r) || r < ' ' {
			fmt.Fprintf(&b, "#%d;", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// DOT writes the graph in the language of Graphviz.
func DOT(g *flowengine.Graph) string {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %s {\n  label=%s; labelloc=t; fontname=\"sans-serif\"; node [shape=box, style=rounded, fontname=\"sans-serif\"]; edge [fontname=\"sans-serif\", fontsize=11];\n",
		dotQuote(g.Flow), dotQuote(g.Name))
	for i := range g.Nodes {
		n := &g.Nodes[i]
		text := []string{n.Title}
		if n.Type != "" {
			text = append(text, typeWords(n.Type))
		}
		text = append(text, textLines(n)...)
		fmt.Fprintf(&b, "  %s [label=%s%s];\n", dotQuote(n.ID), dotQuote(strings.Join(text, "\n")), dotShape(n))
	}
	for _, e := range g.Edges {
		fmt.Fprintf(&b, "  %s -> %s [label=%s];\n", dotQuote(e.From), dotQuote(e.To), dotQuote(shorten(e.Label, maxLabel)))
	}
	b.WriteString("}\n")
	return b.String()
}

func dotShape(n *flowengine.GraphNode) string {
	switch n.Kind {
	case flowengine.GraphEntry:
		return ", shape=oval"
	case flowengine.GraphBranch:
		return ", shape=hexagon"
	case flowengine.GraphEnd:
		return ", shape=circle"
	}
	return ""
}

var dotEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", "")

func dotQuote(s string) string { return `"` + dotEscapes.Replace(s) + `"` }

// Limits of what is shown, in characters.
const (
	maxLine  = 34
	maxLines = 3 // of what a node does
	maxLabel = 40
)

func typeWords(typ string) string { return strings.ReplaceAll(typ, "_", " ") }

// shorten cuts a text to at most most characters.
func shorten(s string, most int) string {
	runes := []rune(strings.Join(strings.Fields(s), " "))
	if len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return string(runes)
}

// textLines is what a node does, broken into a few lines.
func textLines(n *flowengine.GraphNode) (lines []string) {
	for _, text := range n.Lines {
		lines = append(lines, wrap(text, maxLine)...)
	}
	if len(lines) > maxLines {
		lines = lines[:maxLines]
		lines[maxLines-1] = shorten(lines[maxLines-1]+" …", maxLine)
	}
	return lines
}

// wrap breaks a text at spaces; a word that is too long is cut.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		word = shorten(word, width)
		switch {
		case line == "":
			line = word
		case len([]rune(line))+1+len([]rune(word)) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
