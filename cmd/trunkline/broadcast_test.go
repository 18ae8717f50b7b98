package main

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"trunkline/gateway/httpapi"
	"trunkline/gateway/smpp/pdu"
)

// broadcast asks as `broadcast show --json` prints.
func (s *site) broadcast(id string) (b httpapi.Broadcast) {
	s.Helper()
	s.decode(s.must("broadcast", "show", id, "--json"), &b)
	return b
}

// phones are the phones behind a carrier: they take whatever comes.
type phones struct {
	mu    sync.Mutex
	heard map[string][]string // texts by number
}

// listen binds the carrier to a daemon, until that ends.
func (p *phones) listen(t *testing.T, address string) {
	t.Helper()
	l := bindTo(t, address, "demo", "demo")
	go func() {
		for f := range l.frames {
			m := new(pdu.SM)
			switch {
			case f.ID == pdu.IDEnquireLink:
				l.write(f.Response(pdu.ESME_ROK), nil)
			case f.ID == pdu.IDDeliverSM && m.Decode(f.raw) == nil:
				p.mu.Lock()
				p.heard[string(m.Dest.Addr)] = append(p.heard[string(m.Dest.Addr)], string(m.ShortMessage))
				p.mu.Unlock()
				l.write(f.Response(pdu.ESME_ROK), new(pdu.SMResp))
			}
		}
	}()
}

// testing two texts, on a fifth of the audience each.
const abTest = `flow: test
entries: [{id: all, type: audience, condition: {tag: customer}, next: ab}]
elements:
  ab: {type: split_audience, branches: [{share: 20, next: a}, {share: 20, next: b}, {share: 60, next: rest}]}
  a: {type: send_sms, from: "38591000001", text: "Text A", on: {sent: done}}
  b: {type: send_sms, from: "38591000001", text: "Text B", on: {sent: done}}
  rest: {type: add_tag, tag: notReceived}
  done: {type: exit}
goals: [{id: bought, event: Bought}]
`

// B1: the story. Two texts are tried on a fifth of the customers each, the others
// are tagged notReceived; the better text then goes to that tag as a broadcast,
// and everybody has got one message. The daemon is killed in the midst of it.
func TestBroadcastToTheRest(t *testing.T) {
	t.Parallel()
	const n = 50
	files := maps.Clone(small)
	files["trunkline.yaml"] = strings.Replace(files["trunkline.yaml"], "data: data", "data: data\nstorage: {reserve_mib: 16}\ntariffs: [prices.csv]", 1)
	files["prices.csv"] = tariffHeader + "sms,outbound,385,EUR,0.07,,,,2020-01-01\n"
	files["winner.yaml"] = "broadcast: winner\nname: The better text\nrecipients: {tags: notReceived}\nexclude_tag: unhappy\nmessage: {type: send_sms, from: \"38591000001\", text: \"Text B\"}\n"
	s := newSite(t, files)
	g := s.start()
	p := &phones{heard: map[string][]string{}}
	p.listen(t, g.smpp)
	for i := range n {
		s.must("person", "set", fmt.Sprintf("38591%07d", i), "--tag", "customer", "--create")
	}
	s.write("flows/test.yaml", abTest)
	s.must("reload")
	eventually(t, "everybody has gone through the test", func() bool { return s.flow("test").Entered == n && s.flow("test").Inside == 0 })
	tested := int(s.flow("test").element("a").Sent + s.flow("test").element("b").Sent)
	if tested == 0 || tested == n {
		t.Fatalf("%d of %d were in the test", tested, n)
	}
	out := s.must("broadcast", "create", s.path("winner.yaml"), "--draft")
	if want := fmt.Sprintf("broadcast winner: %d recipients, %d messages in %d parts, cost ", n-tested, n-tested, n-tested); !strings.HasPrefix(out, want) || !strings.Contains(out, " EUR\n") {
		t.Errorf("the estimate is %q, not %q", out, want)
	}
	if b := s.broadcast("winner"); b.State != "draft" || b.Creator == "user:" || b.Entered != 0 {
		t.Errorf("the draft: %+v", b)
	}
	s.must("broadcast", "start", "winner")
	g.signal(syscall.SIGKILL)
	g.wait(s)
	g = s.start()
	p.listen(t, g.smpp)
	eventually(t, "the broadcast is finished", func() bool { return s.broadcast("winner").State == "finished" })
	b := s.broadcast("winner")
	if b.Entered != uint64(n-tested) || b.Inside != 0 || b.Sent != uint64(n-tested) || b.Recipients != uint64(n-tested) {
		t.Errorf("the broadcast: %+v", b)
	}
	if b.Cost.UnknownUnits != 0 || len(b.Cost.Amounts) != 1 {
		t.Errorf("its cost: %s", b.Cost)
	}
	if report := s.must("broadcast", "report", "winner", "--csv"); !strings.Contains(report, "element,broadcast/winner,") {
		t.Errorf("its report:\n%s", report)
	}
	if follow := s.must("broadcast", "show", "winner", "--follow"); !strings.Contains(follow, "it is finished") {
		t.Errorf("its progress:\n%s", follow)
	}
	if list := s.must("broadcast", "list"); !strings.Contains(list, "winner") || !strings.Contains(list, "finished") {
		t.Errorf("the list:\n%s", list)
	}
	s.refused([]string{"there is a broadcast \"winner\" already"}, "broadcast", "create", s.path("winner.yaml"))
	s.refused([]string{"is finished"}, "broadcast", "start", "winner")
	g.stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for phone, texts := range p.heard { // what the kill left in doubt is not sent again (rule X2)
		if len(texts) != 1 {
			t.Errorf("%s got %q", phone, texts)
		}
	}
}

// Options make a broadcast too, of lists of any length; whoever is named twice
// gets it once. Without --yes somebody is asked first.
func TestBroadcastByOptions(t *testing.T) {
	t.Parallel()
	files := maps.Clone(small)
	files["trunkline.yaml"] = strings.Replace(files["trunkline.yaml"], "data: data", "data: data\nstorage: {reserve_mib: 16}", 1)
	files["numbers.txt"] = "# customers\n385911000001\n\n+385 91 1000 002\n385911000001\n"
	files["wrong.txt"] = "385911000001\nAna\n"
	s := newSite(t, files)
	g := s.start()
	p := &phones{heard: map[string][]string{}}
	p.listen(t, g.smpp)
	s.must("person", "set", "385911000003", "--tag", "vip", "--create")
	s.must("person", "set", "385911000004", "--tag", "vip,served", "--create")
	out := s.must("broadcast", "create", "--id", "sale", "--list", s.path("numbers.txt"), "--tag", "vip", "--exclude-tag", "served", "--from", "38591000001", "--text", "Sale!", "--yes")
	if !strings.Contains(out, "broadcast sale: 3 recipients, 3 messages in 3 parts, cost unknown for 3 parts") {
		t.Errorf("it says %q", out)
	}
	eventually(t, "it is finished", func() bool { return s.broadcast("sale").State == "finished" })
	p.mu.Lock()
	if got, want := fmt.Sprint(p.heard), "map[385911000001:[Sale!] 385911000002:[Sale!] 385911000003:[Sale!]]"; got != want {
		t.Errorf("heard %s", got)
	}
	p.mu.Unlock()

	c := s.try("broadcast", "create", "--id", "asked", "--all", "--from", "38591000001", "--text", "Hi") // nobody answers
	if c.code != 1 || !strings.Contains(c.out, "Start it? [y/N]") || !strings.Contains(c.out, "broadcast start asked") || s.broadcast("asked").State != "draft" {
		t.Errorf("%d %q %q", c.code, c.out, c.errs)
	}
	s.must("broadcast", "cancel", "asked")
	s.refused([]string{`wrong.txt:2:1: "Ana" is neither`}, "broadcast", "create", "--list", s.path("wrong.txt"), "--text", "Hi", "--from", "38591000001")
	s.refused([]string{"nobody would get it"}, "broadcast", "create", "--text", "Hi", "--from", "38591000001")
	s.refused([]string{"give a file"}, "broadcast", "create")
	s.refused([]string{"there is no broadcast"}, "broadcast", "show", "none")
	g.stop()
}

// Who has made a broadcast on the command line can't approve it there: somebody
// with a key does; and broadcasts.approval makes that hold for all.
func TestBroadcastIsApproved(t *testing.T) {
	t.Parallel()
	s, key := apiSite(t)
	s.edit("trunkline.yaml", "data: data", "data: data\nbroadcasts: {approval: required}")
	g := s.start()
	out := s.must("broadcast", "create", "--id", "sale", "--person", "385911000001", "--from", "38591000001", "--text", "Sale!", "--yes")
	if !regexp.MustCompile(`it waits until somebody other than user:\S+ approves it`).MatchString(out) {
		t.Errorf("it says %q", out)
	}
	s.refused([]string{"somebody else has to approve it"}, "broadcast", "approve", "sale")
	if status, answer := g.ask(key, "POST", "/v1/broadcasts/sale/approve", nil); status != 200 || answer["state"] != "running" {
		t.Errorf("%d %v", status, answer)
	}
	if b := s.broadcast("sale"); b.Approver != "key:test" {
		t.Errorf("approved by %q", b.Approver)
	}
	s.must("broadcast", "cancel", "sale")
	eventually(t, "it is over", func() bool { return s.broadcast("sale").Inside == 0 })
	g.stop()
}
