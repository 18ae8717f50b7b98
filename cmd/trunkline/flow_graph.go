package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"trunkline/flowengine"
	"trunkline/flowengine/drawing"
)

// pictures are the forms in which a flow is drawn.
var pictures = map[string]func(*flowengine.Graph) (string, error){"mermaid": asText(drawing.Mermaid), "svg": drawing.SVG, "dot": asText(drawing.DOT)}

func asText(draw func(*flowengine.Graph) string) func(*flowengine.Graph) (string, error) {
	return func(g *flowengine.Graph) (string, error) { return draw(g), nil }
}

func newFlowGraph(o *options) *cobra.Command {
	var format, output string
	c := &cobra.Command{
		Use: "graph FILE|FLOW", Short: "Draw a flow as Mermaid text, SVG or Graphviz text",
		Long: `Draw a flow: what lets people in, the elements, and the ways between them.

Give a flow file, or the id of a flow of the configuration. Mermaid text is shown
as a picture by GitHub, GitLab and most wikis; the SVG stands alone.`,
		Example: `  trunkline flow graph new-offer.yaml -o new-offer.svg
  trunkline flow graph shoe-offer --format mermaid`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: completeYAML,
		RunE: func(cmd *cobra.Command, args []string) error {
			if format == "" {
				format = formatOf(output)
			}
			draw := pictures[format]
			if draw == nil {
				return fmt.Errorf("%q is not a format: mermaid, svg and dot are", format)
			}
			v, err := o.flowNamed(cmd, args[0])
			if err != nil {
				return err
			}
			picture, err := draw(v.Graph())
			if err != nil {
				return err
			}
			if output == "" || output == "-" {
				_, err = fmt.Fprint(cmd.OutOrStdout(), picture)
				return err
			}
			return os.WriteFile(output, []byte(picture), 0o644) //nolint:gosec // a picture for others to see
		},
	}
	c.Flags().StringVar(&format, "format", "", "mermaid, svg or dot; default: by the ending of -o, or else mermaid")
	c.Flags().StringVarP(&output, "output", "o", "", "write to this file")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"mermaid", "svg", "dot"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.MarkFlagFilename("output", "svg", "mmd", "dot")
	return c
}

func formatOf(output string) string {
	switch ext := filepath.Ext(output); ext {
	case ".svg":
		return "svg"
	case ".dot", ".gv":
		return "dot"
	}
	return "mermaid"
}

// isFlowFile tells a file from the id of a flow: ids have neither dots nor slashes.
func isFlowFile(arg string) bool { return strings.ContainsAny(arg, `./\`) }

// flowNamed is the flow of a file, or of the configuration.
func (o *options) flowNamed(cmd *cobra.Command, arg string) (*flowengine.Version, error) {
	if isFlowFile(arg) {
		g, err := o.ground(false)
		if err != nil {
			return nil, err
		}
		return g.read(cmd, arg)
	}
	src, err := o.source()
	if err != nil {
		return nil, err
	}
	c, err := load(src)
	if err != nil {
		return nil, reportConfig(cmd.ErrOrStderr(), err)
	}
	var ids []string
	for _, v := range c.flows {
		ids = append(ids, v.Flow)
	}
	if i := slices.Index(ids, arg); i >= 0 {
		return c.flows[i], nil
	}
	return nil, fmt.Errorf("%s has no flow %q; it has %s. A file is given by its path, such as ./%s.yaml", src, arg, strings.Join(ids, ", "), arg)
}

// read reads a flow file and prints what is wrong with it.
func (g *ground) read(cmd *cobra.Command, file string) (*flowengine.Version, error) {
	v, _, err := g.parse(file)
	if err == nil {
		return v, nil
	}
	if g.name == "" {
		fmt.Fprintln(cmd.ErrOrStderr(), noConfig)
	}
	return nil, reportFile(cmd.ErrOrStderr(), file, err)
}
