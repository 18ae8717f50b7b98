package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"trunkline/configs"
	"trunkline/configs/strict"
)

func newCheck(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the configuration offline, all files, all mistakes at once",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			src, err := o.source()
			if err != nil {
				return err
			}
			c, err := load(src)
			if err != nil {
				return reportConfig(cmd.ErrOrStderr(), err)
			}
			for _, w := range c.warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", w)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is valid: %s, %s, %s\n", src,
				count(len(c.carriers), "carrier"), count(len(c.numbers), "number"), count(len(c.flows), "flow"))
			return nil
		},
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// reportConfig prints every mistake of a configuration; on a terminal with the
// line that it is in.
func reportConfig(w io.Writer, err error) error {
	var errs strict.Errors
	if !errors.As(err, &errs) {
		return err
	}
	if isTerminal(w) {
		fmt.Fprint(w, errs.Report())
	} else {
		fmt.Fprintln(w, errs.Error())
	}
	if len(errs) > 1 {
		fmt.Fprintf(w, "trunkline: the configuration has %d mistakes\n", len(errs))
	}
	return errReported
}

func newInit() *cobra.Command {
	return &cobra.Command{
		Use:   "init FOLDER",
		Short: "Write the bundled example configuration to a new folder",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := args[0]
			if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
				return fmt.Errorf("%s is not empty; nothing was written", dir)
			}
			if err := writeTree(dir, configs.Example()); err != nil {
				return err
			}
			if err := writeTree(filepath.Join(dir, "schemas"), configs.Schemas()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "wrote %s; start it with: %s run --config %s\n", dir, invokedAs(), filepath.Join(dir, configFile))
			return nil
		},
	}
}

// writeTree writes the files of a file system below a folder.
func writeTree(dir string, files fs.FS) error {
	return fs.WalkDir(files, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		if e.IsDir() {
			return os.MkdirAll(path, 0o755)
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		return os.WriteFile(path, data, 0o640)
	})
}

// invokedAs is how the user calls this binary.
func invokedAs() string {
	if strings.ContainsRune(os.Args[0], filepath.Separator) && !filepath.IsAbs(os.Args[0]) {
		return os.Args[0]
	}
	return "trunkline"
}
