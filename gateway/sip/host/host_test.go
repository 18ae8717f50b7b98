package host

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"trunkline/gateway"
	"trunkline/gateway/rtp"
	"trunkline/gateway/rtp/prompt"
	"trunkline/gateway/rtp/sdp"
	"trunkline/gateway/rtp/wav"
	"trunkline/gateway/sip"
	"trunkline/ivr"
)

// patience is how long a test waits for what has to come.
const patience = 30 * time.Second

var loopback = netip.MustParseAddr("127.0.0.1")

// core stands in for the flows: a list of tasks for each call.
type core struct {
	t        *testing.T
	host     *Host
	mu       sync.Mutex
	tasks    []ivr.Task
	refuse   error
	outcomes chan ivr.Outcome
	ended    chan string
	records  chan gateway.CallRecord // final ones
	open     int
}

func (k *core) next(call string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.tasks) == 0 {
		return false
	}
	t := k.tasks[0]
	k.tasks = k.tasks[1:]
	k.host.Do(gateway.CallTask{Call: call, Ref: gateway.CallRef{Flow: "f", Element: string(t.Kind)}, Task: t})
	return true
}

func (k *core) Call(c gateway.Call, done func(gateway.CallRef, error)) {
	k.mu.Lock()
	refuse := k.refuse
	k.mu.Unlock()
	done(gateway.CallRef{Flow: "f"}, refuse)
	if refuse == nil {
		k.next(c.ID)
	}
}

func (k *core) CallOutcome(o gateway.CallOutcome, done func(error)) {
	k.outcomes <- o.Outcome
	done(nil)
	if !o.Over {
		k.next(o.Call)
	}
}

func (k *core) CallEnded(call string, _ gateway.CallRef, done func(error)) {
	k.ended <- call
	done(nil)
}

func (k *core) CallRecord(r gateway.CallRecord, done func(error)) {
	if r.Final {
		k.records <- r
	} else {
		k.mu.Lock()
		k.open++
		k.mu.Unlock()
	}
	done(nil)
}

// world is a host with its edge, and a phone, which is an edge too.
type world struct {
	t     *testing.T
	core  *core
	host  *Host
	edge  *sip.Edge
	phone *phone
	media rtp.Config
	dir   string
}

func ports(t *testing.T) *rtp.Ports {
	t.Helper()
	p, err := rtp.NewPorts(loopback, 32768, 60000, 0)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newWorld(t *testing.T, forwarding Forwarding, tasks ...ivr.Task) *world {
	t.Helper()
	return newWorldThatWaits(t, 0, forwarding, tasks...)
}

// newWorldThatWaits is newWorld, whose host bears so much silence of a peer; 0: for ever.
func newWorldThatWaits(t *testing.T, inactivity time.Duration, forwarding Forwarding, tasks ...ivr.Task) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	wheel := rtp.NewWheel(1)
	w.media = rtp.Config{Ports: ports(t), Wheel: wheel, Follow: true}
	log := slog.New(slog.DiscardHandler)
	prompts, err := prompt.New(prompt.Options{Folder: w.dir})
	if err != nil {
		t.Fatal(err)
	}
	recordings, err := OpenRecordings(filepath.Join(w.dir, "recordings"), rtp.Peer, wav.PCM16)
	if err != nil {
		t.Fatal(err)
	}
	w.core = &core{t: t, tasks: tasks, outcomes: make(chan ivr.Outcome, 100), ended: make(chan string, 100), records: make(chan gateway.CallRecord, 100)}
	if forwarding.MaxCalls == 0 {
		forwarding.MaxCalls = 100
	}
	if forwarding.MaxPair == 0 {
		forwarding.MaxPair = 3
	}
	w.host = New(Options{
		Core: w.core, Media: rtp.Config{Ports: w.media.Ports, Wheel: wheel, Follow: true, Inactivity: inactivity}, Advertised: loopback, Prompts: prompts, Recordings: recordings, Forwarding: forwarding, Log: log,
		Prices: func(to string, _ time.Time) (Rate, bool) {
			return Rate{PerMinute: 600_000, Increment: time.Second, Currency: "EUR"}, to != "38500"
		},
	})
	w.core.host = w.host
	w.phone = &phone{w: w, legs: make(chan *line, 100)}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	run := func(f func(context.Context) error) {
		running.Go(func() {
			if err := f(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	w.phone.edge = newEdge(t, w.phone, log)
	w.edge = newEdge(t, w.host, log)
	connect(t, w.phone.edge, "gateway", w.edge)
	connect(t, w.edge, "phone", w.phone.edge)
	w.host.Attach(w.edge)
	run(wheel.Run)
	run(w.edge.Run)
	run(w.phone.edge.Run)
	return w
}

var sipConfig = sip.Config{
	Listen: []sip.Listener{{Address: "127.0.0.1:0", Transport: sip.UDP}}, MaxCalls: 1000, MaxDelay: time.Second, MaxMessage: 32768, SourceRate: 20000,
	MaxConnections: 10, MaxConnectionsPerAddress: 10, IdleTimeout: time.Minute, UserAgent: "test",
}

func newEdge(t *testing.T, h sip.Handler, log *slog.Logger) *sip.Edge {
	t.Helper()
	e, err := sip.New(sipConfig, nil, sip.Options{Handler: h, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

// connect gives an edge a trunk to another.
func connect(t *testing.T, e *sip.Edge, name string, to *sip.Edge) {
	t.Helper()
	if err := e.Reload(sipConfig, []sip.Trunk{trunkTo(name, to)}); err != nil {
		t.Fatal(err)
	}
}

func trunkTo(name string, to *sip.Edge) sip.Trunk {
	return sip.Trunk{
		Name: name, Connect: []string{to.Addresses()[0].String()}, Transport: sip.UDP, Limits: sip.Limits{Calls: 100},
		CallerID: sip.CallerID{Trust: "from", Format: "plain"}, Routes: []sip.Route{{}},
		SessionExpires: 30 * time.Minute, MinSE: 90 * time.Second, Reliable: "supported", Transfer: "refuse",
		RingTimeout: time.Minute, MaxDuration: time.Hour, Symmetric: true, Ping: sip.Ping{DownAfter: 2, UpAfter: 1},
	}
}

// phone takes calls and makes them.
type phone struct {
	w    *world
	edge *sip.Edge
	legs chan *line // that came in
}

// line is a call as the phone sees it.
type line struct {
	*sip.Leg
	t        *testing.T
	session  *rtp.Session
	rang     chan struct{}
	answered chan struct{}
	over     chan sip.Cause
	heard    string // file of what is heard
	recorder *rtp.Recorder
	written  chan struct{}
}

func (p *phone) line() *line {
	s, err := rtp.NewSession(p.w.media)
	if err != nil {
		p.w.t.Fatal(err)
	}
	l := &line{t: p.w.t, session: s, rang: make(chan struct{}, 10), answered: make(chan struct{}, 10), over: make(chan sip.Cause, 1), written: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { _ = s.Run(ctx) })
	l.heard = filepath.Join(p.w.t.TempDir(), "heard.wav")
	f, err := os.Create(l.heard)
	if err != nil {
		p.w.t.Fatal(err)
	}
	l.recorder, err = rtp.NewRecorder(f, wav.PCM16, rtp.Peer, rtp.Limits{})
	if err != nil {
		p.w.t.Fatal(err)
	}
	s.Record(l.recorder)
	ended.Go(func() { defer close(l.written); _ = l.recorder.Run(context.Background()); f.Close() })
	p.w.t.Cleanup(func() { cancel(); ended.Wait() })
	return l
}

func (l *line) local() sdp.Local {
	return sdp.Local{Media: netip.AddrPortFrom(loopback, l.session.Port())}
}

func (l *line) event(e sip.Event) {
	switch e := e.(type) {
	case sip.Ringing:
		l.rang <- struct{}{}
	case sip.Media:
		_ = l.session.Agree(e.Agreed)
	case sip.Answered:
		l.answered <- struct{}{}
	case sip.Ended:
		l.over <- e.Cause
	}
}

func (p *phone) Invited(leg *sip.Leg) func(sip.Event) {
	l := p.line()
	l.Leg = leg
	p.legs <- l
	return l.event
}

func (p *phone) dial(to string) *line {
	p.w.t.Helper()
	l := p.line()
	leg, err := p.edge.Dial(sip.Dial{Trunk: "gateway", Called: to, Caller: "385911", Local: l.local()}, l.event)
	if err != nil {
		p.w.t.Fatal(err)
	}
	l.Leg = leg
	return l
}

// sound is what was heard so far; nothing more is recorded.
func (l *line) sound() []int16 {
	l.recorder.Stop()
	<-l.written
	f, err := os.Open(l.heard)
	if err != nil {
		l.t.Fatal(err)
	}
	defer f.Close()
	s, err := wav.Read(f, 1<<24)
	if err != nil {
		l.t.Fatal(err)
	}
	return s.Mono()
}

func get[T any](t *testing.T, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
	}
	return v
}

func toneOf(hz float64, d time.Duration) []int16 {
	samples := make([]int16, int(d.Seconds()*8000))
	for i := range samples {
		samples[i] = int16(9000 * math.Sin(2*math.Pi*hz*float64(i)/8000))
	}
	return samples
}

// hears says for how many of the frames of 100 ms most of the energy is at hz.
func hears(samples []int16, hz float64) (seconds float64) {
	const n = 800
	for at := 0; at+n <= len(samples); at += n {
		var re, im, all float64
		for i, s := range samples[at : at+n] {
			x := 2 * math.Pi * hz * float64(i) / 8000
			re += float64(s) * math.Cos(x)
			im += float64(s) * math.Sin(x)
			all += float64(s) * float64(s)
		}
		if all > n*500*500 && 2*(re*re+im*im)/(all*n) > 0.8 {
			seconds += 0.1
		}
	}
	return seconds
}

// onTime says whether the machine had the time to keep the pace of the sound: on one
// that has not, what is heard is in pieces and tells nothing.
func (w *world) onTime() bool {
	c := w.media.Wheel.Counts()
	if c.Skipped > 0 || c.Late*10 > c.Ticks {
		w.t.Logf("the machine is too busy to judge sound: %+v", c)
		return false
	}
	return true
}

// tone writes a prompt.
func (w *world) tone(name string, hz float64, d time.Duration) {
	w.t.Helper()
	f, err := os.Create(filepath.Join(w.dir, name))
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := wav.NewWriter(f, wav.PCM16, 8000, 1)
	if err == nil {
		err = errors.Join(out.Write(toneOf(hz, d), nil), out.Close(), f.Close())
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func file(name string) *ivr.Prompt {
	return &ivr.Prompt{Sounds: []ivr.Sound{{File: name}}, Barge: true}
}

// A caller hears a prompt, presses keys, and is hung up on; the record tells it.
func TestMenu(t *testing.T) {
	w := newWorld(t, Forwarding{},
		ivr.Task{Kind: ivr.KindPlay, Prompt: file("welcome.wav")},
		ivr.Task{Kind: ivr.KindCollect, Prompt: file("menu.wav"), Collect: &ivr.Collect{Min: 2, Max: 2, First: 20 * time.Second, Between: 20 * time.Second}},
		ivr.Task{Kind: ivr.KindHangUp},
	)
	w.tone("welcome.wav", 440, time.Second)
	w.tone("menu.wav", 880, 10*time.Second)
	l := w.phone.dial("38591000003")
	get(t, "ringing", l.rang)
	get(t, "the answer", l.answered)
	if o := get(t, "the welcome", w.core.outcomes); o.Port != ivr.PortDone {
		t.Fatalf("%+v", o)
	}
	time.Sleep(time.Second)
	if err := l.session.SendDigits("42", 0); err != nil {
		t.Fatal(err)
	}
	if o := get(t, "the digits", w.core.outcomes); o.Port != ivr.PortDone || o.Digits != "42" {
		t.Fatalf("%+v", o)
	}
	if c := get(t, "the end", l.over); !c.Answer || c.By != sip.Peer {
		t.Errorf("%v", c)
	}
	if o := get(t, "the hang-up", w.core.outcomes); o.Port != ivr.PortDone || !o.Over {
		t.Errorf("%+v", o)
	}
	r := get(t, "the record", w.core.records)
	if r.Outbound || r.Answered.IsZero() || r.By != "us" || r.From != "385911" || r.To != "38591000003" || r.Codec == "" || r.Quality.MOS < 3 && w.onTime() || r.Ref.Flow != "f" || r.Cause != 16 {
		t.Errorf("%+v", r)
	}
	sound := l.sound()
	if welcome, menu := hears(sound, 440), hears(sound, 880); w.onTime() && (welcome < 0.7 || welcome > 1.1 || menu < 0.3 || menu > 5) {
		t.Errorf("%.1f s of the welcome, %.1f s of the menu", welcome, menu)
	}
	eventually(t, "the call is gone", func() bool { return w.host.Calls() == 0 })
	w.core.mu.Lock()
	defer w.core.mu.Unlock()
	if w.core.open != 1 {
		t.Errorf("%d open records", w.core.open)
	}
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it did not come true that %s", what)
		}
	}
}

// The core refuses: nobody takes calls to the number.
func TestRefusals(t *testing.T) {
	for err, want := range map[error]int{
		gateway.ErrUnknownNumber: 404, gateway.ErrNotTaken: 480, gateway.ErrAnonymous: 433, gateway.ErrOverload: 503, gateway.ErrStopping: 503,
	} {
		w := newWorld(t, Forwarding{})
		w.core.mu.Lock()
		w.core.refuse = err
		w.core.mu.Unlock()
		l := w.phone.dial("38591000003")
		if c := get(t, "the refusal", l.over); c.Code != want {
			t.Errorf("%v: %v, want %d", err, c, want)
		}
		if r := get(t, "the record", w.core.records); !r.Answered.IsZero() || r.Status != want {
			t.Errorf("%+v", r)
		}
		eventually(t, "the call is gone", func() bool { return w.host.Calls() == 0 })
	}
}

// A caller who hangs up is noticed in the middle of an element, and between two.
func TestCallerHangsUp(t *testing.T) {
	w := newWorld(t, Forwarding{}, ivr.Task{Kind: ivr.KindPlay, Prompt: file("long.wav")})
	w.tone("long.wav", 440, time.Minute)
	l := w.phone.dial("38591000003")
	get(t, "the answer", l.answered)
	l.Hangup(0)
	if o := get(t, "the outcome", w.core.outcomes); o.Port != ivr.PortHungUp || !o.Over {
		t.Errorf("%+v", o)
	}
	if r := get(t, "the record", w.core.records); r.By != "caller" {
		t.Errorf("%+v", r)
	}
	w.core.mu.Lock()
	w.core.tasks = []ivr.Task{{Kind: ivr.KindAnswer}}
	w.core.mu.Unlock()
	l = w.phone.dial("38591000003")
	if o := get(t, "the answer", w.core.outcomes); o.Port != ivr.PortDone {
		t.Errorf("%+v", o)
	}
	l.Hangup(0)
	get(t, "the end", w.core.ended)
	eventually(t, "the call is gone", func() bool { return w.host.Calls() == 0 })
	w.host.Do(gateway.CallTask{Call: "another", Task: ivr.Task{Kind: ivr.KindAnswer}})
	if o := get(t, "the outcome of a call that is not there", w.core.outcomes); o.Port != ivr.PortHungUp || !o.Over {
		t.Errorf("%+v", o)
	}
}

// What a caller says is recorded after the beep, until a key; and can be played.
func TestVoicemail(t *testing.T) {
	w := newWorld(t, Forwarding{}, ivr.Task{Kind: ivr.KindRecord, Record: &ivr.Record{Beep: true, Max: time.Minute, Finish: "#"}})
	l := w.phone.dial("38591000003")
	get(t, "the answer", l.answered)
	l.session.Play(rtp.Prompt(toneOf(700, time.Minute), 1))
	time.Sleep(2 * time.Second)
	if err := l.session.SendDigits("#", 0); err != nil {
		t.Fatal(err)
	}
	o := get(t, "the recording", w.core.outcomes)
	if o.Port != ivr.PortRecorded || o.Recording == "" || o.Length < 500*time.Millisecond {
		t.Fatalf("%+v", o)
	}
	samples, err := w.host.sound(t.Context(), &ivr.Sound{Recording: o.Recording})
	if err != nil || w.onTime() && hears(samples, 700) < 0.5 {
		t.Errorf("%v, %.1f s", err, hears(samples, 700))
	}
	if hears(l.sound(), 1000) < 0.2 && w.onTime() {
		t.Error("there was no beep")
	}
	l.Hangup(0)
	get(t, "the end", w.core.ended)
	if n := w.host.options.Recordings.Prune(time.Now().Add(time.Hour)); n != 1 {
		t.Errorf("%d recordings removed", n)
	}
}

// forwardTo is a task that forwards.
func forwardTo(numbers ...string) ivr.Task {
	return ivr.Task{Kind: ivr.KindForward, Forward: &ivr.Forward{Targets: numbers, Timeout: 20 * time.Second, Ringback: ivr.RingbackTone, Hangup: true}}
}

// A forwarded caller hears that it rings, then the other side, both ways; the
// legs are on record, and the one that went out names the flow.
func TestForward(t *testing.T) {
	w := newWorld(t, Forwarding{DayMoney: []Amount{{100_000_000, "EUR"}}}, ivr.Task{Kind: ivr.KindAnswer}, forwardTo("385922"))
	l := w.phone.dial("38591000003")
	get(t, "the answer", l.answered)
	get(t, "the outcome of the answer", w.core.outcomes)
	b := get(t, "the call at the other phone", w.phone.legs)
	if b.Called != "385922" || b.Caller != "385911" {
		t.Errorf("%s calls %s", b.Caller, b.Called)
	}
	b.Ring()
	time.Sleep(700 * time.Millisecond)
	b.Answer(b.local())
	get(t, "the answer of the other phone", b.answered)
	l.session.Play(rtp.Prompt(toneOf(600, time.Minute), 1))
	b.session.Play(rtp.Prompt(toneOf(900, time.Minute), 1))
	time.Sleep(2 * time.Second)
	if err := l.session.SendDigits("7", 0); err != nil {
		t.Fatal(err)
	}
	if d := get(t, "the key at the other side", b.session.Digits()); d != '7' {
		t.Errorf("%c", d)
	}
	b.Hangup(0)
	get(t, "the caller's end", l.over)
	if o := get(t, "the outcome", w.core.outcomes); o.Port != ivr.PortAnswered || !o.Over || o.Talk < time.Second || o.Target != "385922" {
		t.Errorf("%+v", o)
	}
	heard := l.sound()
	if ring, voice := hears(heard, 425), hears(heard, 900); w.onTime() && (ring < 0.3 || voice < 1) {
		t.Errorf("%.1f s of ringing, %.1f s of the other side", ring, voice)
	}
	if voice := hears(b.sound(), 600); voice < 1 && w.onTime() {
		t.Errorf("%.1f s of the caller", voice)
	}
	var out gateway.CallRecord
	for range 2 {
		if r := get(t, "a record", w.core.records); r.Outbound {
			out = r
		}
	}
	if out.Leg == 0 || out.Trunk != "phone" || out.To != "385922" || out.By != "callee" || out.Alerting.IsZero() || out.Ref.Element != "forward" || out.Status != 200 {
		t.Errorf("%+v", out)
	}
	eventually(t, "the call is gone", func() bool { return w.host.Calls() == 0 })
	if n := w.host.policy.total("f", "EUR"); n < 10_000 || n > 300_000 {
		t.Errorf("%d millionths are spent", n)
	}
}

// Numbers that may not be called are not: each for its reason.
func TestForwardIsRefused(t *testing.T) {
	for _, c := range []struct {
		to    string
		rules Forwarding
		code  string
	}{
		{"8821234567", Forwarding{}, codeBlocked},
		{"19005551234", Forwarding{}, codeBlocked},
		{"385922", Forwarding{Blocked: []string{"3859"}}, codeBlocked},
		{"38591000003", Forwarding{}, codeLoop},
		{"38500", Forwarding{NeedPrice: true}, codeMoney},
		{"385922", Forwarding{DayMoney: []Amount{{100, "EUR"}}}, codeMoney},
		{"385922", Forwarding{DayMoney: []Amount{{100_000_000, "USD"}}}, codeMoney},
	} {
		w := newWorld(t, c.rules, ivr.Task{Kind: ivr.KindAnswer}, forwardTo(c.to))
		l := w.phone.dial("38591000003")
		get(t, "the answer", w.core.outcomes)
		if o := get(t, "the outcome", w.core.outcomes); o.Port != ivr.PortFailed || o.Code != c.code {
			t.Errorf("%s: %+v, want %s", c.to, o, c.code)
		}
		if r := get(t, "the record", w.core.records); !r.Outbound || r.Detail != c.code || r.By != "us" {
			t.Errorf("%+v", r)
		}
		l.Hangup(0)
		get(t, "the end", w.core.ended)
	}
}

// When the money of the day is spent, the talk is over.
func TestCutOff(t *testing.T) {
	w := newWorld(t, Forwarding{DayMoney: []Amount{{30_000, "EUR"}}}, ivr.Task{Kind: ivr.KindAnswer}, forwardTo("385922")) // 3 s
	l := w.phone.dial("38591000003")
	get(t, "the answer", w.core.outcomes)
	b := get(t, "the call at the other phone", w.phone.legs)
	b.Answer(b.local())
	get(t, "the end of the other side", b.over)
	get(t, "the caller's end", l.over)
	for range 2 {
		if r := get(t, "a record", w.core.records); r.Outbound && (r.Detail != codeCutOff || r.Ended.Sub(r.Answered) > 15*time.Second) {
			t.Errorf("%+v", r)
		}
	}
	if n := w.host.policy.total("f", "EUR"); n > 30_000 {
		t.Errorf("%d millionths are spent", n)
	}
}

// A call that we make: the person answers, hears a message, and it is over.
func TestStart(t *testing.T) {
	w := newWorld(t, Forwarding{})
	w.tone("message.wav", 500, time.Second)
	results := make(chan gateway.StartResult, 1)
	w.host.Start(t.Context(), gateway.OutboundCall{
		ID: "r/e/1", Ref: gateway.CallRef{Flow: "f", Element: "voice"},
		Task: ivr.Task{Kind: ivr.KindStartCall, Prompt: file("message.wav"), Dial: &ivr.Dial{To: "385922", CallerID: "38591000003", Timeout: 20 * time.Second}},
	}, func(r gateway.StartResult) { results <- r })
	b := get(t, "the call", w.phone.legs)
	b.Answer(b.local())
	get(t, "the end", b.over)
	if r := get(t, "the result", results); r.Fate != gateway.FateAccepted || !r.Began || r.Trunk != "phone" || r.Outcome.Port != ivr.PortAnswered {
		t.Errorf("%+v", r)
	}
	if s := hears(b.sound(), 500); s < 0.7 && w.onTime() {
		t.Errorf("%.1f s of the message", s)
	}
	// Nobody is there.
	w.host.Start(t.Context(), gateway.OutboundCall{
		ID: "r/e/2", Task: ivr.Task{Kind: ivr.KindStartCall, Dial: &ivr.Dial{To: "385922", CallerID: "38591000003", Timeout: 20 * time.Second}},
	}, func(r gateway.StartResult) { results <- r })
	get(t, "the call", w.phone.legs).Reject(486)
	if r := get(t, "the result", results); r.Fate != gateway.FateRejected || r.Outcome.Port != ivr.PortBusy {
		t.Errorf("%+v", r)
	}
	eventually(t, "the calls are gone", func() bool { return w.host.Calls() == 0 })
}

// The next route is taken after a fault on the way, not when somebody is busy.
func TestNextRoute(t *testing.T) {
	for status, want := range map[int]ivr.Port{503: ivr.PortAnswered, 486: ivr.PortBusy, 404: ivr.PortFailed} {
		w := newWorld(t, Forwarding{}, ivr.Task{Kind: ivr.KindAnswer}, forwardTo("385922"))
		other := &phone{w: w, legs: make(chan *line, 10)}
		other.edge = newEdge(t, other, slog.New(slog.DiscardHandler))
		connect(t, other.edge, "gateway", w.edge)
		first, second := trunkTo("phone", w.phone.edge), trunkTo("spare", other.edge)
		second.Routes[0].Cost = 1
		if err := w.edge.Reload(sipConfig, []sip.Trunk{first, second}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- other.edge.Run(ctx) }()
		l := w.phone.dial("38591000003")
		get(t, "the answer", w.core.outcomes)
		get(t, "the call over the first route", w.phone.legs).Reject(status)
		if want == ivr.PortAnswered {
			b := get(t, "the call over the second route", other.legs)
			b.Answer(b.local())
			get(t, "the answer over the second route", b.answered)
			b.Hangup(0)
		}
		if o := get(t, "the outcome", w.core.outcomes); o.Port != want {
			t.Errorf("after %d: %+v", status, o)
		}
		l.Hangup(0)
		get(t, "the caller's end", l.over)
		for range 2 {
			if r := get(t, "a record", w.core.records); r.Outbound && want == ivr.PortAnswered && r.Trunk != "spare" {
				t.Errorf("%+v", r)
			}
		}
		cancel()
		<-ended
	}
}

// A machine that answers is told from a human; the message comes after its greeting.
func TestMachineDetection(t *testing.T) {
	w := newWorld(t, Forwarding{})
	w.tone("message.wav", 500, time.Second)
	results := make(chan gateway.StartResult, 1)
	w.host.Start(t.Context(), gateway.OutboundCall{
		ID: "r/e/1", Task: ivr.Task{Kind: ivr.KindStartCall, Prompt: file("message.wav"), Dial: &ivr.Dial{
			To: "385922", CallerID: "38591000003", Timeout: 20 * time.Second, Message: true, Detect: &ivr.Detect{Timeout: 20 * time.Second, Greeting: 30 * time.Second},
		}},
	}, func(r gateway.StartResult) { results <- r })
	b := get(t, "the call", w.phone.legs)
	b.Answer(b.local())
	talk := toneOf(250, 4*time.Second)
	for i, s := range toneOf(610, 4*time.Second) {
		talk[i] = talk[i]/2 + s/2
	}
	b.session.Play(rtp.Prompt(talk, 1))
	get(t, "the end", b.over)
	if r := get(t, "the result", results); r.Fate != gateway.FateAccepted || r.Outcome.Port != ivr.PortMachine && w.onTime() {
		t.Errorf("%+v", r)
	}
	if s := hears(b.sound(), 500); s < 0.7 && w.onTime() {
		t.Errorf("%.1f s of the message", s)
	}
}

// A key that a peer sends by INFO too is pressed once.
func TestKeysBothWays(t *testing.T) {
	w := newWorld(t, Forwarding{})
	c := w.host.newCall("c")
	lg := c.newLeg(ivr.Caller)
	c.machine.Begin(ivr.Task{Kind: ivr.KindCollect, Collect: &ivr.Collect{Min: 3, Max: 3, First: time.Minute, Between: time.Minute}})
	done := make(chan struct{})
	c.do(func() {
		lg.pressed('1', false)
		lg.pressed('1', true)
		lg.pressed('1', false)
		lg.pressed('2', true)
		lg.pressed('2', false)
		close(done)
	})
	<-done
	c.do(func() { lg.refuse("test") })
	eventually(t, "the call is gone", func() bool { return w.host.Calls() == 0 })
}

// total is what a flow has spent or reserved today.
func (p *policy) total(flow, currency string) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.spent[account{flow, currency}]
}
