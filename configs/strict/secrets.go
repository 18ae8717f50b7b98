package strict

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"
)

const maxSecret = 64 << 10 // bytes of a file that is filled in

// Secrets looks up what ${env:NAME} and ${file:path} in texts stand for. $${ is
// a literal ${.
type Secrets struct {
	Env  func(name string) (string, bool)
	File func(path string) ([]byte, error) // the path as it was written
}

// SystemSecrets takes variables from the environment and files from the disk;
// their paths are relative to the folder of the configuration file.
func SystemSecrets(file string) *Secrets {
	return &Secrets{Env: os.LookupEnv, File: func(path string) ([]byte, error) {
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(file), path)
		}
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return io.ReadAll(io.LimitReader(f, maxSecret+1))
	}}
}

// fill replaces the references in all texts of a node; keys have none.
func (s *Secrets) fill(n *Node) {
	for _, item := range n.Items {
		s.fill(item)
	}
	for _, f := range n.Fields {
		s.fill(f.Value)
	}
	if n.Kind == String && strings.Contains(n.Text, "${") {
		s.fillText(n)
	}
}

var reference = regexp.MustCompile(`\$?\$\{[^}]*\}?`)

func (s *Secrets) fillText(n *Node) {
	var broken []string
	text := reference.ReplaceAllStringFunc(n.Text, func(ref string) string {
		if strings.HasPrefix(ref, "$$") {
			return ref[1:]
		}
		value, err := s.lookup(ref)
		if err != nil {
			broken = append(broken, err.Error())
		}
		n.filled = true
		return value
	})
	if len(broken) > 0 {
		n.Errorf("%s", strings.Join(broken, "; "))
		n.Kind = Broken
		return
	}
	n.Text = text
}

func (s *Secrets) lookup(ref string) (string, error) {
	inside, closed := strings.CutSuffix(strings.TrimPrefix(ref, "${"), "}")
	kind, name, _ := strings.Cut(inside, ":")
	switch {
	case !closed:
		return "", fmt.Errorf("%s is not closed with }", cut(ref))
	case kind == "env" && name != "":
		value, ok := s.Env(name)
		if !ok {
			return "", fmt.Errorf("%s: the environment has no variable %q", cut(ref), name)
		}
		return value, nil
	case kind == "file" && name != "":
		value, err := s.readFile(name)
		if err != nil {
			return "", fmt.Errorf("%s: %w", cut(ref), err)
		}
		return value, nil
	}
	return "", fmt.Errorf("%s is neither ${env:NAME} nor ${file:path}; write $%s for the text itself", cut(ref), cut(ref))
}

// readFile reads a file without the end of its last line.
func (s *Secrets) readFile(name string) (string, error) {
	data, err := s.File(name)
	switch {
	case err != nil:
		return "", err
	case len(data) > maxSecret:
		return "", fmt.Errorf("the file has more than %d bytes", maxSecret)
	case !utf8.Valid(data):
		return "", errors.New("the file is not text in UTF-8")
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
}
