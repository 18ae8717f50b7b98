package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"text/tabwriter"
	"time"

	"trunkline/gateway/cdr"
)

// callCrash kills the daemon while calls stand, ring and end, and then accounts for
// every leg: what was answered is on record, nothing is billed beyond the kill, runs
// have left through hung_up, and no peer holds a call that nobody hears.
type callCrash struct {
	*options
	calls, kills int
	seed         uint64
}

func crashCalls(o *options) runner {
	c := &callCrash{options: o}
	o.flags.IntVar(&c.calls, "calls", 500, "calls that stand when the daemon is killed; half of them are forwarded")
	o.flags.IntVar(&c.kills, "kills", 5, "how often it is killed")
	o.flags.Uint64Var(&c.seed, "seed", 0, "of the moments of the kills; 0: a new one")
	return c.run
}

// Numbers of the site.
const (
	menuNumber    = "38591000001"
	forwardNumber = "38591000002"
	phoneNumber   = "385922"
)

// Times of a round.
const (
	callPause  = 3 * time.Millisecond // between two new calls
	afterCalls = 8 * time.Second      // the kill falls within: executors note every five that they live
	orphanTime = 30 * time.Second     // until all legs that a kill has left are hung up
)

// callsFlows are an IVR that waits for keys and one that forwards.
var callsFlows = map[string]string{
	"flows/menu.yaml": `flow: menu
entries: [{id: in, type: inbound_call, number: "` + menuNumber + `", next: ask}]
elements:
  ask: {type: collect, max_digits: 4, first_digit_timeout: 60s, retries: 3, on: {collected: bye, hung_up: lost}}
  lost: {type: add_tag, tag: lost}
  bye: {type: hang_up}
`,
	"flows/forward.yaml": `flow: forward
entries: [{id: in, type: inbound_call, number: "` + forwardNumber + `", next: go}]
elements:
  go: {type: forward_call, to: "` + phoneNumber + `", hang_up: true, on: {hung_up: lost}}
  lost: {type: add_tag, tag: lost}
`,
	"tariffs/voice.csv": "channel,direction,prefix,currency,price,setup,min_s,increment_s,valid_from\nvoice,outbound,385,EUR,0.60,0.01,1,1,2020-01-01\n",
}

// site writes the configuration; peer is where calls come from and go to.
func (c *callCrash) site(peer string) (s *site, sip string, err error) {
	ports, err := freeAddresses(2)
	if err != nil {
		return nil, "", err
	}
	s, sip = &site{bin: c.bin, dir: c.dir, admin: ports[0]}, ports[1]
	files := map[string]string{
		"trunkline.yaml": fmt.Sprintf(`data: data
admin: {listen: "%s"}
log: {level: error}
smpp: {listen: []}
sip: {listen: [{address: "%s"}]}
voice: {media: {first_port: 20000, last_port: 60000, inactivity: 0s}, forwarding: {max_calls: 10000}}
numbers: [{number: "%s", channel: voice}, {number: "%s", channel: voice}]
`, s.admin, sip, menuNumber, forwardNumber),
		"trunks/peer.yaml": fmt.Sprintf("trunk: peer\nconnect: [\"%s\"]\nroutes: [{prefix: \"\"}]\nping: {interval: 0s}\nlimits: {calls: 100000}\n", peer),
	}
	for name, text := range callsFlows {
		files[name] = text
	}
	if err := s.write(files); err != nil {
		return nil, "", err
	}
	return s, sip, nil
}

func (c *callCrash) run(ctx context.Context) error {
	if c.seed == 0 {
		c.seed = uint64(time.Now().UnixNano())
	}
	fmt.Printf("seed %d\n", c.seed)
	r := rand.New(rand.NewPCG(c.seed, 0))
	phones, err := newSwitchboard()
	if err != nil {
		return err
	}
	defer phones.close()
	s, sip, err := c.site(phones.address())
	if err != nil {
		return err
	}
	if err := phones.connect(sip); err != nil {
		return err
	}
	v := new(callVerdict)
	p, _, err := s.startReady(ctx)
	if err != nil {
		return err
	}
	defer func() { p.kill() }()
	for range c.kills {
		if err := c.crowd(ctx, r, phones); err != nil {
			return err
		}
		p.kill()
		killed := time.Now()
		left := phones.abandon()
		if p, _, err = s.startReady(ctx); err != nil {
			return err
		}
		v.orphans += len(left)
		v.left += phones.awaitEnd(ctx, left, orphanTime)
		if err := v.round(ctx, s, phones, killed); err != nil {
			return err
		}
	}
	p.kill()
	problems, err := recount(s.data())
	if err != nil {
		return err
	}
	return v.tell(c.kills, problems)
}

// crowd lets calls come until enough stand, and then goes on for a moment: one in
// ten hangs up and another comes, so that the kill finds calls in every state.
func (c *callCrash) crowd(ctx context.Context, r *rand.Rand, phones *switchboard) error {
	for i := 0; i < c.calls; i++ {
		phones.call([]string{menuNumber, forwardNumber}[i%2])
		if err := sleep(ctx, callPause); err != nil {
			return err
		}
	}
	for end := time.Now().Add(time.Duration(r.Int64N(int64(afterCalls)))); time.Now().Before(end); {
		phones.hangUpOne(r)
		phones.call([]string{menuNumber, forwardNumber}[r.IntN(2)])
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// callVerdict is what was found so far.
type callVerdict struct {
	calls, answered, forwarded, records  int
	orphans, left                        int
	missing, twice, beyond, open, inside int
	gap                                  time.Duration // longest talk before a kill that is not billed
	problems                             []string
}

func (v *callVerdict) note(n *int, format string, args ...any) {
	if *n++; *n <= 10 {
		v.problems = append(v.problems, fmt.Sprintf(format, args...))
	}
}

// round looks at all records after a kill.
func (v *callVerdict) round(ctx context.Context, s *site, phones *switchboard, killed time.Time) error {
	var records, open []cdr.Record
	for end := time.Now().Add(30 * time.Second); ; {
		var err error
		if open, err = s.callRecords(ctx, "list", "--open", "--json", "--limit", "10000"); err != nil {
			return err
		}
		if len(open) == 0 || time.Now().After(end) {
			break
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	if len(open) > 0 {
		v.note(&v.open, "%d records are open after a restart", len(open))
	}
	records, err := s.callRecords(ctx, "export", "--format", "jsonl")
	if err != nil {
		return err
	}
	v.records = len(records)
	found := map[string][]cdr.Record{}
	for _, r := range records {
		key := r.From + " " + r.Direction
		found[key] = append(found[key], r)
	}
	for _, l := range phones.settle() {
		v.calls++
		v.leg(l, "in", l.answered, found[l.from+" in"], killed)
		v.leg(l, "out", l.talked, found[l.from+" out"], killed)
	}
	for _, flow := range []string{"menu", "forward"} {
		s.flow = flow
		st, err := s.show(ctx)
		if err != nil {
			return err
		}
		left := uint64(0)
		for _, n := range st.Exited {
			left += n
		}
		if st.Inside != 0 || left != st.Entered {
			v.note(&v.inside, "of flow %s %d persons are inside after a restart; %d entered, %d left", flow, st.Inside, st.Entered, left)
		}
	}
	return nil
}

// leg holds a leg against its record. answered is when the peer knew that it stood;
// zero: it did not.
func (v *callVerdict) leg(l *heldCall, direction string, answered time.Time, records []cdr.Record, killed time.Time) {
	if len(records) > 1 {
		v.note(&v.twice, "%d records of the %s leg of %s", len(records), direction, l.from)
	}
	if answered.IsZero() {
		return
	}
	if v.answered++; direction == "out" {
		v.forwarded++
	}
	if len(records) == 0 || records[0].Answered.IsZero() {
		v.note(&v.missing, "the %s leg of %s was answered at %s, and no record says so", direction, l.from, answered.Format(time.StampMilli))
		return
	}
	r := records[0]
	if r.Ended.After(killed) || float64(r.Billed) > killed.Sub(r.Answered).Seconds()+1 {
		v.note(&v.beyond, "the %s leg of %s is billed until %s, %d s, and the kill was at %s", direction, l.from, r.Ended.Format(time.StampMilli), r.Billed, killed.Format(time.StampMilli))
	}
	if r.Detail == "lost" {
		v.gap = max(v.gap, killed.Sub(r.Ended))
	}
}

// callRecords asks the daemon's command line.
func (s *site) callRecords(ctx context.Context, args ...string) (list []cdr.Record, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	args = append([]string{"--config", s.config(), "calls"}, args...)
	out, err := exec.CommandContext(ctx, s.bin, args...).Output()
	if err != nil {
		return nil, fmt.Errorf("trunkline %s: %w", strings.Join(args, " "), err)
	}
	for line := range strings.Lines(string(out)) {
		var r cdr.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			return nil, fmt.Errorf("trunkline %s: %w in %q", strings.Join(args, " "), err, line)
		}
		list = append(list, r)
	}
	return list, nil
}

func (v *callVerdict) tell(kills int, recounted []string) error {
	if v.left > 0 {
		v.problems = append(v.problems, fmt.Sprintf("%d legs stood for their peers %s after a kill", v.left, orphanTime))
	}
	if v.forwarded == 0 || v.orphans == 0 {
		v.problems = append(v.problems, "no forwarded call stood at a kill: nothing is proven")
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KILLS\tCALLS\tLEGS ANSWERED\tOF THEM OUT\tRECORDS\tMISSING\tTWICE\tBILLED BEYOND\tORPHANS\tLEFT\tLONGEST UNBILLED")
	fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", kills, v.calls, v.answered, v.forwarded, v.records, v.missing, v.twice, v.beyond, v.orphans, v.left, short(v.gap))
	t.Flush()
	fmt.Printf("RESULT kills=%d calls=%d legs=%d missing=%d twice=%d beyond=%d orphans=%d orphans_left=%d runs_ok=%t recount_ok=%t\n",
		kills, v.calls, v.answered, v.missing, v.twice, v.beyond, v.orphans, v.left, v.inside == 0, len(recounted) == 0)
	return failure(append(v.problems, recounted...))
}
