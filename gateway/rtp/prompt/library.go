package prompt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"
)

// Rate of all samples, per second.
const Rate = 8000

// Options make a Library. Zero values of the bounds are replaced by sensible ones.
type Options struct {
	Folder  string        // of the files; empty: there are none
	Memory  int64         // octets of samples that are kept ready; default 64 MiB
	Longest time.Duration // of one prompt; default 10 minutes
	Timeout time.Duration // for one prompt to be made ready; default 15 s
	// Speech speaks texts; nil: texts can't be spoken.
	Speech Engine
	// SpeechFolder keeps what was spoken, at most SpeechDisk octets (default 512 MiB).
	SpeechFolder string
	SpeechDisk   int64
	// Fetch opens a URL; nil: there are no prompts behind URLs.
	Fetch   func(ctx context.Context, url string) (io.ReadCloser, error)
	Metrics prometheus.Registerer // may be nil
}

// loads is how many prompts are made ready at a time; others wait.
const loads = 8

// urlFresh is how long the sound behind a URL is used without asking again.
const urlFresh = 5 * time.Minute

// Library has prompts ready. Its methods are safe for concurrent use and may
// block: on the disk, on an engine, on a peer.
type Library struct {
	options Options
	memory  *memory
	disk    *disk // nil: spoken texts are not kept
	loading singleflight.Group
	slots   chan struct{}
	metrics *metrics
}

// New makes a library. Nothing is read yet.
func New(o Options) (*Library, error) {
	o.Memory = orDefault(o.Memory, 64<<20)
	o.Longest = orDefault(o.Longest, 10*time.Minute)
	o.Timeout = orDefault(o.Timeout, 15*time.Second)
	o.SpeechDisk = orDefault(o.SpeechDisk, 512<<20)
	l := &Library{options: o, memory: newMemory(o.Memory), slots: make(chan struct{}, loads)}
	l.metrics = newMetrics(o.Metrics, l.memory)
	if o.Speech != nil && o.SpeechFolder != "" {
		var err error
		if l.disk, err = openDisk(o.SpeechFolder, o.SpeechDisk); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func orDefault[T int64 | time.Duration](value, usual T) T {
	if value > 0 {
		return value
	}
	return usual
}

// ErrNoFile says that there is no such file in the folder of prompts.
var ErrNoFile = errors.New("prompt: no such file")

// File gives the samples of a file below the folder of prompts. A file that
// changed is read again. The samples are shared: nobody may change them.
func (l *Library) File(ctx context.Context, name string) ([]int16, error) {
	clean := filepath.FromSlash(name)
	switch {
	case l.options.Folder == "":
		return nil, fmt.Errorf("%w: %q: no folder of prompts is configured", ErrNoFile, name)
	case !filepath.IsLocal(clean):
		return nil, fmt.Errorf("%w: %q: names are relative to the folder of prompts and stay within it", ErrNoFile, name)
	}
	info, err := os.Stat(filepath.Join(l.options.Folder, clean))
	if err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %q in %s", ErrNoFile, name, l.options.Folder)
	}
	key := "file\x00" + name + "\x00" + strconv.FormatInt(info.ModTime().UnixNano(), 36) + "\x00" + strconv.FormatInt(info.Size(), 36)
	return l.get(ctx, "file", key, 0, func(context.Context) ([]int16, error) {
		f, err := os.OpenInRoot(l.options.Folder, clean)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				err = ErrNoFile
			}
			return nil, fmt.Errorf("prompt %q: %w", name, err)
		}
		defer f.Close()
		return l.decoded(name, f)
	})
}

// URL gives the samples of a sound behind a URL. For five minutes it is not
// asked for again.
func (l *Library) URL(ctx context.Context, url string) ([]int16, error) {
	if l.options.Fetch == nil {
		return nil, errors.New("prompt: sounds behind URLs are switched off")
	}
	return l.get(ctx, "url", "url\x00"+url, urlFresh, func(ctx context.Context) ([]int16, error) {
		body, err := l.options.Fetch(ctx, url)
		if err != nil {
			return nil, fmt.Errorf("prompt: %w", err)
		}
		defer body.Close()
		path, _, _ := strings.Cut(url, "?")
		return l.decoded(path, body)
	})
}

// Say gives the samples of a text that the engine speaks.
func (l *Library) Say(ctx context.Context, s Speech) ([]int16, error) {
	if l.options.Speech == nil {
		return nil, errors.New("prompt: no engine for speech is configured")
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	key := s.key(l.options.Speech.Name())
	return l.get(ctx, "speech", key, 0, func(ctx context.Context) ([]int16, error) {
		if samples, ok := l.disk.get(key); ok {
			return samples, nil
		}
		sound, err := l.options.Speech.Speak(ctx, s)
		if err != nil {
			return nil, err
		}
		samples, err := l.decoded("speech.wav", strings.NewReader(string(sound)))
		if err != nil {
			return nil, err
		}
		l.disk.put(key, samples) // what can't be kept is spoken again
		return samples, nil
	})
}

// get finds samples in memory, or makes them. Who asks for the same meanwhile
// waits for the same work; who gives up does not end it.
func (l *Library) get(ctx context.Context, source, key string, fresh time.Duration, produce func(context.Context) ([]int16, error)) ([]int16, error) {
	if samples, ok := l.memory.get(key, time.Now()); ok {
		l.metrics.found(source)
		return samples, nil
	}
	result := l.loading.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.options.Timeout)
		defer cancel()
		select {
		case l.slots <- struct{}{}:
			defer func() { <-l.slots }()
		case <-ctx.Done():
			return nil, fmt.Errorf("prompt: %d others were still being made ready: %w", loads, ctx.Err())
		}
		samples, err := produce(ctx)
		l.metrics.made(source, err)
		if err != nil {
			return nil, err
		}
		l.memory.put(key, samples, fresh, time.Now())
		return samples, nil
	})
	select {
	case r := <-result:
		samples, _ := r.Val.([]int16)
		return samples, r.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
