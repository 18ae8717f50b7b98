package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// How the harness's systems log in.
const (
	esmeID       = "esme"
	esmePassword = "secret1"
	smscID       = "trunk"
	smscPassword = "secret2"
)

// attributeType is the type of the attribute that the flows write.
const attributeType = "decimal"

// bindsOut is how many binds the daemon makes to the message centre.
const bindsOut = 2

// keywordFlow is what the load runs through: a keyword starts a run, the run
// updates the person and answers. It ends when the carrier has taken the answer.
const keywordFlow = `flow: load
entries:
  - {id: keyword, type: inbound_message, number: "` + ourNumber + `", keywords: [size], match: first_word, next: save}
elements:
  save: {type: update_person, set: {shoeSize: "${inbound.number}"}, on: {done: reply, invalid: stop}}
  reply: {type: send_sms, from: "` + ourNumber + `", text: "Size {{ person.shoeSize }} noted, {{ inbound.from }}", on: {sent: stop}}
  stop: {type: exit}
`

// site is a folder with a configuration, and the daemon that runs on it.
type site struct {
	bin, dir    string
	smpp, admin string // addresses
	flow        string // id
}

// newSite writes the configuration. smsc is where the daemon binds, with window
// on each of its binds; empty: nowhere.
func newSite(o *options, smsc string, window int) (*site, error) {
	ports, err := freeAddresses(2)
	if err != nil {
		return nil, err
	}
	s := &site{bin: o.bin, dir: o.dir, smpp: ports[0], admin: ports[1], flow: "load"}
	pprof := ""
	if o.profile {
		pprof = ", pprof: true"
	}
	files := map[string]string{
		"trunkline.yaml": fmt.Sprintf(`data: data
admin: {listen: "%s"%s}
log: {level: warn}
smpp: {listen: [{address: "%s"}]}
people: {attributes: [{name: shoeSize, type: %s}]}
numbers: [{number: "%s", channel: sms, duplicate_window: 0s}]
`, s.admin, pprof, s.smpp, attributeType, ourNumber),
		"carriers/esme.yaml": fmt.Sprintf(`carrier: esme
accept: {max_binds: 64}
system_id: %s
password: %s
window_in: 5000
`, esmeID, esmePassword),
		"flows/flow.yaml": o.flow,
	}
	if smsc != "" {
		files["carriers/out.yaml"] = fmt.Sprintf(`carrier: out
connect: ["%s"]
system_id: %s
password: %s
binds: %d
window: %d
timers: {reconnect: 50ms, reconnect_max: 500ms}
routes: [{prefix: ""}]
`, smsc, smscID, smscPassword, bindsOut, window)
	}
	if err := s.write(files); err != nil {
		return nil, err
	}
	return s, nil
}

// write puts texts into files of the folder, by name.
func (s *site) write(files map[string]string) error {
	for name, text := range files {
		name = filepath.Join(s.dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// freeAddresses finds loopback ports that nobody uses at the moment.
func freeAddresses(n int) (all []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		all = append(all, l.Addr().String())
	}
	return all, nil
}

func (s *site) config() string { return filepath.Join(s.dir, "trunkline.yaml") }
func (s *site) data() string   { return filepath.Join(s.dir, "data") }

// start starts the daemon.
func (s *site) start() (*process, error) {
	return start(s.dir, filepath.Join(s.dir, "daemon.log"), s.bin, "run", "--config", s.config())
}

// ready waits until the daemon takes traffic and returns how long that took.
func (s *site) ready(ctx context.Context, p *process) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	return p.ready(ctx, "http://"+s.admin+"/readyz")
}

// startReady starts the daemon and waits until it takes traffic.
func (s *site) startReady(ctx context.Context) (*process, time.Duration, error) {
	p, err := s.start()
	if err != nil {
		return nil, 0, err
	}
	took, err := s.ready(ctx, p)
	if err != nil {
		p.kill()
		return nil, 0, err
	}
	return p, took, nil
}

// profile fetches a CPU profile of the daemon into a file.
func (s *site) profile(ctx context.Context, d time.Duration, file string) error {
	return s.fetch(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", max(1, int(d.Seconds()))), file)
}

// fetch writes what the daemon's admin listener says into a file.
func (s *site) fetch(ctx context.Context, path, file string) error {
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+s.admin+path, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the daemon has no %s: %s", path, res.Status)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(f, res.Body)
	return err
}

// standing is what the daemon says of a flow.
type standing struct {
	Inside   uint64            `json:"inside"`
	Entered  uint64            `json:"entered"`
	Exited   map[string]uint64 `json:"exited"`
	Refused  map[string]uint64 `json:"refused"`
	Sent     uint64            `json:"messages_sent"`
	Elements []struct {
		Delivered uint64 `json:"delivered"`
	} `json:"elements"`
}

func (st *standing) delivered() (sum uint64) {
	for _, e := range st.Elements {
		sum += e.Delivered
	}
	return sum
}

// show asks the daemon's own command line about the flow.
func (s *site) show(ctx context.Context) (*standing, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, s.bin, "--config", s.config(), "flow", "show", s.flow, "--json").Output()
	if err != nil {
		detail := ""
		var e *exec.ExitError
		if errors.As(err, &e) {
			detail = string(e.Stderr)
		}
		return nil, fmt.Errorf("trunkline flow show %s: %w %s", s.flow, err, detail)
	}
	st := new(standing)
	if err := json.Unmarshal(out, st); err != nil {
		return nil, fmt.Errorf("trunkline flow show %s: %w in %q", s.flow, err, out)
	}
	return st, nil
}

// agree waits until the daemon's counters say that exactly so many runs were
// begun, finished, answered and reported, and else says what differs. The
// counters follow within the commit that is under way.
func (s *site) agree(ctx context.Context, replies func() int) []string {
	var problems []string
	for deadline := time.Now().Add(15 * time.Second); ; {
		st, err := s.show(ctx)
		if err != nil {
			return []string{err.Error()}
		}
		n := uint64(replies())
		problems = nil
		for _, c := range []struct {
			what string
			got  uint64
		}{
			{"runs begun", st.Entered}, {"runs completed", st.Exited["completed"]},
			{"messages sent", st.Sent}, {"messages delivered", st.delivered()},
		} {
			if c.got != n {
				problems = append(problems, fmt.Sprintf("the daemon counts %d %s, and there were %d replies", c.got, c.what, n))
			}
		}
		if st.Inside != 0 {
			problems = append(problems, fmt.Sprintf("the daemon says that %d persons are still inside the flow", st.Inside))
		}
		if len(st.Refused) > 0 {
			problems = append(problems, fmt.Sprintf("the daemon refused entries: %v", st.Refused))
		}
		if len(problems) == 0 || time.Now().After(deadline) || ctx.Err() != nil {
			return problems
		}
		time.Sleep(200 * time.Millisecond)
	}
}
