package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	goruntime "runtime"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"trunkline/configs/strict"
	"trunkline/flowengine/runtime"
	"trunkline/gateway"
	"trunkline/gateway/cdr"
	"trunkline/gateway/rtp"
	"trunkline/gateway/rtp/prompt"
	"trunkline/gateway/rtp/wav"
	"trunkline/gateway/sip"
	"trunkline/gateway/sip/host"
	"trunkline/gateway/webhook"
	"trunkline/keyword"
)

// voiceSettings is the section `voice:` of the configuration: what calls need
// besides their trunks.
type voiceSettings struct {
	Media      mediaSettings     `yaml:"media" doc:"How sound is exchanged (RTP)."`
	Prompts    promptSettings    `yaml:"prompts" doc:"Sound files that callers hear."`
	Speech     speechSettings    `yaml:"speech" doc:"Texts that are spoken to callers."`
	Recordings recordingSettings `yaml:"recordings" doc:"What is recorded of callers."`
	Records    recordSettings    `yaml:"records" doc:"Records of calls: a record per leg, with its times, quality and price."`
	Forwarding host.Forwarding   `yaml:"forwarding" doc:"Rules for the calls that we make, against fraud and loops."`
}

type mediaSettings struct {
	Address    string        `yaml:"address" default:"" doc:"IP address at which sound is taken. Default: that of the first address of sip.listen."`
	Advertise  string        `yaml:"advertise" default:"" doc:"IP address that peers are told instead, when address is behind a NAT."`
	FirstPort  int           `yaml:"first_port" default:"20000" min:"1024" max:"65534" doc:"First UDP port of the range; a call uses two per leg."`
	LastPort   int           `yaml:"last_port" default:"29999" min:"1025" max:"65535" doc:"Last UDP port of the range."`
	Quarantine time.Duration `yaml:"quarantine" default:"5s" min:"0s" max:"10m" doc:"How long ports rest after a call, so that what still arrives is not heard in the next one."`
	Inactivity time.Duration `yaml:"inactivity" default:"1m" min:"0s" max:"1h" doc:"Silence of a peer, without a single packet, after which its call is ended; 0s: never."`
	Follow     bool          `yaml:"follow" default:"true" doc:"Take the sound of a call from where it really comes, for peers behind a NAT. The first source that sends is kept to."`
}

type promptSettings struct {
	Folder  string        `yaml:"folder" default:"prompts" doc:"Folder of the sound files: WAVE of any common rate, or raw (.ulaw, .alaw, .sln, .sln16). Relative to this file."`
	Memory  int           `yaml:"memory_mib" default:"64" min:"1" max:"16384" doc:"Memory that keeps sounds ready, in MiB; an hour takes 55."`
	Longest time.Duration `yaml:"longest" default:"10m" min:"1s" max:"1h" doc:"Longest sound."`
}

type speechSettings struct {
	Engine        string        `yaml:"engine" enum:"espeak,http,none" default:"espeak" doc:"espeak: the program espeak-ng on this machine. http: a service."`
	Command       string        `yaml:"command" default:"espeak-ng" doc:"Name or path of the program."`
	Voice         string        `yaml:"voice" default:"" max:"64" doc:"Voice where a text names none, such as en or hr."`
	Processes     int           `yaml:"processes" default:"2" min:"1" max:"64" doc:"Programs at once."`
	Timeout       time.Duration `yaml:"timeout" default:"10s" min:"100ms" max:"1m" doc:"Time that a text may take; then the element's port failed is taken."`
	URL           string        `yaml:"url" default:"" doc:"Of the service: it gets POST with a JSON object of text, voice and speed, and answers with a WAVE file."`
	Authorization string        `yaml:"authorization" default:"" secret:"true" doc:"Header Authorization for the service; write it as ${env:NAME} or ${file:path}."`
	Disk          int           `yaml:"disk_mib" default:"512" min:"1" max:"1048576" doc:"Room for texts that were spoken once, in MiB, in the data folder."`
}

type recordingSettings struct {
	Folder string        `yaml:"folder" default:"" doc:"Folder that gets the recordings; relative to this file. Default: recordings in the data folder."`
	Sides  string        `yaml:"sides" enum:"caller,both" default:"caller" doc:"caller: what the caller says. both: in stereo, the caller left, what the caller hears right."`
	Coding string        `yaml:"coding" enum:"pcm,alaw,ulaw" default:"pcm" doc:"How samples are stored: 16-bit PCM, or half as large."`
	Keep   time.Duration `yaml:"keep" default:"90d" min:"1h" max:"3650d" doc:"How long recordings are kept."`
}

type recordSettings struct {
	Retention  time.Duration `yaml:"retention" default:"400d" min:"1d" max:"3650d" doc:"How long they are kept in the store."`
	cdr.Config `yaml:",inline"`
}

// mediaAddress is where sound is taken, and what peers are told of it.
func (s *settings) mediaAddress() (bound, advertised netip.Addr, err error) {
	text := s.Voice.Media.Address
	if text == "" && len(s.SIP.Listen) > 0 {
		text, _, _ = net.SplitHostPort(s.SIP.Listen[0].Address)
	}
	bound, err = netip.ParseAddr(text)
	if err != nil || bound.IsUnspecified() && s.Voice.Media.Advertise == "" {
		return bound, bound, errors.New("voice.media.address: say the IP address at which peers reach our sound; sip.listen names no single one")
	}
	if advertised = bound; s.Voice.Media.Advertise != "" {
		if advertised, err = netip.ParseAddr(s.Voice.Media.Advertise); err != nil {
			return bound, bound, fmt.Errorf("voice.media.advertise: %q is no IP address", s.Voice.Media.Advertise)
		}
	}
	return bound, advertised, nil
}

// voiceRestart says whether something changed that is read only at the start.
func voiceRestart(s, old *voiceSettings) bool {
	now, before := *s, *old
	now.Forwarding, before.Forwarding = host.Forwarding{}, host.Forwarding{}
	return !reflect.DeepEqual(now, before)
}

// voice checks what the tags of the fields don't tell.
func (l *loader) voice(doc *strict.Document) {
	s := &l.config.settings
	for i := range s.SIP.Listen {
		l.sipFiles(s.SIP.Listen[i].TLS)
	}
	l.fieldErrors(doc, []any{"sip"}, s.SIP.Validate())
	l.each(doc, "trunks", orDefault(s.Trunks, "trunks/*.yaml"), l.trunk)
	numbers := false
	for _, n := range l.config.numbers {
		numbers = numbers || n.Channel == string(gateway.Voice)
	}
	v := &s.Voice
	switch {
	case v.Media.LastPort <= v.Media.FirstPort:
		doc.ErrorAt([]any{"voice", "media", "last_port"}, "voice.media.last_port: it is not above first_port")
	case v.Speech.Engine == "http" && !strings.HasPrefix(v.Speech.URL, "http://") && !strings.HasPrefix(v.Speech.URL, "https://"):
		doc.ErrorAt([]any{"voice", "speech"}, "voice.speech.url: the address of the service is missing, such as https://speech.example/v1/say")
	}
	if !s.SIP.Enabled() {
		if len(l.config.trunks) > 0 || numbers {
			l.config.warnings = append(l.config.warnings, "there are no calls: trunks and numbers of channel voice are there, but sip.listen says no address")
		}
		return
	}
	if _, _, err := s.mediaAddress(); err != nil {
		doc.ErrorAt([]any{"sip", "listen"}, "%v", err)
	}
}

// sipFiles are beside the main file, like all others that it names.
func (l *loader) sipFiles(t *sip.TLS) {
	if t == nil {
		return
	}
	for _, name := range []*string{&t.Cert, &t.Key, &t.CA} {
		if *name != "" {
			*name = l.src.resolve(*name)
		}
	}
}

func (l *loader) trunk(f file) {
	var t sip.Trunk
	doc := l.parse(f, &t)
	l.sipFiles(t.TLS)
	l.fieldErrors(doc, nil, t.Validate())
	if t.Name == "" || l.once(doc, "trunk", t.Name, "trunk") {
		var one *sip.TrunkError
		others := append(l.config.trunks[:len(l.config.trunks):len(l.config.trunks)], t)
		if err := sip.ValidateSet(&l.config.settings.SIP, others); errors.As(err, &one) && one.Trunk == t.Name {
			l.fieldErrors(doc, nil, one.Err)
		}
		l.config.trunks = others
	}
	l.done(doc)
}

// voiceEdge is everything of the daemon that carries calls.
type voiceEdge struct {
	edge       *sip.Edge
	host       *host.Host
	wheel      *rtp.Wheel
	recordings *host.Recordings
	keep       time.Duration
}

// openVoice makes the voice edge and takes its addresses.
func (d *daemon) openVoice(c *configuration) (err error) {
	s := &c.settings
	if !s.SIP.Enabled() {
		d.rt.RegisterCaller(noCalls{d.rt})
		return nil
	}
	bound, advertised, err := s.mediaAddress()
	if err != nil {
		return err
	}
	v := &voiceEdge{wheel: rtp.NewWheel(soundThreads()), keep: s.Voice.Recordings.Keep}
	ports, err := rtp.NewPorts(bound, uint16(s.Voice.Media.FirstPort), uint16(s.Voice.Media.LastPort), s.Voice.Media.Quarantine)
	if err != nil {
		return err
	}
	prompts, err := d.openPrompts(&s.Voice)
	if err != nil {
		return err
	}
	if v.recordings, err = d.openRecordings(&s.Voice.Recordings); err != nil {
		return err
	}
	v.host = host.New(host.Options{
		Core:       core{d.rt},
		Media:      rtp.Config{Ports: ports, Wheel: v.wheel, Follow: s.Voice.Media.Follow, Inactivity: s.Voice.Media.Inactivity},
		Advertised: advertised, Prompts: prompts, Recordings: v.recordings, Forwarding: s.Voice.Forwarding,
		Prices: d.callRate, Own: d.ownVoiceNumber, Log: d.log, Metrics: d.metrics,
	})
	if err := d.recallSpent(v.host); err != nil {
		return err
	}
	v.edge, err = sip.New(s.SIP, c.trunks, sip.Options{Handler: v.host, Log: d.log, Metrics: d.metrics})
	if err != nil {
		return err
	}
	v.host.Attach(v.edge)
	d.rt.RegisterCaller(callHost{v.host, d.effects})
	if err := v.edge.Listen(context.Background()); err != nil {
		return err
	}
	d.voice = v
	return nil
}

// soundThreads is how many threads keep the pace of sound: one per processor. Go may
// run one thread more at once than there are processors, so that a frame which is due
// need not wait until something else gives way; the system prefers its thread then.
// An operator's GOMAXPROCS is left as it is.
func soundThreads() int {
	n := goruntime.GOMAXPROCS(0)
	if os.Getenv("GOMAXPROCS") == "" {
		goruntime.GOMAXPROCS(n + 1)
	}
	return n
}

func (d *daemon) openPrompts(v *voiceSettings) (*prompt.Library, error) {
	engine, err := d.speechEngine(&v.Speech)
	if err != nil {
		d.log.Warn("texts can't be spoken: elements that say one will fail", "error", err)
	}
	return prompt.New(prompt.Options{
		Folder: d.promptFolder(v), Memory: int64(v.Prompts.Memory) << 20, Longest: v.Prompts.Longest,
		Speech: engine, SpeechFolder: filepath.Join(d.begun.data(d.source), "speech"), SpeechDisk: int64(v.Speech.Disk) << 20,
		Timeout: v.Speech.Timeout + 5*time.Second, Fetch: d.fetchPrompt, Metrics: d.metrics,
	})
}

// promptFolder is where sound files are; those of the bundled example are in its
// data folder.
func (d *daemon) promptFolder(v *voiceSettings) string {
	if d.source.bundled() {
		return filepath.Join(d.begun.data(d.source), v.Prompts.Folder)
	}
	return d.source.resolve(v.Prompts.Folder)
}

func (d *daemon) speechEngine(s *speechSettings) (prompt.Engine, error) {
	switch s.Engine {
	case "espeak":
		e, err := prompt.NewEspeak(s.Command, s.Voice, s.Processes, s.Timeout)
		if err != nil {
			return nil, err
		}
		return e, nil
	case "http":
		headers := map[string]string{}
		if s.Authorization != "" {
			headers["Authorization"] = s.Authorization
		}
		return &prompt.HTTPEngine{URL: s.URL, Voice: s.Voice, Headers: headers, Client: &http.Client{}, Timeout: s.Timeout}, nil
	}
	return nil, nil
}

// fetchPrompt gets a sound by the same way as all requests of flows, which keeps
// off private addresses.
func (d *daemon) fetchPrompt(ctx context.Context, url string) (io.ReadCloser, error) {
	answer := make(chan webhook.Response, 1)
	d.http.Do(ctx, webhook.Request{ID: fmt.Sprintf("prompt-%d", time.Now().UnixNano()), Method: http.MethodGet, URL: url, Retries: webhook.NoRetries}, func(r webhook.Response) { answer <- r })
	switch r := <-answer; {
	case !r.OK():
		return nil, fmt.Errorf("%s could not be fetched: %s %s", url, r.Err, r.Detail)
	case r.Truncated:
		return nil, fmt.Errorf("%s is longer than http.max_body allows", url)
	default:
		return io.NopCloser(bytes.NewReader(r.Body)), nil
	}
}

func (d *daemon) openRecordings(s *recordingSettings) (*host.Recordings, error) {
	folder := filepath.Join(d.begun.data(d.source), "recordings")
	if s.Folder != "" {
		folder = d.source.resolve(s.Folder)
	}
	sides := rtp.Peer
	if s.Sides == "both" {
		sides = rtp.Both
	}
	coding := map[string]wav.Coding{"pcm": wav.PCM16, "alaw": wav.ALaw, "ulaw": wav.MuLaw}[s.Coding]
	return host.OpenRecordings(folder, sides, coding)
}

// callRate is what a call to a number costs now.
func (d *daemon) callRate(to string, at time.Time) (host.Rate, bool) {
	row, ok := d.rt.CallRow(keyword.Number(to), at)
	return host.Rate{
		PerMinute: int64(row.Price), Setup: int64(row.Setup), Minimum: row.Minimum, Increment: row.Increment, Currency: row.Currency.String(),
	}, ok
}

// ownVoiceNumber says whether people call a number to reach us.
func (d *daemon) ownVoiceNumber(number string) bool {
	return d.config.Load().hasVoiceNumber(keyword.Number(number))
}

func (c *configuration) hasVoiceNumber(number string) bool {
	for _, n := range c.numbers {
		if n.Channel == string(gateway.Voice) && n.Value == number {
			return true
		}
	}
	return false
}

// recallSpent tells the host what calls have cost today.
func (d *daemon) recallSpent(h *host.Host) error {
	midnight := time.Now().UTC().Truncate(24 * time.Hour)
	return d.rt.EachCall(midnight, time.Time{}, func(r *runtime.CallRecord) bool {
		if r.Outbound && r.Origin.Flow != "" {
			h.Spent(r.Ended, r.Origin.Flow, r.Currency.String(), int64(r.Cost))
		}
		return true
	})
}

// hangUpTime is for what calls have to tell the core when the daemon stops.
const hangUpTime = 5 * time.Second

// serveVoice carries calls until edge ends; the sound goes on as long as calls do.
func (d *daemon) serveVoice(edge, sound context.Context, parts, rest *errgroup.Group, failed chan<- error) {
	v := d.voice
	if v == nil {
		return
	}
	rest.Go(func() error { return v.wheel.Run(sound) })
	rest.Go(func() error { v.prune(sound); return nil })
	serveEdge(edge, parts, failed, func() error {
		err := v.edge.Run(edge)
		ctx, cancel := context.WithTimeout(context.Background(), hangUpTime)
		defer cancel()
		v.host.Wait(ctx)
		return err
	})
}

// prune removes old recordings, once an hour.
func (v *voiceEdge) prune(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		v.recordings.Prune(time.Now().Add(-v.keep))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// stopVoice refuses new calls; those that stand have until then.
func (d *daemon) stopVoice(until time.Time) {
	if d.voice != nil {
		d.voice.edge.Stop()
		d.voice.edge.DrainUntil(until)
	}
}

// reloadVoice puts the trunks and rules of a configuration in force.
func (d *daemon) reloadVoice(c *configuration) error {
	if d.voice == nil {
		return nil
	}
	config := c.settings.SIP
	if !config.Enabled() { // takes effect at the next start
		config.Listen = d.begun.SIP.Listen
	}
	if err := d.voice.edge.Reload(config, c.trunks); err != nil {
		return err
	}
	d.voice.host.Reload(c.settings.Voice.Forwarding)
	return nil
}
