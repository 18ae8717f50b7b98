package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// torturing sends the messages of RFC 4475 to the daemon and holds the answers
// against what the RFC asks for.
type torturing struct {
	*options
	messages string
}

func torture(o *options) runner {
	r := &torturing{options: o}
	o.flags.StringVar(&r.messages, "messages", "", "folder with the folders valid and invalid; default: those of the module emiago/sipgo")
	return r.run
}

// served are the answers to an INVITE that was understood: whatever becomes of
// the call, its form was not refused.
var served = []int{200, 404, 480}

// tortureCodes are the right answers; none means that there must not be one (a
// response). The daemon is no registrar, so a sound REGISTER gets 405.
var tortureCodes = map[string][]int{
	"valid/dblreq": {405}, "valid/esc01": served, "valid/esc02": {501}, "valid/escnull": {405}, "valid/intmeth": {501}, "valid/longreq": served,
	"valid/lwsdisp": {200}, "valid/mpart01": {405}, "valid/noreason": nil, "valid/semiuri": {200}, "valid/transports": {200}, "valid/unreason": nil,
	"valid/wsinv": {481}, // its To tag names a call that is not

	"invalid/badaspec": {400}, "invalid/badbranch": {400}, "invalid/baddate": {400}, "invalid/baddn": {400}, "invalid/badinv01": {400},
	"invalid/badvers": {505}, "invalid/bcast": nil, "invalid/bext01": {420}, "invalid/bigcode": nil, "invalid/clerr": {400}, "invalid/cparam01": {405},
	"invalid/cparam02": {405}, "invalid/escruri": {400}, "invalid/insuf": {400}, "invalid/inv2543": served, "invalid/invut": {415},
	"invalid/ltgtruri": {400}, "invalid/lwsruri": {400}, "invalid/lwsstart": {400}, "invalid/mcl01": {400}, "invalid/mismatch01": {400},
	"invalid/mismatch02": {400, 501}, "invalid/multi01": {400}, "invalid/ncl": {400}, "invalid/novelsc": {416}, "invalid/quotbal": {400},
	"invalid/regaut01": {405}, "invalid/regbadct": {400}, "invalid/regescrt": {405}, "invalid/scalar02": {400}, "invalid/scalarlg": nil,
	"invalid/sdp01": {406}, "invalid/test": {400}, "invalid/trws": {400}, "invalid/unkscm": {416}, "invalid/unksm2": {400}, "invalid/zeromf": {483},
}

const tortureOwn = "sip: {listen: [{address: \"%s\"}]}\n"

func (t *torturing) run(ctx context.Context) error {
	files, err := t.files()
	if err != nil {
		return err
	}
	site, err := newSite(t.options, "", 0)
	if err != nil {
		return err
	}
	sip, err := site.addTrunk()
	if err != nil {
		return err
	}
	p, _, err := site.startReady(ctx)
	if err != nil {
		return err
	}
	defer p.kill()
	var problems []string
	good, total := map[string]int{}, map[string]int{}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MESSAGE\tANSWER\tRIGHT")
	for _, name := range slices.Sorted(maps.Keys(files)) {
		kind, _, _ := strings.Cut(name, "/")
		total[kind]++
		want, known := tortureCodes[name]
		got, err := answerTo(ctx, sip, files[name], len(want) > 0)
		right := err == nil && known && (got == 0 && len(want) == 0 || slices.Contains(want, got))
		if right {
			good[kind]++
		} else {
			problems = append(problems, fmt.Sprintf("%s was answered with %d, want %v (%v)", name, got, want, err))
		}
		fmt.Fprintf(w, "%s\t%d\t%v\n", name, got, right)
	}
	w.Flush()
	panics, err := site.metric(ctx, "trunkline_sip_panics_total")
	if err != nil || panics > 0 || !p.alive() {
		problems = append(problems, fmt.Sprintf("%d panics, alive: %v (%v)", panics, p.alive(), err))
	}
	fmt.Printf("RESULT valid_ok=%d valid_total=%d invalid_ok=%d invalid_total=%d panics=%d\n", good["valid"], total["valid"], good["invalid"], total["invalid"], panics)
	return failure(problems)
}

// files reads the messages.
func (t *torturing) files() (map[string][]byte, error) {
	if t.messages == "" {
		dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/emiago/sipgo").Output()
		if err != nil || len(dir) < 2 {
			return nil, errors.New("the messages of the module github.com/emiago/sipgo are not here: run `go mod download github.com/emiago/sipgo`, or name a folder with --messages")
		}
		t.messages = filepath.Join(strings.TrimSpace(string(dir)), "sip", "testdata", "torture")
	}
	files := map[string][]byte{}
	for _, kind := range []string{"valid", "invalid"} {
		list, err := filepath.Glob(filepath.Join(t.messages, kind, "*.dat"))
		if err != nil {
			return nil, err
		}
		for _, name := range list {
			if files[kind+"/"+strings.TrimSuffix(filepath.Base(name), ".dat")], err = os.ReadFile(name); err != nil {
				return nil, err
			}
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s has no messages valid/*.dat and invalid/*.dat", t.messages)
	}
	return files, nil
}

// addTrunk lets the loopback call, and returns where.
func (s *site) addTrunk() (address string, err error) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	address = c.LocalAddr().String()
	c.Close()
	main, err := os.ReadFile(s.config())
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(s.config(), append(main, fmt.Sprintf(tortureOwn, address)...), 0o600); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(s.dir, "trunks"), 0o700); err != nil {
		return "", err
	}
	return address, os.WriteFile(filepath.Join(s.dir, "trunks", "local.yaml"), []byte("trunk: local\nfrom: [127.0.0.0/8]\n"), 0o600)
}

// answerTo sends a datagram and returns the final status that comes back, 0 when
// none does. Each message has a socket of its own, so answers do not mix.
func answerTo(ctx context.Context, address string, data []byte, wanted bool) (int, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if _, err := conn.Write(data); err != nil {
		return 0, err
	}
	wait := 300 * time.Millisecond
	if wanted {
		wait = 10 * time.Second
	}
	_ = conn.SetReadDeadline(time.Now().Add(wait))
	buf := make([]byte, 1<<16)
	for {
		n, err := conn.Read(buf)
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			return 0, nil
		case err != nil:
			return 0, err
		}
		fields := strings.Fields(string(buf[:n]))
		if len(fields) < 2 {
			return 0, fmt.Errorf("not a response: %.80q", buf[:n])
		}
		if code, err := strconv.Atoi(fields[1]); err != nil || code >= 200 {
			return code, err
		}
	}
}

// metric reads a counter without labels.
func (s *site) metric(ctx context.Context, name string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	m := regexp.MustCompile(`(?m)^` + name + ` (\d+)`).FindSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("there is no metric %s", name)
	}
	return strconv.Atoi(string(m[1]))
}
