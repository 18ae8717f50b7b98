package outbound

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A policy that a domain has published holds for its time, which is up to a year, also over
// a restart: otherwise whoever can silence DNS for a moment gets the mail in the
// clear (RFC 8461 §5.1, §10.2). So policies are in a file, one a line.

// stsFileMost bounds what is read of the file, in octets.
const stsFileMost = 64 << 20

// stsSaved is how often the file is written, when something has changed.
const stsSaved = 10 * time.Second

// stsLine is a policy in the file.
type stsLine struct {
	Domain string    `json:"domain"`
	Mode   string    `json:"mode"`
	MX     []string  `json:"mx,omitempty"`
	ID     string    `json:"id"`
	Until  time.Time `json:"until"`
}

// load takes over the policies of the file that still hold. A file that is not there is an
// empty one; of a damaged one counts what can be read.
func (s *stsStore) load(file string) error {
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("MTA-STS policies: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, stsFileMost))
	lines.Buffer(nil, stsSize)
	damaged, now := 0, s.now()
	for lines.Scan() {
		var l stsLine
		if json.Unmarshal(lines.Bytes(), &l) != nil || !l.sound() {
			damaged++
			continue
		}
		if now.Before(l.Until) && l.Until.Sub(now) <= stsLongest {
			s.remember(l.Domain, &stsEntry{policy: &stsPolicy{mode: l.Mode, mx: l.MX, id: l.ID}, until: l.Until})
		}
	}
	if err := lines.Err(); err != nil || damaged > 0 {
		return fmt.Errorf("MTA-STS policies: %d lines of %s can't be read: %w", damaged, file, errors.Join(err, errDamaged))
	}
	return nil
}

var errDamaged = errors.New("the file is damaged; the policies in them are fetched again")

func (l *stsLine) sound() bool {
	domain, err := ASCII(l.Domain)
	return err == nil && domain == l.Domain && len(l.MX) <= stsPatterns && !strings.ContainsAny(l.ID, "\r\n") &&
		(l.Mode == stsNone || (l.Mode == stsEnforce || l.Mode == stsTesting) && len(l.MX) > 0)
}

// save writes the file anew, whole or not at all.
func (s *stsStore) save(file string) (err error) {
	lines := s.lines()
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return fmt.Errorf("MTA-STS policies: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			_ = os.Remove(f.Name())
			err = fmt.Errorf("MTA-STS policies: %w", err)
		}
	}()
	w := bufio.NewWriter(f)
	out := json.NewEncoder(w)
	for i := range lines {
		if err := out.Encode(&lines[i]); err != nil {
			return err
		}
	}
	if err = errors.Join(w.Flush(), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

// lines are the policies that hold, and from now on they are no change any more.
func (s *stsStore) lines() (lines []stsLine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = false
	now := s.now()
	for domain, e := range s.known {
		if e.policy != nil && now.Before(e.until) {
			lines = append(lines, stsLine{domain, e.policy.mode, e.policy.mx, e.policy.id, e.until})
		}
	}
	slices.SortFunc(lines, func(a, b stsLine) int { return strings.Compare(a.Domain, b.Domain) })
	return lines
}

// all are copies of what is known.
func (s *stsStore) all() map[string]*stsEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.known)
}

func (s *stsStore) hasChanged() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// keepPolicies writes the file while the edge runs, and a last time in the end.
func (e *Edge) keepPolicies(ctx context.Context) {
	file := e.options.Policies
	if file == "" {
		return
	}
	tick := time.NewTicker(stsSaved)
	defer tick.Stop()
	for done := false; !done; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			done = true
		}
		sts := e.current.Load().sts
		if !sts.hasChanged() {
			continue
		}
		if err := sts.save(file); err != nil {
			e.log.Error("policies of MTA-STS can't be kept over a restart", "error", err)
		}
	}
}
