package host

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"trunkline/ivr"
)

// badNetwork says to the test's own child that it is in a network namespace of its own.
const badNetwork = "TRUNKLINE_TEST_BAD_NETWORK"

// A call over a network that loses three packets of a hundred and delays the others by 30
// to 50 ms, in its own namespace: every key arrives once, the talk comes about and
// ends on both sides, and the records know of the loss.
func TestOverABadNetwork(t *testing.T) {
	if os.Getenv(badNetwork) == "" {
		inNamespace(t)
		return
	}
	w := newWorld(t, Forwarding{},
		ivr.Task{Kind: ivr.KindCollect, Collect: &ivr.Collect{Min: 4, Max: 4, First: 30 * time.Second, Between: 30 * time.Second}},
		forwardTo("385922"))
	l := w.phone.dial("38591000003")
	get(t, "the answer", l.answered)
	if err := l.session.SendDigits("4217", 0); err != nil {
		t.Fatal(err)
	}
	if o := get(t, "the digits", w.core.outcomes); o.Digits != "4217" {
		t.Errorf("%+v", o)
	}
	b := get(t, "the call at the other phone", w.phone.legs)
	b.Answer(b.local())
	get(t, "the talk", b.answered)
	time.Sleep(5 * time.Second) // some 250 packets each way
	l.Hangup(0)
	get(t, "the end of the caller's leg", l.over)
	get(t, "the end of the other leg", b.over)
	lost := 0.0
	for range 2 {
		r := get(t, "a record", w.core.records)
		lost += r.Quality.Lost
		if r.Answered.IsZero() || r.Quality.MOS < 2 && w.onTime() {
			t.Errorf("%+v", r)
		}
	}
	if lost == 0 && os.Getenv(badNetwork) == "netem" {
		t.Error("no record knows of a loss")
	}
}

// inNamespace runs the test once more, in a network namespace whose loopback is bad.
func inNamespace(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: network namespaces need root")
	}
	for _, name := range []string{"unshare", "ip", "tc"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("SKIPPED: %s is not installed (packages util-linux, iproute2)", name)
		}
	}
	const netem = "ip link set lo up && tc qdisc add dev lo root netem loss 3% delay 40ms 10ms"
	if out, err := exec.Command("unshare", "--net", "sh", "-c", netem).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: the kernel has no netem, or no namespaces: %s", out)
	}
	cmd := exec.Command("unshare", "--net", "sh", "-c", netem+` && exec "$0" -test.run '^TestOverABadNetwork$' -test.v`, os.Args[0])
	cmd.Env = append(os.Environ(), badNetwork+"=netem")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
