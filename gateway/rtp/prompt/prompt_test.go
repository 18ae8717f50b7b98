package prompt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trunkline/gateway/rtp/g711"
	"trunkline/gateway/rtp/wav"
)

func tone(hz float64, rate int, d time.Duration) []int16 {
	samples := make([]int16, int(d.Seconds()*float64(rate)))
	for i := range samples {
		samples[i] = int16(12000 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate)))
	}
	return samples
}

// share is how much of the energy is at a frequency.
func share(samples []int16, hz float64) float64 {
	var re, im, all float64
	for i, s := range samples {
		x := 2 * math.Pi * hz * float64(i) / Rate
		re += float64(s) * math.Cos(x)
		im += float64(s) * math.Sin(x)
		all += float64(s) * float64(s)
	}
	return 2 * (re*re + im*im) / (all * float64(len(samples)))
}

func wave(t testing.TB, name string, coding wav.Coding, rate int, left, right []int16) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	channels := 1
	if right != nil {
		channels = 2
	}
	w, err := wav.NewWriter(f, coding, rate, channels)
	if err == nil {
		err = errors.Join(w.Write(left, right), w.Close(), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func library(t testing.TB, o Options) *Library {
	t.Helper()
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestFilesOfAnyCommonRate(t *testing.T) {
	folder := t.TempDir()
	for _, rate := range []int{8000, 11025, 16000, 22050, 44100, 48000} {
		wave(t, filepath.Join(folder, fmt.Sprintf("%d.wav", rate)), wav.PCM16, rate, tone(440, rate, time.Second), nil)
	}
	wave(t, filepath.Join(folder, "stereo.wav"), wav.PCM16, 16000, tone(440, 16000, time.Second), tone(440, 16000, time.Second))
	wave(t, filepath.Join(folder, "law.wav"), wav.ALaw, 8000, tone(440, 8000, time.Second), nil)
	law := make([]byte, Rate)
	g711.MuLaw.Encode(law, tone(440, Rate, time.Second))
	var linear bytes.Buffer
	for _, s := range tone(440, 2*Rate, time.Second) {
		linear.Write([]byte{byte(s), byte(uint16(s) >> 8)})
	}
	for name, content := range map[string][]byte{"raw.ulaw": law, "raw.sln16": linear.Bytes()} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := library(t, Options{Folder: folder})
	for _, name := range []string{"8000.wav", "11025.wav", "16000.wav", "22050.wav", "44100.wav", "48000.wav", "stereo.wav", "law.wav", "raw.ulaw", "raw.sln16"} {
		samples, err := l.File(t.Context(), name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n := len(samples); n < Rate-10 || n > Rate+10 {
			t.Errorf("%s: %d samples, not about a second", name, n)
		}
		if got := share(samples, 440); got < 0.95 {
			t.Errorf("%s: %.2f of the energy is at 440 Hz", name, got)
		}
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	folder := t.TempDir()
	wave(t, filepath.Join(folder, "long.wav"), wav.PCM16, 8000, tone(440, 8000, 3*time.Second), nil)
	wave(t, filepath.Join(folder, "empty.wav"), wav.PCM16, 8000, nil, nil)
	outside := filepath.Join(t.TempDir(), "outside.wav")
	wave(t, outside, wav.PCM16, 8000, tone(440, 8000, time.Second), nil)
	if err := os.Symlink(outside, filepath.Join(folder, "link.wav")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "text.wav"), []byte("no sound at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := library(t, Options{Folder: folder, Longest: 2 * time.Second})
	for name, want := range map[string]string{
		"missing.wav": "no such file", "../outside.wav": "stay within", "/etc/passwd": "stay within", "link.wav": "escapes",
		"long.wav": "longer than", "empty.wav": "no sound", "text.wav": "RIFF", ".": "no such file",
	} {
		if _, err := l.File(t.Context(), name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if _, err := library(t, Options{}).File(t.Context(), "a.wav"); !errors.Is(err, ErrNoFile) {
		t.Error(err)
	}
}

func TestAFileThatChangedIsReadAgain(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.wav")
	l := library(t, Options{Folder: filepath.Dir(name)})
	for _, hz := range []float64{440, 880} {
		wave(t, name, wav.PCM16, 8000, tone(hz, 8000, time.Duration(hz)*time.Millisecond), nil)
		samples, err := l.File(t.Context(), "a.wav")
		if err != nil || share(samples, hz) < 0.95 {
			t.Errorf("%v Hz: %.2f, %v", hz, share(samples, hz), err)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := newMemory(1000)
	now := time.Now()
	for i := range 100 {
		m.put(fmt.Sprint(i), make([]int16, 100), 0, now)
		if m.used > 1000 {
			t.Fatalf("%d octets", m.used)
		}
	}
	if _, ok := m.get("99", now); !ok {
		t.Error("the newest is gone")
	}
	if _, ok := m.get("0", now); ok {
		t.Error("the oldest is there")
	}
	if m.put("large", make([]int16, 1000), 0, now); len(m.byKey) == 0 {
		t.Error("one that is too large drove out all others")
	}
	m.put("brief", make([]int16, 1), time.Minute, now)
	if _, ok := m.get("brief", now.Add(2*time.Minute)); ok {
		t.Error("it is stale")
	}
}

// engine speaks a second of 440 Hz, whatever the text.
type engine struct {
	spoken atomic.Int32
	fail   error
	wait   chan struct{}
}

func (e *engine) Name() string { return "test" }

func (e *engine) Speak(ctx context.Context, _ Speech) ([]byte, error) {
	e.spoken.Add(1)
	if e.wait != nil {
		select {
		case <-e.wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if e.fail != nil {
		return nil, e.fail
	}
	f, err := os.CreateTemp("", "speech-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	w, err := wav.NewWriter(f, wav.PCM16, 22050, 1)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(w.Write(tone(440, 22050, time.Second), nil), w.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(f.Name())
}

func TestSpeechIsKeptOnDisk(t *testing.T) {
	folder, e := t.TempDir(), &engine{}
	for range 3 { // three lives of the daemon
		l := library(t, Options{Speech: e, SpeechFolder: folder})
		for range 2 {
			samples, err := l.Say(t.Context(), Speech{Text: "Dobar dan", Voice: "hr"})
			if err != nil || share(samples, 440) < 0.95 {
				t.Fatal(err)
			}
		}
	}
	if n := e.spoken.Load(); n != 1 {
		t.Errorf("spoken %d times", n)
	}
	l := library(t, Options{Speech: e, SpeechFolder: folder})
	if _, err := l.Say(t.Context(), Speech{Text: "Dobar dan", Voice: "en"}); err != nil || e.spoken.Load() != 2 {
		t.Error("another voice is another sound", err)
	}
	names, _ := filepath.Glob(filepath.Join(folder, "*.wav"))
	if err := os.WriteFile(names[0], []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, voice := range []string{"hr", "en"} {
		if _, err := library(t, Options{Speech: e, SpeechFolder: folder}).Say(t.Context(), Speech{Text: "Dobar dan", Voice: voice}); err != nil {
			t.Error("damaged file:", err)
		}
	}
	if n := e.spoken.Load(); n != 3 {
		t.Errorf("spoken %d times", n)
	}
}

func TestDiskIsPruned(t *testing.T) {
	folder := t.TempDir()
	d, err := openDisk(folder, 20_000)
	if err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-time.Hour)
	for i := range 40 {
		key := fmt.Sprint(i)
		d.put(key, make([]int16, 1000))
		at := long.Add(time.Duration(i) * time.Second)
		if err := os.Chtimes(d.path(key), at, at); err != nil && i == 39 {
			t.Fatal(err)
		}
	}
	names, _ := filepath.Glob(filepath.Join(folder, "*"))
	if len(names) == 0 || len(names) > 10 {
		t.Errorf("%d files of 2 kB within 20 kB", len(names))
	}
	if _, ok := d.get("39"); !ok {
		t.Error("the newest is gone")
	}
	if err := os.WriteFile(filepath.Join(folder, "new-1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-2 * time.Hour)
	_ = os.Chtimes(filepath.Join(folder, "new-1"), before, before)
	if _, err := openDisk(folder, 20_000); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "new-1")); err == nil {
		t.Error("what a crash left is still there")
	}
}

func TestOneTextIsSpokenOnceAtATime(t *testing.T) {
	e := &engine{wait: make(chan struct{})}
	l := library(t, Options{Speech: e})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := l.Say(t.Context(), Speech{Text: "hello"}); err != nil {
				t.Error(err)
			}
		})
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Say(gone, Speech{Text: "hello"}); !errors.Is(err, context.Canceled) {
		t.Error("who gives up doesn't wait:", err)
	}
	close(e.wait)
	all.Wait()
	if n := e.spoken.Load(); n != 1 {
		t.Errorf("spoken %d times", n)
	}
}

func TestSpeechThatFails(t *testing.T) {
	away := errors.New("away")
	l := library(t, Options{Speech: &engine{fail: away}})
	if _, err := l.Say(t.Context(), Speech{Text: "hello"}); !errors.Is(err, away) {
		t.Error(err)
	}
	slow := library(t, Options{Speech: &engine{wait: make(chan struct{})}, Timeout: 50 * time.Millisecond})
	if _, err := slow.Say(t.Context(), Speech{Text: "hello"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	for _, s := range []Speech{{}, {Text: " \n"}, {Text: strings.Repeat("a", MaxText+1)}, {Text: "a", Voice: "-v; rm"}, {Text: "a", Speed: 10}} {
		if _, err := l.Say(t.Context(), s); err == nil {
			t.Errorf("%.20q %q %d is taken", s.Text, s.Voice, s.Speed)
		}
	}
	if _, err := library(t, Options{}).Say(t.Context(), Speech{Text: "hello"}); err == nil {
		t.Error("there is no engine")
	}
}

func TestEspeak(t *testing.T) {
	if _, err := exec.LookPath("espeak-ng"); err != nil {
		t.Skip("espeak-ng is not installed")
	}
	e, err := NewEspeak("espeak-ng", "en", 2, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	l := library(t, Options{Speech: e, SpeechFolder: t.TempDir(), Timeout: time.Minute})
	hello, err := l.Say(t.Context(), Speech{Text: "--help; $(id) [[h@l'oU]] Good morning."})
	if err != nil || len(hello) < Rate/2 {
		t.Fatal(len(hello), err)
	}
	if loudest(hello) < 2000 {
		t.Error("it is silent")
	}
	longer, err := l.Say(t.Context(), Speech{Text: strings.Repeat("Good morning. ", 5), Voice: "en-us", Speed: 120})
	if err != nil || len(longer) < 2*len(hello)/2 {
		t.Error(len(longer), err)
	}
	if _, err := l.Say(t.Context(), Speech{Text: "hello", Voice: "nobody"}); err == nil {
		t.Error("a voice that does not exist speaks")
	}
}

func loudest(samples []int16) (peak int16) {
	for _, s := range samples {
		peak = max(peak, s)
	}
	return peak
}

// program makes an executable that stands in for espeak-ng.
func program(t *testing.T, script string) *Espeak {
	t.Helper()
	name := filepath.Join(t.TempDir(), "espeak-ng")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	e, err := NewEspeak(name, "", 1, 300*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestAChildProcessIsBounded(t *testing.T) {
	for name, script := range map[string]string{
		"hangs":    "exec sleep 60",
		"floods":   "exec cat /dev/zero",
		"fails":    "echo no such voice >&2; exit 1",
		"no sound": "echo hello",
	} {
		l := library(t, Options{Speech: program(t, script), Timeout: time.Minute})
		if _, err := l.Say(t.Context(), Speech{Text: "hello"}); err == nil {
			t.Errorf("a program that %s speaks", name)
		}
	}
	if _, err := NewEspeak(filepath.Join(t.TempDir(), "none"), "", 1, time.Second); err == nil || !strings.Contains(err.Error(), "install") {
		t.Error(err)
	}
}

func TestHTTPEngine(t *testing.T) {
	sound, err := (&engine{}).Speak(t.Context(), Speech{})
	if err != nil {
		t.Fatal(err)
	}
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if asked = string(b); r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write(sound)
	}))
	defer server.Close()
	e := &HTTPEngine{URL: server.URL, Voice: "ana", Headers: map[string]string{"Authorization": "Bearer secret"}, Client: server.Client(), Timeout: 20 * time.Second}
	l := library(t, Options{Speech: e, Timeout: 30 * time.Second})
	samples, err := l.Say(t.Context(), Speech{Text: "hi \"you\"", Speed: 100})
	if err != nil || share(samples, 440) < 0.95 {
		t.Error(err)
	}
	if asked != `{"text":"hi \"you\"","voice":"ana","speed":100}` {
		t.Error(asked)
	}
	e.Headers = nil
	if _, err := l.Say(t.Context(), Speech{Text: "other"}); err == nil || !strings.Contains(err.Error(), "401") {
		t.Error(err)
	}
}

func TestSoundsBehindURLs(t *testing.T) {
	sound, _ := (&engine{}).Speak(t.Context(), Speech{})
	times := 0
	l := library(t, Options{Fetch: func(_ context.Context, url string) (io.ReadCloser, error) {
		if times++; strings.Contains(url, "away") {
			return nil, errors.New("away")
		}
		return io.NopCloser(bytes.NewReader(sound)), nil
	}})
	for range 3 {
		if samples, err := l.URL(t.Context(), "https://example.com/a.wav?b=c"); err != nil || len(samples) < Rate-10 {
			t.Fatal(err)
		}
	}
	if times != 1 {
		t.Errorf("asked %d times", times)
	}
	if _, err := l.URL(t.Context(), "https://example.com/away.wav"); err == nil {
		t.Error("away, and yet there is a sound")
	}
}
