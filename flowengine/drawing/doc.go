// Package drawing turns the graph of a flow into text for Mermaid and Graphviz,
// and into an SVG of its own making. The same graph gives the same bytes. The
// package knows nothing of elements beyond what flowengine.Graph says.
package drawing
