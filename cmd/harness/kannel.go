package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"trunkline/gateway/smpp/pdu"
)

// kannel is a running Kannel: bearerbox speaks SMPP and keeps the messages,
// smsbox answers keywords.
type kannel struct{ bearerbox, smsbox *process }

// installKannel sees to it that Kannel's programs are there.
func installKannel(ctx context.Context) error {
	if _, err := kannelProgram("bearerbox"); err == nil {
		return nil
	}
	if os.Getuid() != 0 {
		return errors.New("it is not installed (Debian package kannel), and only root may install it")
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	// The package would start its services: a policy-rc.d that says 101 forbids
	// it (invoke-rc.d(8)).
	const policy = "/usr/sbin/policy-rc.d"
	if _, err := os.Stat(policy); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(policy, []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil {
			return err
		}
		defer os.Remove(policy)
	}
	cmd := exec.CommandContext(ctx, "apt-get", "install", "-y", "--no-install-recommends", "kannel")
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("installing it: %w\n%s", err, out[max(0, len(out)-1000):])
	}
	_, err := kannelProgram("bearerbox")
	return err
}

// kannelRequests is how many requests smsbox makes at once: as many as round
// trips are under way at most, so that it never limits.
const kannelRequests = 4096

// kannelProgram finds a program that may not be in an ordinary user's path.
func kannelProgram(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/" + name)
}

// staticAnswer is the cheapest service that Kannel has: it makes the answer
// itself, and asks for no delivery report.
const staticAnswer = `text = "Size %r noted, %p"`

// startKannel starts Kannel in a folder of its own, with so many binds to the
// message centre and a service that answers the keyword. It is set up for speed:
// errors only in the log, no access log, windows that never limit, and the file
// store, which does not sync.
func startKannel(ctx context.Context, dir, smsc, service string, binds int) (*kannel, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	ports, err := freeAddresses(2)
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "kannel.conf")
	if err := os.WriteFile(conf, []byte(kannelConfig(dir, smsc, service, port(ports[0]), port(ports[1]), binds)), 0o600); err != nil {
		return nil, err
	}
	k := new(kannel)
	for _, b := range []struct {
		name string
		to   **process
	}{{"bearerbox", &k.bearerbox}, {"smsbox", &k.smsbox}} {
		path, err := kannelProgram(b.name)
		if err == nil {
			*b.to, err = start(dir, filepath.Join(dir, b.name+".out"), path, "-v", "4", conf)
		}
		if err == nil {
			err = sleep(ctx, time.Second) // smsbox gives up when bearerbox does not listen yet
		}
		if err == nil && !(*b.to).alive() {
			err = fmt.Errorf("%s ended: %s", b.name, (*b.to).output())
		}
		if err != nil {
			k.stop()
			return nil, err
		}
	}
	return k, nil
}

func kannelConfig(dir, smsc, service, admin, box string, binds int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `group = core
admin-interface = 127.0.0.1
admin-port = %s
admin-password = harness
smsbox-port = %s
box-allow-ip = 127.0.0.1
log-file = "%s/bearerbox.log"
log-level = 4
store-type = file
store-location = "%s/kannel.store"
dlr-storage = internal
sms-incoming-queue-limit = -1
sms-outgoing-queue-limit = 1000000

`, admin, box, dir, dir)
	host, smscPort, _ := strings.Cut(smsc, ":")
	for range binds { // of one name: a delivery report may come over another bind than its message went
		fmt.Fprintf(&b, `group = smsc
smsc = smpp
smsc-id = centre
host = %s
port = %s
transceiver-mode = true
smsc-username = %s
smsc-password = %s
system-type = ""
max-pending-submits = 5000
wait-ack = 600
enquire-link-interval = 30
reconnect-delay = 1

`, host, smscPort, smscID, smscPassword)
	}
	fmt.Fprintf(&b, `group = smsbox
bearerbox-host = 127.0.0.1
global-sender = %s
log-file = "%s/smsbox.log"
log-level = 4
max-pending-requests = %d

group = sms-service
keyword = size
%s
max-messages = 1
`, ourNumber, dir, kannelRequests, service)
	return b.String()
}

func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

// stop ends both programs.
func (k *kannel) stop() {
	for _, p := range []*process{k.smsbox, k.bearerbox} {
		if p != nil {
			_ = p.stop(20 * time.Second)
		}
	}
}

// usage is that of both programs.
func (k *kannel) usage() usage {
	a, b := k.bearerbox.usage(), k.smsbox.usage()
	return usage{a.cpu + b.cpu, a.rss + b.rss, a.anon + b.anon, a.top + b.top}
}

// deliverOver makes a message centre send keywords as deliver_sm to who binds.
// The senders are of unknown type: of an international one Kannel's %p says
// "%2B385…".
func deliverOver(window int) func(*link) {
	return func(l *link) { newLine(l, pdu.IDDeliverSM, window).sm.Source.TON = pdu.TONUnknown }
}
