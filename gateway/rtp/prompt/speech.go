package prompt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Speech is a text to be spoken.
type Speech struct {
	Text  string
	Voice string // of the engine, such as en or hr; empty: the engine's own
	Speed int    // words a minute, 80-450; 0: the engine's own
}

// Bounds of a text.
const (
	MaxText  = 4000 // characters
	minSpeed = 80
	maxSpeed = 450
)

var voiceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_+.-]{0,63}$`)

func (s *Speech) check() error {
	switch {
	case strings.TrimSpace(s.Text) == "":
		return errors.New("prompt: there is no text to speak")
	case utf8.RuneCountInString(s.Text) > MaxText:
		return fmt.Errorf("prompt: the text is longer than %d characters", MaxText)
	case s.Voice != "" && !voiceName.MatchString(s.Voice):
		return fmt.Errorf("prompt: %.80q is not the name of a voice", s.Voice)
	case s.Speed != 0 && (s.Speed < minSpeed || s.Speed > maxSpeed):
		return fmt.Errorf("prompt: %d words a minute; %d to %d can be spoken", s.Speed, minSpeed, maxSpeed)
	}
	return nil
}

// key tells apart what sounds different.
func (s *Speech) key(engine string) string {
	return strings.Join([]string{"speech", engine, s.Voice, strconv.Itoa(s.Speed), s.Text}, "\x00")
}

// Engine speaks texts. Speak gives a WAVE file; it is called for several texts
// at a time and ends when ctx does.
type Engine interface {
	Name() string // and version of its settings: what it spoke before is not used under another
	Speak(ctx context.Context, s Speech) ([]byte, error)
}

// maxSound is the longest WAVE file that an engine may give: ten minutes at
// 22 kHz.
const maxSound = 27 << 20

// Espeak speaks with the program espeak-ng, a child process per text.
type Espeak struct {
	path    string
	voice   string
	timeout time.Duration
	running chan struct{} // as long as the number of processes at a time
}

// NewEspeak finds the program; path is a name or a path, voice what is used when
// a text names none.
func NewEspeak(path, voice string, processes int, timeout time.Duration) (*Espeak, error) {
	found, err := exec.LookPath(path)
	if err != nil {
		return nil, fmt.Errorf("prompt: %w; install the package espeak-ng", err)
	}
	return &Espeak{path: found, voice: voice, timeout: timeout, running: make(chan struct{}, max(processes, 1))}, nil
}

// Name implements Engine.
func (e *Espeak) Name() string { return "espeak-ng\x00" + e.voice }

// Speak implements Engine. The text goes in by standard input, so nothing in it
// is taken for an option or by a shell.
func (e *Espeak) Speak(ctx context.Context, s Speech) ([]byte, error) {
	select {
	case e.running <- struct{}{}:
		defer func() { <-e.running }()
	case <-ctx.Done():
		return nil, fmt.Errorf("prompt: espeak-ng is busy with other texts: %w", ctx.Err())
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	args := []string{"--stdin", "--stdout", "-b", "1"} // 1: UTF-8
	if voice := firstOf(s.Voice, e.voice); voice != "" {
		args = append(args, "-v", voice)
	}
	if s.Speed > 0 {
		args = append(args, "-s", strconv.Itoa(s.Speed))
	}
	command := exec.CommandContext(ctx, e.path, args...)
	command.WaitDelay = time.Second
	command.Stdin = strings.NewReader(spoken(s.Text))
	sound, complaint := &limited{most: maxSound}, &limited{most: 4096}
	command.Stdout, command.Stderr = sound, complaint
	err := command.Run()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("prompt: espeak-ng has not spoken within %v: %w", e.timeout, ctx.Err())
	case err != nil:
		return nil, fmt.Errorf("prompt: espeak-ng: %w: %s", err, strings.TrimSpace(complaint.String()))
	}
	return sound.Bytes(), nil
}

// spoken is a text without what espeak-ng takes for its own notation of
// phonemes, and without control characters.
func spoken(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, ""), "[[", "[ [")
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' {
			return ' '
		}
		return r
	}, text)
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// HTTPEngine speaks by asking a service: POST with {"text", "voice", "speed"} in
// JSON, answered with a WAVE file.
type HTTPEngine struct {
	URL     string
	Voice   string            // when a text names none
	Headers map[string]string // such as Authorization
	Client  *http.Client
	Timeout time.Duration
}

// Name implements Engine.
func (e *HTTPEngine) Name() string { return "http\x00" + e.URL + "\x00" + e.Voice }

// Speak implements Engine.
func (e *HTTPEngine) Speak(ctx context.Context, s Speech) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	body, err := json.Marshal(struct {
		Text  string `json:"text"`
		Voice string `json:"voice,omitempty"`
		Speed int    `json:"speed,omitempty"`
	}{s.Text, firstOf(s.Voice, e.Voice), s.Speed})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("prompt: engine for speech: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "audio/wav")
	for name, value := range e.Headers {
		request.Header.Set(name, value)
	}
	response, err := e.Client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("prompt: engine for speech: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("prompt: the engine for speech answered %s", response.Status)
	}
	sound := &limited{most: maxSound}
	if _, err := io.Copy(sound, response.Body); err != nil {
		return nil, fmt.Errorf("prompt: engine for speech: %w", err)
	}
	return sound.Bytes(), nil
}
