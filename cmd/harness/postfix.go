package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// postfixFigures are mails per second.
type postfixFigures struct {
	in, out     float64
	connections int
}

// postfix measures Postfix at mail that comes in, which it queues durably and holds, and
// at mail that it relays to smtp-sink. It has a folder, queue and configuration of
// its own; the one of the machine is neither read nor started.
func (b *mailBench) postfix(ctx context.Context, f *mailFigures) ([]string, error) {
	err := errors.New("its master runs as root only")
	if os.Getuid() == 0 {
		err = b.measurePostfix(ctx, &f.postfix)
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintf(os.Stderr, "\n*** NO COMPARISON WITH POSTFIX: %v ***\n\n", err)
	}
	return nil, ctx.Err()
}

func (b *mailBench) measurePostfix(ctx context.Context, f *postfixFigures) error {
	in, err := startPostfix(ctx, filepath.Join(b.dir, "postfix-in"), "smtpd_client_restrictions = static:HOLD\n")
	if err != nil {
		return err
	}
	l := &mailLoad{address: in.address, size: mailSize}
	if f.connections, err = l.best(ctx, "postfix"); err == nil {
		f.in, err = l.rate(ctx, f.connections, b.warm, b.duration)
	}
	in.end()
	if err != nil {
		return err
	}
	s, err := startSink(b.dir, "postfix-sink")
	if err != nil {
		return err
	}
	defer s.kill()
	host, port, _ := strings.Cut(s.address, ":")
	out, err := startPostfix(ctx, filepath.Join(b.dir, "postfix-out"), fmt.Sprintf("relayhost = [%s]:%s\nsmtp_destination_concurrency_limit = 100\ninitial_destination_concurrency = 32\n", host, port))
	if err != nil {
		return err
	}
	defer out.end()
	f.out, err = b.relayed(ctx, out, s, f.connections)
	return err
}

// relayed is how many mails per second come out at the sink, from the first that goes in
// to the last that comes out.
func (b *mailBench) relayed(ctx context.Context, p *postfix, s *sink, connections int) (float64, error) {
	l := &mailLoad{address: p.address, size: mailSize}
	began := time.Now()
	if _, err := l.rate(ctx, connections, 0, b.duration); err != nil {
		return 0, err
	}
	want := int(l.accepted.Load())
	err := until(ctx, 4*b.duration+patience, func() bool { return s.taken() >= want })
	took, got := time.Since(began), s.taken()
	if err != nil && got == 0 {
		return 0, fmt.Errorf("Postfix relayed nothing: %w", err)
	}
	return float64(got) / took.Seconds(), ctx.Err()
}

// postfix is a running Postfix.
type postfix struct {
	*process
	address string
}

// postfixServices are those of master.cf that reception and relaying need.
const postfixServices = `cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
`

// startPostfix starts an instance in a folder, set up for speed: no names are looked
// up, nothing is logged, and enough processes for every connection.
func startPostfix(ctx context.Context, dir, more string) (*postfix, error) {
	master, err := postfixProgram("master")
	if err != nil {
		return nil, err
	}
	ports, err := freeAddresses(1)
	if err != nil {
		return nil, err
	}
	files := map[string]string{
		"etc/main.cf": fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
command_directory = /usr/sbin
daemon_directory = %[2]s
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.com
mydestination =
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
smtpd_tls_security_level = none
smtp_tls_security_level = none
smtpd_client_connection_count_limit = 0
disable_dns_lookups = yes
default_process_limit = 700
in_flow_delay = 0
syslog_name = harness
%[3]s`, dir, filepath.Dir(master), more),
		"etc/master.cf": ports[0] + " inet n - n - - smtpd\n" + postfixServices,
	}
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { //nolint:gosec // Postfix's own user reads it
			return nil, err
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil { //nolint:gosec // likewise
			return nil, err
		}
	}
	if err := postfixFolders(dir); err != nil {
		return nil, err
	}
	p, err := start(dir, filepath.Join(dir, "postfix.log"), master, "-c", filepath.Join(dir, "etc"), "-d")
	if err != nil {
		return nil, err
	}
	if err := listening(p, ports[0]); err != nil {
		_ = p.stop(patience)
		return nil, err
	}
	return &postfix{p, ports[0]}, sleep(ctx, 500*time.Millisecond)
}

// postfixFolders makes those of a queue, which belong to Postfix's user (postfix-files(5)).
func postfixFolders(dir string) error {
	owner, err := user.Lookup("postfix")
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(owner.Uid)
	if err != nil {
		return err
	}
	queue := filepath.Join(dir, "queue")
	for _, name := range []string{"", "pid"} {
		if err := os.MkdirAll(filepath.Join(queue, name), 0o755); err != nil { //nolint:gosec // Postfix's own user gets in
			return err
		}
	}
	for _, name := range []string{"active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace", "maildrop", "public", "../data"} {
		name = filepath.Join(queue, name)
		if err := os.MkdirAll(name, 0o700); err != nil {
			return err
		}
		if err := os.Chown(name, uid, -1); err != nil {
			return err
		}
	}
	return nil
}

// end ends the instance; its processes end with their master.
func (p *postfix) end() {
	_ = p.stop(patience)
}
