package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"trunkline/configs/strict"
	"trunkline/flowengine"
)

// ground is what a flow file is read against: the attributes of people, our
// numbers, and the flows beside it.
type ground struct {
	name     string // of the configuration; "" for none
	schema   *flowengine.Schema
	numbers  []*flowengine.Number
	policy   *flowengine.Policy
	folder   fs.FS     // with texts of mails; nil: none are read
	settings *settings // nil: none are known
	flows    []*flowengine.Version
	known    flowengine.Numbers // nil: every number is believed
	faults   strict.Errors      // of the configuration itself
}

// noConfig is said when there is nothing to check attributes and numbers against.
const noConfig = "note: without a configuration only the attributes that every person has are known, others are reported as unknown, and every number is believed; give one with --config"

// ground reads the configuration in use. Mistakes in it do not keep a flow from
// being looked at, as long as attributes and numbers are known.
func (o *options) ground(without bool) (*ground, error) {
	src, err := o.source()
	if err != nil {
		return nil, err
	}
	if without || src.bundled() {
		schema, err := flowengine.NewSchema()
		return &ground{schema: schema}, err
	}
	l := &loader{src: src, config: new(configuration), first: map[string]string{}}
	if err := l.files(); err != nil {
		return nil, err
	}
	if l.unreadable {
		return nil, fmt.Errorf("%s can't be read, so attributes and numbers are not known; see `trunkline check`", src)
	}
	return &ground{
		name: src.String(), schema: l.config.schema, numbers: l.config.numbers, policy: &l.config.settings.Policy, folder: src.folder(),
		settings: &l.config.settings, flows: l.config.flows, known: l.hasNumber, faults: l.errs,
	}, nil
}

// mailing is as whom mail is sent.
func (g *ground) mailing() flowengine.Mailing {
	if g.settings == nil {
		return flowengine.Mailing{}
	}
	return g.settings.mailing()
}

// note prints what the reader has to know about the ground.
func (g *ground) note(w io.Writer, files []string) {
	if g.name == "" {
		fmt.Fprintln(w, noConfig)
	}
	others := slices.DeleteFunc(slices.Clone(g.faults), func(e strict.Error) bool {
		return slices.ContainsFunc(files, func(f string) bool { return sameFile(f, e.File) })
	})
	if len(others) > 0 {
		fmt.Fprintf(w, "note: %s has %s elsewhere; see `trunkline check`\n", g.name, count(len(others), "mistake"))
	}
}

func sameFile(a, b string) bool {
	x, err1 := filepath.Abs(a)
	y, err2 := filepath.Abs(b)
	return err1 == nil && err2 == nil && x == y
}

// parse reads a flow file. The warnings are findings too.
func (g *ground) parse(file string) (*flowengine.Version, strict.Errors, error) {
	text, err := strict.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	v, err := flowengine.ParseFlowIn(g.folder, file, text, g.schema, g.known)
	if err != nil {
		return nil, nil, err
	}
	return v, findings(file, text, v.Warnings), nil
}

var place = regexp.MustCompile(`^:([0-9]+):([0-9]+): `)

// findings gives warnings, which are lines of text, their excerpts.
func findings(file string, text []byte, warnings []string) (all strict.Errors) {
	lines := strings.Split(string(text), "\n")
	for _, w := range warnings {
		rest, ok := strings.CutPrefix(w, file)
		m := place.FindStringSubmatch(rest)
		if !ok || m == nil {
			all = append(all, strict.Error{File: file, Line: 1, Column: 1, Message: w})
			continue
		}
		line, _ := strconv.Atoi(m[1]) // digits
		column, _ := strconv.Atoi(m[2])
		e := strict.Error{File: file, Line: line, Column: column, Message: strings.TrimPrefix(rest, m[0])}
		if line >= 1 && line <= len(lines) {
			e.Source = strings.TrimSuffix(lines[line-1], "\r")
		}
		all = append(all, e)
	}
	return all
}

// rivals are the warnings that arise only from these flows beside those of the
// configuration (rule R3).
func (g *ground) rivals(checked []*flowengine.Version) ([]string, error) {
	warnings := func(all []*flowengine.Version) ([]string, error) {
		c := loader{config: &configuration{flows: all}}
		_, w, err := flowengine.NewSet(g.schema, g.numbers, c.launchable())
		return w, err
	}
	others := slices.DeleteFunc(slices.Clone(g.flows), func(v *flowengine.Version) bool {
		return slices.ContainsFunc(checked, func(c *flowengine.Version) bool { return c.Flow == v.Flow })
	})
	before, err := warnings(others)
	if err != nil {
		return nil, err
	}
	after, err := warnings(append(others, checked...))
	return slices.DeleteFunc(after, func(w string) bool { return slices.Contains(before, w) }), err
}

func newFlowCheck(o *options) *cobra.Command {
	without := false
	c := &cobra.Command{
		Use: "check FILE…", Short: "Check flow files offline, one by one, with the attributes and numbers of the configuration",
		Long: `Check flow files offline. Every mistake is shown with its place and its line.

Attributes and numbers are those of the configuration in use; the files need not
be part of it. Without a configuration only the attributes that every person has
are known: a flow that uses others can't be checked then.`,
		Example: "  trunkline flow check --config my-gateway new-offer.yaml",
		Args:    cobra.MinimumNArgs(1), ValidArgsFunction: completeYAML,
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := o.ground(without)
			if err != nil {
				return err
			}
			g.note(cmd.ErrOrStderr(), args)
			return g.check(cmd.OutOrStdout(), cmd.ErrOrStderr(), args)
		},
	}
	c.Flags().BoolVar(&without, "no-config", false, "use no configuration: only the attributes that every person has are known")
	return c
}

func (g *ground) check(out, complaints io.Writer, files []string) error {
	failed := false
	var good []*flowengine.Version
	where := map[string]string{}
	for _, file := range files {
		v, warnings, err := g.parse(file)
		if err != nil {
			failed = true
			if err := reportFile(complaints, file, err); !errors.Is(err, errReported) {
				fmt.Fprintln(complaints, "trunkline:", err)
			}
			continue
		}
		for _, w := range warnings {
			fmt.Fprintln(complaints, strings.TrimSuffix("warning: "+w.Error()+"\n"+w.Excerpt(), "\n"))
		}
		if before, taken := where[v.Flow]; taken {
			failed = true
			fmt.Fprintf(complaints, "%s: flow %q is there already, in %s\n", file, v.Flow, before)
			continue
		}
		where[v.Flow] = file
		if missing := g.missing(v); len(missing) > 0 {
			failed = true
			_ = reportFile(complaints, file, missing)
			continue
		}
		good = append(good, v)
		fmt.Fprintf(out, "%s is valid: flow %s, %s, %s, %s\n", file, v.Flow, plural(len(v.Entries), "entry point"), plural(len(v.Nodes()), "element"), plural(len(warnings), "warning"))
	}
	rivals, err := g.rivals(good)
	if err != nil {
		return err
	}
	for _, w := range rivals {
		fmt.Fprintln(complaints, "warning:", w)
	}
	if failed {
		return errReported
	}
	return nil
}

// missing finds, beside the flows of a configuration, flows that a flow leads to
// and that are not there.
func (g *ground) missing(v *flowengine.Version) strict.Errors {
	if g.name == "" {
		return nil
	}
	others := slices.DeleteFunc(slices.Clone(g.flows), func(o *flowengine.Version) bool { return o.Flow == v.Flow })
	return slices.DeleteFunc(flowengine.CheckTransfers(append(others, v)), func(e strict.Error) bool { return e.File != v.File })
}

// reportFile prints every mistake of one file with the line that it is in.
func reportFile(w io.Writer, file string, err error) error {
	var errs strict.Errors
	if !errors.As(err, &errs) {
		return err
	}
	fmt.Fprint(w, errs.Report())
	fmt.Fprintf(w, "%s has %s\n", file, count(len(errs), "mistake"))
	return errReported
}

func plural(n int, what string) string {
	if n == 0 {
		return "no " + what + "s"
	}
	return count(n, what)
}

// completeYAML offers flow files to the shell.
func completeYAML(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml", "json"}, cobra.ShellCompDirectiveFilterFileExt
}
