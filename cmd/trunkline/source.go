package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"trunkline/configs"
	"trunkline/configs/strict"
)

const (
	configFile   = "trunkline.yaml"
	systemConfig = "/etc/trunkline/" + configFile
	exampleData  = "trunkline-data" // of the bundled example, in the current directory
)

// options are the flags that all commands share.
type options struct{ config string }

// source is where a configuration is read from: a file on disk with what lies
// beside it, or, with an empty path, the bundled example.
type source struct{ path string }

func (s source) bundled() bool { return s.path == "" }

// String names the source for people.
func (s source) String() string {
	if s.bundled() {
		return "the bundled example"
	}
	return s.path
}

// source finds the configuration that is meant.
func (o *options) source() (source, error) {
	for _, given := range []string{o.config, os.Getenv("TRUNKLINE_CONFIG")} {
		if given == "" {
			continue
		}
		info, err := os.Stat(given)
		if err != nil {
			return source{}, fmt.Errorf("configuration: %w", err)
		}
		if info.IsDir() {
			given = filepath.Join(given, configFile)
		}
		return source{given}, nil
	}
	for _, usual := range []string{configFile, systemConfig} {
		if _, err := os.Stat(usual); err == nil {
			return source{usual}, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return source{}, fmt.Errorf("configuration: %w", err)
		}
	}
	return source{}, nil
}

// file is one configuration file: its name as messages show it, and its text.
type file struct {
	name string
	text []byte
}

// main reads the file that everything begins with.
func (s source) main() (file, error) {
	if s.bundled() {
		return s.read(configFile)
	}
	return s.read(s.path)
}

func (s source) read(name string) (file, error) {
	var text []byte
	var err error
	if s.bundled() {
		text, err = fs.ReadFile(configs.Example(), name)
	} else {
		text, err = strict.ReadFile(name)
	}
	return file{name, text}, err
}

// resolve makes a path of the configuration relative to its main file.
func (s source) resolve(name string) string {
	if s.bundled() || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(s.path), name)
}

// folder is where the main file is: templates and files of mails are in it.
func (s source) folder() fs.FS {
	if s.bundled() {
		return configs.Example()
	}
	return os.DirFS(filepath.Dir(s.path))
}

// glob lists the files that a pattern, relative to the main file, stands for.
func (s source) glob(pattern string) ([]string, error) {
	if s.bundled() {
		return fs.Glob(configs.Example(), path.Clean(pattern))
	}
	names, err := filepath.Glob(s.resolve(pattern))
	// What editors and package managers leave behind is no configuration.
	names = slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(filepath.Base(n), ".") })
	slices.Sort(names)
	return names, err
}
