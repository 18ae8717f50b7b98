package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// installPackages sees to it that programs of Debian packages are there. Their
// services are not started.
func installPackages(ctx context.Context, programs map[string]string) error {
	var missing []string
	for program, pkg := range programs {
		if _, err := kannelProgram(program); err != nil {
			missing = append(missing, pkg)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if os.Getuid() != 0 {
		return fmt.Errorf("not installed: %s (Debian packages), and only root may install them", strings.Join(missing, ", "))
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	const policy = "/usr/sbin/policy-rc.d" // 101 forbids to start services, invoke-rc.d(8)
	if _, err := os.Stat(policy); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(policy, []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil { //nolint:gosec // it has to be run
			return err
		}
		defer os.Remove(policy)
	}
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"install", "-y", "--no-install-recommends"}, missing...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("installing %s: %w\n%s", strings.Join(missing, ", "), err, out[max(0, len(out)-1000):])
	}
	return nil
}

// callerScenario is a call that is hung up at once: INVITE, 200, ACK, BYE. A 503 is
// an answer too, counted apart.
const callerScenario = `<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="call">
  <send retrans="500" start_rtd="1"><![CDATA[
INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:[field0]@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:caller@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=caller 53655765 2353687637 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[local_ip_type] [local_ip]
t=0 0
m=audio [field1] RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
]]></send>
  <recv response="100" optional="true"/>
  <recv response="503" optional="true" next="refused" counter="1"/>
  <recv response="180" optional="true" rtd="1"/>
  <recv response="200" rtd="2"/>
  <send><![CDATA[
ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:[field0]@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
  <send retrans="500"><![CDATA[
BYE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:[field0]@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 2 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
  <recv response="200" next="end"/>
  <label id="refused"/>
  <send><![CDATA[
ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0
[last_Via:]
From: <sip:[field0]@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
  <label id="end"/>
</scenario>
`

// sippRun is what a load of sipp came to.
type sippRun struct {
	asked          int // calls per second
	rate           float64
	calls, failed  int
	refused        int
	retransmitted  int
	served         []float64 // calls per second that were answered, second by second
	post50, post99 time.Duration
	log            string
}

// clean says that nothing failed, was refused, or had to be sent more than once in
// a hundred calls, and that the load was as high as asked.
func (r *sippRun) clean() bool {
	return r.failed == 0 && r.refused == 0 && r.calls > 0 && 100*r.retransmitted < r.calls && r.rate > 0.93*float64(r.asked)
}

// sipp makes calls to an address at a rate for a time, and waits for their end.
func (b *voiceBench) sipp(ctx context.Context, to string, rate int, d time.Duration) (*sippRun, error) {
	b.runs++
	dir := filepath.Join(b.dir, fmt.Sprintf("sipp-%d", b.runs))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	own, err := freeUDP()
	if err != nil {
		return nil, err
	}
	// Callers take turns: the same one is not in two calls at once. Nobody speaks on
	// these calls; port 9 discards what is played.
	callers := "SEQUENTIAL,PRINTF=30000\n+38592%07d;9\n"
	for name, text := range map[string]string{"call.xml": callerScenario, "callers.csv": callers} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	const grace = 6 * time.Second // for calls to come to their end
	calls := int(float64(rate) * d.Seconds())
	host, port, _ := strings.Cut(own, ":")
	args := []string{
		to, "-sf", "call.xml", "-inf", "callers.csv", "-s", voiceNumber, "-i", host, "-p", port, "-r", strconv.Itoa(rate), "-m", strconv.Itoa(calls), "-l", "200000",
		"-trace_stat", "-stf", "stat.csv", "-fd", "1", "-trace_rtt", "-rtt_freq", "1000", "-nostdin", "-nd", "-timer_resol", "1", "-buff_size", "4000000",
		"-timeout", fmt.Sprintf("%ds", int((d + grace).Seconds())), "-watchdog_minor_maxtriggers", "100000", "-watchdog_major_maxtriggers", "1000",
	}
	p, err := start(dir, filepath.Join(dir, "out.log"), "sipp", args...)
	if err != nil {
		return nil, err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.kill()
		return nil, ctx.Err()
	case <-time.After(d + grace + 10*time.Second):
		p.kill()
	}
	r := &sippRun{asked: rate, log: p.log}
	if err := r.read(dir); err != nil {
		return nil, fmt.Errorf("sipp: %w\n%s", err, p.output())
	}
	return r, nil
}

// read takes the statistics that sipp has left.
func (r *sippRun) read(dir string) error {
	f, err := os.Open(filepath.Join(dir, "stat.csv"))
	if err != nil {
		return err
	}
	defer f.Close()
	c := csv.NewReader(f)
	c.Comma, c.FieldsPerRecord, c.LazyQuotes = ';', -1, true
	rows, err := c.ReadAll()
	if err != nil || len(rows) < 2 {
		return errors.Join(errors.New("it has left no statistics"), err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	value := func(row []string, name string) int {
		i, ok := column[name]
		if !ok || i >= len(row) {
			return 0
		}
		n, _ := strconv.Atoi(row[i])
		return n
	}
	last := rows[len(rows)-1]
	r.calls, r.failed, r.refused = value(last, "TotalCallCreated"), value(last, "FailedCall(C)"), value(last, "GenericCounter1(C)")
	r.failed += r.calls - value(last, "SuccessfulCall(C)") - r.failed // those that were under way at the end
	r.retransmitted = value(last, "Retransmissions(C)")
	for i, row := range rows[1:] {
		if i == 0 {
			continue // the first line is of the moment of the start
		}
		r.served = append(r.served, float64(value(row, "SuccessfulCall(P)")-value(row, "GenericCounter1(P)")))
	}
	if took := clock(last[column["ElapsedTime(C)"]]); took > 0 {
		r.rate = float64(r.calls) / took.Seconds()
	}
	return r.delays(dir)
}

// clock reads sipp's hours:minutes:seconds:microseconds, or with the last left out.
func clock(text string) time.Duration {
	var d time.Duration
	units := []time.Duration{time.Hour, time.Minute, time.Second, time.Microsecond}
	for i, part := range strings.Split(text, ":") {
		n, err := strconv.ParseFloat(part, 64)
		if err != nil || i >= len(units) {
			return 0
		}
		d += time.Duration(n * float64(units[i]))
	}
	return d
}

// delays reads the times from INVITE to 180.
func (r *sippRun) delays(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "call_*_rtt.csv"))
	if err != nil || len(names) == 0 {
		return err
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		return err
	}
	var all []float64
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), ";")
		if len(f) < 3 || f[2] != "1" {
			continue
		}
		if ms, err := strconv.ParseFloat(f[1], 64); err == nil {
			all = append(all, ms)
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	at := func(q float64) time.Duration {
		return time.Duration(all[min(len(all)-1, int(q*float64(len(all))))] * float64(time.Millisecond))
	}
	r.post50, r.post99 = at(0.50), at(0.99)
	return nil
}

// uas is somebody who answers calls.
type uas struct {
	name    string
	address string
	process *process
}

// startSippUAS starts the scenario that sipp has built in for answering.
func (b *voiceBench) startSippUAS() (*uas, error) {
	address, err := freeUDP()
	if err != nil {
		return nil, err
	}
	host, port, _ := strings.Cut(address, ":")
	p, err := start(b.dir, filepath.Join(b.dir, "sipp-uas.log"), "sipp", "-sn", "uas", "-i", host, "-p", port, "-nostdin", "-nd", "-timer_resol", "1", "-buff_size", "4000000",
		"-watchdog_minor_maxtriggers", "100000", "-watchdog_major_maxtriggers", "1000")
	if err != nil {
		return nil, err
	}
	return &uas{"sipp", address, p}, nil
}

// kamailioConfig answers calls statefully and keeps no record of them.
const kamailioConfig = `#!KAMAILIO
debug=0
log_stderror=yes
fork=yes
children=%[2]d
listen=udp:%[1]s
disable_tcp=yes
auto_aliases=no
dns=no
rev_dns=no
pv_buffer_size=4096
maxbuffer=4194304
loadmodule "pv.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "textops.so"
loadmodule "textopsx.so"
request_route {
	if (is_method("INVITE")) {
		t_newtran();
		t_reply("180", "Ringing");
		append_to_reply("Contact: <sip:kamailio@%[1]s>\r\nContent-Type: application/sdp\r\n");
		set_reply_body("v=0\r\no=k 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8\r\n", "application/sdp");
		t_reply("200", "OK");
		exit;
	}
	if (is_method("ACK")) { exit; }
	if (is_method("BYE")) {
		t_newtran();
		t_reply("200", "OK");
		exit;
	}
	sl_send_reply("405", "Method Not Allowed");
}
`

func (b *voiceBench) startKamailio(ctx context.Context) (*uas, error) {
	program, err := kannelProgram("kamailio")
	if err != nil {
		return nil, err
	}
	address, err := freeUDP()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, "kamailio")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "kamailio.cfg")
	if err := os.WriteFile(conf, fmt.Appendf(nil, kamailioConfig, address, 2), 0o600); err != nil {
		return nil, err
	}
	p, err := start(dir, filepath.Join(dir, "kamailio.log"), program, "-DD", "-E", "-m", "512", "-M", "32", "-f", conf, "-P", filepath.Join(dir, "kamailio.pid"), "-Y", dir)
	if err != nil {
		return nil, err
	}
	if err := sleep(ctx, 2*time.Second); err != nil {
		p.kill()
		return nil, err
	}
	if !p.alive() {
		return nil, errors.New("kamailio ended: " + p.output())
	}
	return &uas{"kamailio", address, p}, nil
}
