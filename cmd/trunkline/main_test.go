package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"trunkline/configs"
)

// The tests of this package run the real binary, each in a folder of its own and
// on ports that the system chooses, and talk to it as users, carriers and
// operators do.

// patience is how long tests wait for what must come. Nothing depends on its
// length: a machine that is slow just uses more of it.
const patience = 60 * time.Second

func TestMain(m *testing.M) {
	code := m.Run()
	if buildDir != "" {
		_ = os.RemoveAll(buildDir)
	}
	os.Exit(code)
}

// buildDir is the folder of the binary under test.
var buildDir string

// built builds the binary under test, once.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "trunkline-test-")
	if err != nil {
		return "", err
	}
	buildDir = dir
	name := filepath.Join(dir, "trunkline")
	args := []string{"build", "-o", name}
	if underRace {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, ".")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return name, nil
})

// site is a folder with a configuration, and the commands that run on it.
type site struct {
	*testing.T
	dir    string
	config string   // main file; "" for the bundled example
	env    []string // of every process, besides ours
}

// newSite writes a configuration to a new folder. Its main file is trunkline.yaml.
func newSite(t *testing.T, files map[string]string) *site {
	t.Helper()
	s := &site{T: t, dir: t.TempDir()}
	s.config = filepath.Join(s.dir, "trunkline.yaml")
	for name, text := range files {
		s.write(name, text)
	}
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) write(name, text string) {
	s.Helper()
	path := s.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
}

func (s *site) remove(name string) {
	s.Helper()
	if err := os.RemoveAll(s.path(name)); err != nil {
		s.Fatal(err)
	}
}

// edit replaces a text that has to be in a file.
func (s *site) edit(name, old, replacement string) {
	s.Helper()
	text, err := os.ReadFile(s.path(name))
	if err != nil {
		s.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		s.Fatalf("%s has no %q to replace", name, old)
	}
	s.write(name, strings.ReplaceAll(string(text), old, replacement))
}

// example is the bundled example as files, on ports that the system chooses,
// with changes to the text of trunkline.yaml (old, new, …) and further files.
func example(t *testing.T, changes ...string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(configs.Example(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := fs.ReadFile(configs.Example(), name)
		files[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	main := files["trunkline.yaml"]
	changes = append([]string{"127.0.0.1:9090", "127.0.0.1:0", "127.0.0.1:2775", "127.0.0.1:0", "127.0.0.1:5070", "127.0.0.1:0"}, changes...)
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(main, changes[i]) {
			t.Fatalf("the example has no %q to replace", changes[i])
		}
		main = strings.ReplaceAll(main, changes[i], changes[i+1])
	}
	// A folder of a temporary one may not have room for the default reserve.
	files["trunkline.yaml"] = main + "\nstorage: {reserve_mib: 16}\n"
	return files
}

// command is a run of the binary that has ended.
type command struct {
	out, errs string
	code      int
}

// try runs a command of the binary on this site.
func (s *site) try(args ...string) command {
	s.Helper()
	p := s.spawn(args...)
	p.wait(s)
	return command{p.out.String(), p.errs.String(), p.cmd.ProcessState.ExitCode()}
}

// must runs a command that has to succeed and returns what it printed.
func (s *site) must(args ...string) string {
	s.Helper()
	c := s.try(args...)
	if c.code != 0 {
		s.Fatalf("trunkline %s: exit code %d\n%s%s", strings.Join(args, " "), c.code, c.out, c.errs)
	}
	return c.out
}

// refused runs a command that has to fail, with a complaint that holds all texts.
func (s *site) refused(texts []string, args ...string) string {
	s.Helper()
	c := s.try(args...)
	if c.code != 1 {
		s.Fatalf("trunkline %s: exit code %d, not 1\n%s%s", strings.Join(args, " "), c.code, c.out, c.errs)
	}
	for _, text := range texts {
		if !strings.Contains(c.errs, text) {
			s.Errorf("trunkline %s: the complaint does not say %q:\n%s", strings.Join(args, " "), text, c.errs)
		}
	}
	return c.errs
}

func (s *site) spawn(args ...string) *process {
	s.Helper()
	name, err := built()
	if err != nil {
		s.Fatal(err)
	}
	if s.config != "" {
		args = append(args, "--config", s.config)
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = s.dir
	// The race detector would hold up the end of every process for a second.
	cmd.Env = append(append(os.Environ(), "GORACE=atexit_sleep_ms=10"), s.env...)
	return startProcess(s.T, cmd)
}

// running is a daemon that takes traffic.
type running struct {
	*process
	site  *site
	smpp  string // host:port of the first listener; "" when there is none
	admin string // URL
}

var (
	smppLine  = regexp.MustCompile(`(?m)^  SMPP   (\S+)$`)
	adminLine = regexp.MustCompile(`(?m)^  admin  (http://[^/\s]+)/metrics$`)
)

// start runs the daemon until it takes traffic.
func (s *site) start() *running {
	s.Helper()
	g := &running{process: s.spawn("run"), site: s}
	eventually(s, "the daemon is ready", func() bool {
		if g.ended() {
			s.Fatalf("the daemon ended: %s\n%s", g.cmd.ProcessState, g.errs)
		}
		return strings.Contains(g.out.String(), "\n  data   ")
	})
	out := g.out.String()
	if m := smppLine.FindStringSubmatch(out); m != nil {
		g.smpp = m[1]
	}
	if m := adminLine.FindStringSubmatch(out); m != nil {
		g.admin = m[1]
	}
	return g
}

// stop ends the daemon with SIGTERM and expects a clean end.
func (g *running) stop() {
	g.site.Helper()
	g.signal(syscall.SIGTERM)
	g.wait(g.site)
	if code := g.cmd.ProcessState.ExitCode(); code != 0 {
		g.site.Fatalf("the daemon ended with %s\n%s", g.cmd.ProcessState, g.errs)
	}
}

// simulate plays a phone and returns what it saw.
func (g *running) simulate(args ...string) string {
	g.site.Helper()
	return g.site.must(append([]string{"simulate", "smpp", "--address", g.smpp, "--wait", patience.String()}, args...)...)
}

// get asks the admin listener.
func (g *running) get(path string) (status int, body string) {
	g.site.Helper()
	res, err := http.Get(g.admin + path)
	if err != nil {
		g.site.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode, readAll(g.site, res)
}

// person and flow ask as `person show --json` and `flow show --json` print.
func (s *site) person(ref string) (p personView) {
	s.Helper()
	s.decode(s.must("person", "show", ref, "--json"), &p)
	return p
}

func (s *site) flow(id string) (f flowView) {
	s.Helper()
	s.decode(s.must("flow", "show", id, "--json"), &f)
	return f
}

func (s *site) status() (st status) {
	s.Helper()
	s.decode(s.must("status", "--json"), &st)
	return st
}

func (s *site) decode(text string, into any) {
	s.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		s.Fatalf("%v in:\n%s", err, text)
	}
}

// element is one element of a flow.
func (f flowView) element(id string) elementView {
	for _, e := range f.Elements {
		if e.ID == id {
			return e
		}
	}
	return elementView{}
}
