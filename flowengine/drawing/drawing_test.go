package drawing_test

import (
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"trunkline/flowengine"
	"trunkline/flowengine/drawing"
)

var update = flag.Bool("update", false, "rewrite the pictures in testdata")

func parse(t testing.TB, file string) *flowengine.Version {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := flowengine.NewSchema(flowengine.Attribute{Name: "shoeSize", Type: flowengine.Whole})
	if err != nil {
		t.Fatal(err)
	}
	v, err := flowengine.ParseFlow(file, data, schema, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func svgOf(t rapid.TB, g *flowengine.Graph) string {
	svg, err := drawing.SVG(g)
	if err != nil {
		t.Fatal(err)
	}
	return svg
}

// TestTooLarge: a flow that nobody could read is refused before any work is done.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	g := &flowengine.Graph{Flow: "f"}
	for i := range 400 {
		g.Nodes = append(g.Nodes, flowengine.GraphNode{ID: fmt.Sprint(i), Title: "t"})
		for j := range i {
			g.Edges = append(g.Edges, flowengine.GraphEdge{From: fmt.Sprint(j), To: fmt.Sprint(i)})
		}
	}
	if _, err := drawing.SVG(g); !errors.Is(err, drawing.ErrTooLarge) {
		t.Error(err)
	}
}

// TestGolden: a flow with every kind of box, cycles, a way to itself and texts
// that need escaping gives the same bytes each time.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, flow := range []string{"shop"} {
		g := parse(t, filepath.Join("testdata", flow+".yaml")).Graph()
		for ext, draw := range map[string]func(*flowengine.Graph) string{"mmd": drawing.Mermaid, "svg": func(g *flowengine.Graph) string { return svgOf(t, g) }, "dot": drawing.DOT} {
			golden := filepath.Join("testdata", flow+"."+ext)
			got := draw(g)
			if again := draw(g); again != got {
				t.Errorf("%s: drawn twice, it differs", golden)
			}
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s is not as it was; look at the picture and run with -update if it is right. Got:\n%s", golden, got)
			}
		}
	}
}

// TestAnyGraph: whatever the graph, all pictures are made, and the SVG is
// well-formed and holds every title.
func TestAnyGraph(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := &flowengine.Graph{Flow: "f", Name: rapid.String().Draw(t, "name")}
		n := rapid.IntRange(1, 12).Draw(t, "nodes")
		kinds := []flowengine.GraphKind{flowengine.GraphEntry, flowengine.GraphSend, flowengine.GraphBranch, flowengine.GraphEnd}
		for i := range n {
			g.Nodes = append(g.Nodes, flowengine.GraphNode{
				ID: fmt.Sprint("element:", i), Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Title: fmt.Sprint("t", i), Type: "some_type",
				Lines: rapid.SliceOfN(rapid.String(), 0, 4).Draw(t, "lines"),
			})
		}
		for range rapid.IntRange(0, 20).Draw(t, "edges") {
			at := func() string { return fmt.Sprint("element:", rapid.IntRange(0, n-1).Draw(t, "end")) }
			g.Edges = append(g.Edges, flowengine.GraphEdge{From: at(), To: at(), Label: rapid.String().Draw(t, "label")})
		}
		if drawing.Mermaid(g) == "" || drawing.DOT(g) == "" {
			t.Fatal("nothing was drawn")
		}
		svg := svgOf(t, g)
		for d := xml.NewDecoder(strings.NewReader(svg)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in\n%s", err, svg)
			}
		}
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Fatalf("a coordinate is no number in\n%s", svg)
		}
		for i := range n {
			if !strings.Contains(svg, fmt.Sprintf(">t%d</text>", i)) {
				t.Fatalf("t%d is missing in\n%s", i, svg)
			}
		}
	})
}
