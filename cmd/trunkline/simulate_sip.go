package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
	"github.com/pion/sdp/v3"
	"github.com/spf13/cobra"
)

// callerOptions are what simulate sip is told.
type callerOptions struct {
	address, from, to string
	user, password    string
	digits, record    string
	wait, lasts       time.Duration
}

// newSimulateSIP is a phone on top of a library that shares no code with the
// gateway's own stack.
func newSimulateSIP() *cobra.Command {
	var o callerOptions
	c := &cobra.Command{
		Use:   "sip",
		Short: "Call like a phone behind a SIP trunk, and tell what is heard",
		Long: `Call like a phone behind a SIP trunk, and tell what is heard.

The call goes over UDP with PCMU. Digits are pressed one after the other once it is
answered (RFC 4733); a comma is a pause of a second. It ends when the gateway hangs
up, after --for, or with Ctrl-C.`,
		Example: `  trunkline simulate sip --to 38591000003
  trunkline simulate sip --to 38591000003 --digits ,,1,42# --record heard.wav`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s := os.Getenv("TRUNKLINE_SIP_PASSWORD"); s != "" {
				o.password = s
			}
			sip.SetDefaultLogger(slog.New(slog.DiscardHandler))
			return o.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&o.address, "address", "127.0.0.1:5070", "the gateway's SIP listener")
	f.StringVar(&o.from, "from", "385911234567", "the phone's own number")
	f.StringVar(&o.to, "to", "38591000003", "the number that is called")
	f.StringVar(&o.user, "user", "", "name for digest authentication")
	f.StringVar(&o.password, "password", "", "password for it; better in TRUNKLINE_SIP_PASSWORD")
	f.StringVar(&o.digits, "digits", "", "keys to press: 0–9 * # A–D, and commas for pauses")
	f.StringVar(&o.record, "record", "", "write what is heard to this WAV file")
	f.DurationVar(&o.wait, "wait", 30*time.Second, "how long it may ring")
	f.DurationVar(&o.lasts, "for", 15*time.Second, "how long the call lasts at most once it is answered")
	return c
}

func (o *callerOptions) run(ctx context.Context, out io.Writer) (err error) {
	if bad := strings.Trim(strings.ToUpper(o.digits), "0123456789*#ABCD,"); bad != "" {
		return fmt.Errorf("--digits: %q is no key of a phone; there are 0–9, *, #, A–D, and the comma for a pause", bad)
	}
	host, port, err := net.SplitHostPort(o.address)
	if err != nil {
		return fmt.Errorf("--address: %w; it is host:port, as in 127.0.0.1:5070", err)
	}
	portNumber, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("--address: %q is no port", port)
	}
	local, err := localAddress(ctx, o.address)
	if err != nil {
		return err
	}
	ear, err := newEar(local, o.record)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ear.close()) }()
	phone, err := newSIPPhone(local, o.from)
	if err != nil {
		return err
	}
	defer phone.close()

	began := time.Now()
	said := func(format string, args ...any) {
		fmt.Fprintf(out, "%6.2fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	said("calling %s at %s", o.to, o.address)
	ringing, stop := context.WithTimeout(ctx, o.wait)
	defer stop()
	offer, err := ear.offer()
	if err != nil {
		return err
	}
	call, err := phone.dialogs.Invite(ringing, sip.Uri{User: o.to, Host: host, Port: portNumber}, offer, sip.NewHeader("Content-Type", "application/sdp"))
	if err != nil {
		return fmt.Errorf("calling %s at %s: %w", o.to, o.address, err)
	}
	defer func() { _ = call.Close() }()
	err = call.WaitAnswer(ringing, sipgo.AnswerOptions{Username: o.user, Password: o.password, OnResponse: func(r *sip.Response) error {
		said("%d %s", r.StatusCode, r.Reason)
		return nil
	}})
	var refused *sipgo.ErrDialogResponse
	switch {
	case errors.As(err, &refused):
		return fmt.Errorf("%s was refused with %d %s", o.to, refused.Res.StatusCode, refused.Res.Reason)
	case err != nil:
		return fmt.Errorf("%s was not answered within %s: %w", o.to, o.wait, err)
	}
	if err := call.Ack(ctx); err != nil {
		return fmt.Errorf("acknowledging the answer: %w", err)
	}
	var answer sdp.SessionDescription
	if err := answer.Unmarshal(call.InviteResponse.Body()); err != nil {
		return fmt.Errorf("the answer's description can't be read: %w", err)
	}
	if err := ear.agree(&answer); err != nil {
		return err
	}
	lasts, end := context.WithTimeout(call.Context(), o.lasts)
	defer end()
	pressed := ear.run(lasts, strings.ToUpper(o.digits))
	for {
		select {
		case d := <-pressed:
			said("pressed %c", d)
			continue
		case <-ctx.Done():
		case <-lasts.Done():
		}
		break
	}
	if call.Context().Err() != nil {
		said("the gateway hung up")
	} else {
		bye, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer stop()
		if err := call.Bye(bye); err != nil {
			return fmt.Errorf("hanging up: %w", err)
		}
		said("hung up")
	}
	ear.wait()
	said("%s", ear.summary())
	return nil
}

// localAddress is the address of this machine from which the gateway is reached.
func localAddress(ctx context.Context, gateway string) (net.IP, error) {
	c, err := new(net.Dialer).DialContext(ctx, "udp", gateway)
	if err != nil {
		return nil, fmt.Errorf("--address: %w", err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).IP, nil
}

// sipPhone is a user agent. It hears requests on the socket from which it calls.
type sipPhone struct {
	agent   *sipgo.UserAgent
	dialogs *sipgo.DialogClientCache
}

func newSIPPhone(local net.IP, number string) (*sipPhone, error) {
	quiet := slog.New(slog.DiscardHandler)
	agent, err := sipgo.NewUA(sipgo.WithUserAgent(number), sipgo.WithUserAgentHostname(local.String()))
	if err != nil {
		return nil, err
	}
	server, err := sipgo.NewServer(agent, sipgo.WithServerLogger(quiet))
	if err != nil {
		return nil, errors.Join(err, agent.Close())
	}
	client, err := sipgo.NewClient(agent, sipgo.WithClientHostname(local.String()), sipgo.WithClientLogger(quiet))
	if err != nil {
		return nil, errors.Join(err, agent.Close())
	}
	p := &sipPhone{agent: agent}
	// The port is that of the socket, once there is one.
	p.dialogs = sipgo.NewDialogClientCache(client, sip.ContactHeader{Address: sip.Uri{User: number, Host: local.String()}})
	server.OnBye(func(req *sip.Request, tx sip.ServerTransaction) { _ = p.dialogs.ReadBye(req, tx) })
	server.OnOptions(func(req *sip.Request, tx sip.ServerTransaction) {
		_ = tx.Respond(sip.NewResponseFromRequest(req, sip.StatusOK, "OK", nil))
	})
	return p, nil
}

func (p *sipPhone) close() { _ = p.agent.Close() }

// recordFile opens the file into which a call is recorded.
func recordFile(name string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Clean(name), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--record: %w", err)
	}
	return f, nil
}
