package prompt

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"trunkline/gateway/rtp/wav"
)

// disk keeps spoken texts as WAVE files named by a hash of all that decides how
// they sound. The text itself is nowhere in it. Beyond its bound, those that
// were used longest ago are removed. A nil disk keeps nothing.
type disk struct {
	folder string
	most   int64

	mu   sync.Mutex
	used int64
}

func openDisk(folder string, most int64) (*disk, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("prompt: folder for spoken texts: %w", err)
	}
	d := &disk{folder: folder, most: most}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.prune()
	return d, nil
}

func (d *disk) path(key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(d.folder, hex.EncodeToString(sum[:])+suffix)
}

const suffix = ".wav"

// get reads a file; one that is damaged counts as missing. The time of the file
// is that of its last use.
func (d *disk) get(key string) ([]int16, bool) {
	if d == nil {
		return nil, false
	}
	name := d.path(key)
	f, err := os.Open(name)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	sound, err := wav.Read(f, int(d.most))
	if err != nil || sound.Rate != Rate || len(sound.Mono()) == 0 {
		return nil, false
	}
	now := time.Now()
	_ = os.Chtimes(name, now, now)
	return sound.Mono(), true
}

// put keeps samples. A file appears as a whole or not at all.
func (d *disk) put(key string, samples []int16) {
	if d == nil {
		return
	}
	f, err := os.CreateTemp(d.folder, "new-*")
	if err != nil {
		return
	}
	name := f.Name()
	err = write(f, samples)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(name, d.path(key))
	}
	if err != nil {
		_ = os.Remove(name)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.used += int64(2 * len(samples)); d.used > d.most {
		d.prune()
	}
}

func write(w io.WriteSeeker, samples []int16) error {
	out, err := wav.NewWriter(w, wav.PCM16, Rate, 1)
	if err != nil {
		return err
	}
	if err := out.Write(samples, nil); err != nil {
		return err
	}
	return out.Close()
}

// prune counts what there is and removes the oldest down to nine tenths of the
// bound, so that it is not needed for each further file.
func (d *disk) prune() {
	entries, err := os.ReadDir(d.folder)
	if err != nil {
		return
	}
	type file struct {
		name string
		size int64
		used time.Time
	}
	var files []file
	d.used = 0
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if !strings.HasSuffix(e.Name(), suffix) {
			if time.Since(info.ModTime()) > time.Hour { // what a crash left half-written
				_ = os.Remove(filepath.Join(d.folder, e.Name()))
			}
			continue
		}
		files = append(files, file{e.Name(), info.Size(), info.ModTime()})
		d.used += info.Size()
	}
	if d.used <= d.most {
		return
	}
	slices.SortFunc(files, func(a, b file) int { return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.name, b.name)) })
	for _, f := range files {
		if d.used <= d.most/10*9 {
			break
		}
		if os.Remove(filepath.Join(d.folder, f.name)) == nil {
			d.used -= f.size
		}
	}
}

// limited takes octets up to a bound, then refuses.
type limited struct {
	bytes.Buffer
	most int
}

func (l *limited) Write(b []byte) (int, error) {
	if l.Len()+len(b) > l.most {
		return 0, fmt.Errorf("more than %d octets", l.most)
	}
	return l.Buffer.Write(b)
}
