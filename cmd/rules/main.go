// Command rules prints which tests prove which rule of docs/rules.md. A test
// names a rule by its id, in a comment, in its name, or in the first line of a
// script. It ends with exit code 1 when a rule that is built has no test.
package main

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
)

func main() {
	untested, err := report(os.DirFS("."), os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "rules:", err)
		os.Exit(2)
	}
	if untested > 0 {
		os.Exit(1)
	}
}

// rule is a line of the page.
type rule struct {
	id    string
	built bool // its text is not all in italics
	tests []string
}

func report(root fs.FS, out io.Writer) (untested int, err error) {
	rules, err := readRules(root)
	if err != nil {
		return 0, err
	}
	if err := findTests(root, rules); err != nil {
		return 0, err
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "RULE\tTESTS")
	planned := 0
	for _, r := range rules {
		tests := strings.Join(r.tests, ", ")
		switch {
		case tests == "" && r.built:
			untested++
			tests = "NONE"
		case tests == "":
			planned++
			tests = "(not built yet)"
		}
		fmt.Fprintf(t, "%s\t%s\n", r.id, tests)
	}
	if err := t.Flush(); err != nil {
		return 0, err
	}
	fmt.Fprintf(out, "RESULT rules=%d untested=%d planned=%d\n", len(rules), untested, planned)
	return untested, nil
}

var ruleLine = regexp.MustCompile(`^- \*\*([A-Z][0-9]{1,2})\*\* (.)`)

func readRules(root fs.FS) ([]*rule, error) {
	page, err := fs.ReadFile(root, "docs/rules.md")
	if err != nil {
		return nil, err
	}
	var rules []*rule
	for line := range strings.Lines(string(page)) {
		if m := ruleLine.FindStringSubmatch(line); m != nil {
			rules = append(rules, &rule{id: m[1], built: m[2] != "*"})
		}
	}
	if len(rules) == 0 {
		return nil, fmt.Errorf("docs/rules.md has no rules")
	}
	return rules, nil
}

var (
	ruleID     = regexp.MustCompile(`\b[A-Z][0-9]{1,2}\b`)
	testName   = regexp.MustCompile(`^func ((?:Test|Fuzz|Example)\w*)\(`)
	ruleRanges = regexp.MustCompile(`\b([A-Z])([0-9]{1,2})[–-]([A-Z])?([0-9]{1,2})\b`)
)

// findTests looks through tests and scripts. In Go, an id belongs to the test
// that follows or encloses it, within comments and string literals.
func findTests(root fs.FS, rules []*rule) error {
	byID := map[string]*rule{}
	for _, r := range rules {
		byID[r.id] = r
	}
	add := func(text, where string) {
		for _, id := range idsIn(text) {
			if r := byID[id]; r != nil && where != "" && !slices.Contains(r.tests, where) {
				r.tests = append(r.tests, where)
			}
		}
	}
	return fs.WalkDir(root, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (name == "bin" || e.Name() == "node_modules" || e.Name() == ".git"):
			return fs.SkipDir
		case strings.HasSuffix(name, ".txtar"):
			f, err := root.Open(name)
			if err != nil {
				return err
			}
			defer f.Close()
			line, _ := bufio.NewReader(f).ReadString('\n')
			add(line, strings.TrimSuffix(filepath.Base(name), ".txtar")+".txtar")
		case strings.HasSuffix(name, "_test.go"):
			text, err := fs.ReadFile(root, name)
			if err != nil {
				return err
			}
			addGo(string(text), add)
		}
		return nil
	})
}

func addGo(text string, add func(text, where string)) {
	var pending []string // comments above the next test
	current := ""
	for line := range strings.Lines(text) {
		if m := testName.FindStringSubmatch(line); m != nil {
			current = m[1]
			for _, p := range pending {
				add(p, current)
			}
			add(line, current)
			pending = nil
			continue
		}
		if comment := strings.Index(line, "//"); comment >= 0 {
			if strings.HasPrefix(line, "//") {
				pending = append(pending, line)
				continue
			}
			add(line[comment:], current)
		}
		pending = nil
		if strings.HasPrefix(line, "func ") {
			current = ""
		}
		if current != "" && strings.Contains(line, `"`) {
			add(line[strings.Index(line, `"`):], current)
		}
	}
}

// idsIn finds rule ids, also in ranges such as K1–K8.
func idsIn(text string) []string {
	ids := ruleID.FindAllString(text, -1)
	for _, m := range ruleRanges.FindAllStringSubmatch(text, -1) {
		var from, to int
		_, _ = fmt.Sscan(m[2], &from)
		_, _ = fmt.Sscan(m[4], &to)
		for n := from; n <= to && to < 100; n++ {
			ids = append(ids, fmt.Sprintf("%s%d", m[1], n))
		}
	}
	return ids
}
