package flowengine

import (
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"time"

	"trunkline/configs/strict"
	"trunkline/ivr"
)

// maxSpeech bounds a text that is spoken, in characters.
const maxSpeech = 1400

// Sound is one piece of what a caller hears.
type Sound struct {
	File      string  `yaml:"file" max:"200" doc:"WAV file below the prompts folder."`
	URL       string  `yaml:"url" max:"2048" doc:"Address of a WAV file, http:// or https://."`
	Say       string  `yaml:"say" doc:"Text that is spoken, up to 1400 characters: a Liquid template over person, inbound, event, call, collect, vars and now."`
	Recording string  `yaml:"recording" doc:"Id of a recording, a Liquid template such as {{ call.recording }}."`
	Language  string  `yaml:"language" pattern:"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$" doc:"Language of say, such as hr or en-GB. Default: the person's, else that of the configuration."`
	Voice     string  `yaml:"voice" max:"64" doc:"Voice of say. Default: the usual one of the language."`
	Rate      float64 `yaml:"rate" default:"1" min:"0.5" max:"2" doc:"How fast say is spoken; 1 is usual."`

	text *Template // of Say, or of Recording
}

// Sounds are one sound or several, which are heard one after the other.
type Sounds []Sound

// UnmarshalNode reads one sound or a list of them.
func (s *Sounds) UnmarshalNode(n *strict.Node) error {
	const expected, hint = "a sound or a list of sounds", "write {say: …}, {file: …} or {url: …}"
	switch n.Kind {
	case strict.Map:
		*s = make(Sounds, 1)
		n.Decode(&(*s)[0])
	case strict.List:
		if len(n.Items) == 0 || len(n.Items) > ivr.MaxSounds {
			return fmt.Errorf("there are between 1 and %d sounds in a list, not %d", ivr.MaxSounds, len(n.Items))
		}
		*s = make(Sounds, len(n.Items))
		for i := range n.Items {
			n.Items[i].Decode(&(*s)[i])
		}
	default:
		n.Mistyped(expected, hint)
	}
	return nil
}

// JSONSchema allows a sound or a list.
func (s *Sounds) JSONSchema() map[string]any {
	one := strict.Subschema(Sound{})
	return map[string]any{"anyOf": []any{one, map[string]any{"type": "array", "items": one, "minItems": 1, "maxItems": ivr.MaxSounds}}}
}

// check prepares the sounds. Path leads to them.
func (s Sounds) check(c *Checker, path ...any) {
	for i := range s {
		at := path[:len(path):len(path)]
		if len(s) > 1 {
			at = append(at, i)
		}
		s[i].check(c, at)
	}
}

func (s *Sound) check(c *Checker, at []any) {
	set := 0
	for _, what := range []string{s.File, s.URL, s.Say, s.Recording} {
		if what != "" {
			set++
		}
	}
	if set != 1 {
		c.ErrorfAt(at, "say one of `say`, `file`, `url` and `recording`")
		return
	}
	in := func(key string) []any { return append(at[:len(at):len(at)], key) }
	if s.Say == "" && (s.Language != "" || s.Voice != "") {
		c.ErrorfAt(at, "`language` and `voice` are of `say`")
	}
	switch {
	case s.File != "":
		if !fs.ValidPath(s.File) || s.File == "." {
			c.ErrorfAt(in("file"), "%q is not the name of a file below the prompts folder", s.File)
		}
	case s.URL != "":
		if u, err := url.Parse(s.URL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			c.ErrorfAt(in("url"), "an address begins with https:// or http://")
		}
	case s.Say != "":
		if n := len([]rune(s.Say)); n > maxSpeech {
			c.ErrorfAt(in("say"), "%d characters are too many; at most %d can be spoken", n, maxSpeech)
		}
		s.text = c.Template(s.Say, false, in("say")...)
	default:
		s.text = c.Template(s.Recording, false, in("recording")...)
	}
}

// prompt makes what a caller hears.
func (s Sounds) prompt(x *Passage) (*ivr.Prompt, error) {
	if len(s) == 0 {
		return nil, nil
	}
	p := &ivr.Prompt{Sounds: make([]ivr.Sound, len(s))}
	for i := range s {
		sound, err := s[i].render(x)
		if err != nil {
			return nil, err
		}
		p.Sounds[i] = sound
	}
	return p, nil
}

func (s *Sound) render(x *Passage) (out ivr.Sound, err error) {
	switch {
	case s.File != "":
		out.File = s.File
	case s.URL != "":
		out.URL = s.URL
	case s.Say != "":
		if out.Text, err = s.text.Render(x); err == nil && len(out.Text) > 4*maxSpeech {
			err = fmt.Errorf("the text is longer than %d characters", maxSpeech)
		}
		out.Voice, out.Rate = s.Voice, s.Rate
		if out.Language = s.Language; out.Language == "" {
			out.Language = x.Person.Attrs.Get("preferredLanguage").Str
		}
	default:
		out.Recording, err = s.text.Render(x)
	}
	return out, err
}

// words says what is heard, for pictures.
func (s Sounds) words() string {
	var parts []string
	for i := range s {
		switch {
		case s[i].Say != "":
			parts = append(parts, "“"+s[i].Say+"”")
		default:
			parts = append(parts, strings.TrimSpace(s[i].File+s[i].URL+s[i].Recording))
		}
	}
	return strings.Join(parts, "\n")
}

// PlayOptions are what elements have that only let the caller hear something.
type PlayOptions struct {
	Loop    int           `yaml:"loop" default:"1" min:"1" max:"10" doc:"How often it is heard."`
	Silence time.Duration `yaml:"silence" max:"30s" doc:"Silence before it."`
	BargeIn bool          `yaml:"barge_in" doc:"Let a key end it. The key counts for the next element that wants digits."`
	Early   bool          `yaml:"early" doc:"Play before the call is answered, as early media: the caller does not pay for it."`
}

// playOn lets the caller hear sounds.
func (o *PlayOptions) playOn(x *Passage, s Sounds) Outcome {
	if !x.Run.live() {
		return Take(portHungUp)
	}
	p, err := s.prompt(x)
	if err != nil {
		return x.unrendered(err)
	}
	p.Loop, p.Silence, p.Barge, p.Early = o.Loop, o.Silence, o.BargeIn, o.Early
	return x.onCall(ivr.Task{Kind: ivr.KindPlay, Prompt: p})
}

// unrendered leaves an element of which a text can't be made.
func (x *Passage) unrendered(err error) Outcome {
	x.Log(NotSent, NotSentRenderError+": "+err.Error())
	return Take(portFailed)
}

// through leaves by the port of what came of a call, by its usual name.
func through(c Cause) Outcome {
	if o, ok := c.(*CallOutcome); ok {
		return Take(string(o.Outcome.Port))
	}
	return Take(portHungUp)
}
