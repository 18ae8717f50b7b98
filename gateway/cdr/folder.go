package cdr

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Config says where records go by themselves.
type Config struct {
	Folder  string        `yaml:"folder" doc:"Folder that gets the records of calls as they end; empty: none. Relative to this file."`
	Format  string        `yaml:"format" enum:"jsonl,csv" default:"jsonl" doc:"jsonl: a JSON object per line; csv."`
	Every   time.Duration `yaml:"every" default:"5s" min:"1s" max:"1h" doc:"How often what has ended meanwhile is written."`
	MaxSize int           `yaml:"max_size_mib" default:"64" min:"1" max:"4096" doc:"A file that is larger, in MiB, is closed and the next one begun."`
	MaxAge  time.Duration `yaml:"max_age" default:"24h" min:"1m" max:"31d" doc:"A file that is older is closed and the next one begun."`
	Keep    int           `yaml:"keep" default:"400" min:"1" max:"100000" doc:"Files that are kept; older ones are removed."`
}

// Source gives the records that were closed, by part. Within a part nothing comes
// before what was given already; after is the place of the last one, nil at the start.
type Source interface {
	Parts() int
	After(part int, after []byte, most int) (records []Record, last []byte, err error)
}

// page is how many records of a part are read at a time.
const page = 256

// stateFile says up to where the records stand in the files. It is written after
// them; what a crash left behind it in a file is cut off and written again. So
// each record is in the files exactly once.
const stateFile = ".written.json"

// Folder writes records into the files of a folder.
type Folder struct {
	config Config
	source Source
	log    *slog.Logger
	format Format
	state  state
	file   *os.File
	failed bool // that it can't be written was logged
}

type state struct {
	File  string         `json:"file"` // that is written to; empty: none yet
	Size  int64          `json:"size"`
	Begun time.Time      `json:"begun"`
	Last  map[int][]byte `json:"last"` // by part
}

// OpenFolder goes on where the folder was left.
func OpenFolder(c Config, source Source, log *slog.Logger) (*Folder, error) {
	format, err := ParseFormat(c.Format)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Folder, 0o750); err != nil {
		return nil, fmt.Errorf("records of calls: %w", err)
	}
	f := &Folder{config: c, source: source, log: log, format: format, state: state{Last: map[int][]byte{}}}
	b, err := os.ReadFile(filepath.Join(c.Folder, stateFile))
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("records of calls: %w", err)
	default:
		if err := json.Unmarshal(b, &f.state); err != nil {
			return nil, fmt.Errorf("records of calls: %s is damaged; remove it to write all records once more: %w", filepath.Join(c.Folder, stateFile), err)
		}
		if f.state.Last == nil {
			f.state.Last = map[int][]byte{}
		}
	}
	return f, nil
}

// Run writes until ctx ends, and then once more. A folder that can't be written
// to is tried again: nothing is lost meanwhile.
func (f *Folder) Run(ctx context.Context) error {
	tick := time.NewTicker(f.config.Every)
	defer tick.Stop()
	defer f.close()
	for {
		select {
		case <-tick.C:
			f.attend(time.Now())
		case <-ctx.Done():
			f.attend(time.Now())
			return nil
		}
	}
}

func (f *Folder) attend(now time.Time) {
	err := f.write(now)
	if err != nil {
		f.close() // and cut to what is known of it, next time
		if !f.failed {
			f.log.Error("the records of calls can't be written to their folder; tried again, nothing is lost", "folder", f.config.Folder, "error", err)
		}
	} else if f.failed {
		f.log.Info("the records of calls are written again", "folder", f.config.Folder)
	}
	f.failed = err != nil
}

func (f *Folder) write(now time.Time) error {
	for {
		records, last, err := f.read()
		if err != nil || len(records) == 0 {
			return err
		}
		if err := f.append(records, last, now); err != nil {
			return err
		}
	}
}

// read takes the next records, ordered by their end.
func (f *Folder) read() (records []Record, last map[int][]byte, err error) {
	last = map[int][]byte{}
	for part := range f.source.Parts() {
		some, end, err := f.source.After(part, f.state.Last[part], page)
		if err != nil {
			return nil, nil, err
		}
		if len(some) > 0 {
			records = append(records, some...)
			last[part] = end
		}
	}
	slices.SortStableFunc(records, func(a, b Record) int { return a.Ended.Compare(b.Ended) })
	return records, last, nil
}

func (f *Folder) append(records []Record, last map[int][]byte, now time.Time) error {
	if err := f.open(now); err != nil {
		return err
	}
	var b bytes.Buffer
	w, err := NewWriter(&b, f.format, f.state.Size == 0)
	if err != nil {
		return err
	}
	for i := range records {
		if err := w.Write(&records[i]); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if _, err := f.file.Write(b.Bytes()); err != nil {
		return err
	}
	if err := f.file.Sync(); err != nil {
		return err
	}
	next := f.state
	next.Size += int64(b.Len())
	next.Last = map[int][]byte{}
	for part, at := range f.state.Last {
		next.Last[part] = at
	}
	for part, at := range last {
		next.Last[part] = at
	}
	if err := f.save(next); err != nil {
		return err
	}
	f.state = next
	return nil
}

// open makes the file ready that is written to: the one of before, cut to what
// is known of it, or the next one.
func (f *Folder) open(now time.Time) error {
	if f.state.File != "" && (f.state.Size >= int64(f.config.MaxSize)<<20 || now.Sub(f.state.Begun) >= f.config.MaxAge || filepath.Ext(f.state.File) != "."+string(f.format)) {
		f.close()
		f.state.File = ""
	}
	if f.state.File == "" {
		f.prune()
		f.state.File, f.state.Size, f.state.Begun = f.name(now), 0, now.UTC()
	}
	if f.file != nil {
		return nil
	}
	path := filepath.Join(f.config.Folder, f.state.File)
	if info, err := os.Stat(path); f.state.Size > 0 && (err != nil || info.Size() < f.state.Size) { // somebody has taken it away
		f.state.File, f.state.Size, f.state.Begun = f.name(now), 0, now.UTC()
		path = filepath.Join(f.config.Folder, f.state.File)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	if err := file.Truncate(f.state.Size); err != nil {
		return errors.Join(err, file.Close())
	}
	if _, err := file.Seek(f.state.Size, 0); err != nil {
		return errors.Join(err, file.Close())
	}
	f.file = file
	return nil
}

// prefix begins the names of all files; the rest orders them.
const prefix = "calls-"

func (f *Folder) name(now time.Time) string {
	stem := prefix + now.UTC().Format("20060102T150405.000Z")
	for n := 0; ; n++ {
		name := fmt.Sprintf("%s.%s", stem, f.format)
		if n > 0 {
			name = fmt.Sprintf("%s-%d.%s", stem, n, f.format)
		}
		if _, err := os.Stat(filepath.Join(f.config.Folder, name)); err != nil {
			return name
		}
	}
}

func (f *Folder) save(s state) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	temporary := filepath.Join(f.config.Folder, stateFile+".new")
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(f.config.Folder, stateFile))
}

// prune removes the oldest files, so that with the next one there are as many as
// may be.
func (f *Folder) prune() {
	entries, err := os.ReadDir(f.config.Folder)
	if err != nil {
		return
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) && e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	for len(names) >= f.config.Keep {
		_ = os.Remove(filepath.Join(f.config.Folder, names[0]))
		names = names[1:]
	}
}

func (f *Folder) close() {
	if f.file != nil {
		_ = f.file.Close()
		f.file = nil
	}
}
