package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	gosmpp "github.com/fiorix/go-smpp/smpp"
	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutext"
	"github.com/spf13/cobra"
)

// phone simulates a subscriber of a carrier: a client of its own, on top of a
// library that shares no code with the gateway.
type phoneOptions struct {
	address, systemID, password string
	from, to                    string
	useTLS, receipts            bool
	wait                        time.Duration
	replies                     int
}

func newSimulate() *cobra.Command {
	simulate := &cobra.Command{Use: "simulate", Short: "Play a phone, to try out a configuration"}
	var p phoneOptions
	smpp := &cobra.Command{
		Use:   "smpp [TEXT…]",
		Short: "Text like a phone whose carrier binds in over SMPP, and print what comes back",
		Long: `Text like a phone whose carrier binds in over SMPP, and print what comes back.

With texts as arguments each is sent once the answer to the one before has come;
the command ends after the last answer, or with an error when none comes within
--wait. Without arguments it reads lines from the terminal until end of file.`,
		Example: `  trunkline simulate smpp START
  trunkline simulate smpp START 42
  trunkline simulate smpp --from 385911234567 --to 38591000001`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.run(cmd.Context(), args, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	f := smpp.Flags()
	f.StringVar(&p.address, "address", "127.0.0.1:2775", "the gateway's SMPP listener")
	f.StringVar(&p.systemID, "system-id", "demo", "system_id of the carrier")
	f.StringVar(&p.password, "password", "demo", "password of the carrier; better in TRUNKLINE_SMPP_PASSWORD")
	f.StringVar(&p.from, "from", "385911234567", "the phone's own number")
	f.StringVar(&p.to, "to", "38591000001", "the number that is texted")
	f.BoolVar(&p.useTLS, "tls", false, "connect with TLS")
	f.BoolVar(&p.receipts, "receipts", false, "ask for delivery reports and print them")
	f.DurationVar(&p.wait, "wait", 5*time.Second, "how long an answer may take")
	f.IntVar(&p.replies, "replies", 1, "answers to wait for after each text; 0: don't wait")
	simulate.AddCommand(smpp, newSimulateSIP())
	return simulate
}

// heard is a message that came to the phone.
type heard struct {
	from, text string
	receipt    bool
}

func (p *phoneOptions) run(ctx context.Context, texts []string, in io.Reader, out io.Writer) error {
	if s := os.Getenv("TRUNKLINE_SMPP_PASSWORD"); s != "" {
		p.password = s
	}
	inbox := make(chan heard, 64)
	client := &gosmpp.Transceiver{
		Addr: p.address, User: p.systemID, Passwd: p.password, RespTimeout: p.wait,
		Handler: func(b pdu.Body) {
			if m, ok := p.receive(b); ok {
				select {
				case inbox <- m:
				case <-ctx.Done():
				}
			}
		},
	}
	if p.useTLS {
		client.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	defer client.Close()
	status := client.Bind()
	select {
	case s := <-status:
		if s.Error() != nil {
			return fmt.Errorf("binding to %s as %q: %w; is the gateway running, and does one of its carriers have this system_id and password?", p.address, p.systemID, s.Error())
		}
	case <-time.After(p.wait):
		return fmt.Errorf("binding to %s: no answer within %s", p.address, p.wait)
	case <-ctx.Done():
		return ctx.Err()
	}
	go func() { // the library reports later changes here and blocks while nobody listens
		for range status {
		}
	}()
	if len(texts) > 0 {
		return p.script(ctx, client, texts, inbox, out)
	}
	return p.talk(ctx, client, in, inbox, out)
}

// receive makes a message of what the carrier delivers to the phone.
func (p *phoneOptions) receive(b pdu.Body) (heard, bool) {
	if b.Header().ID != pdu.DeliverSMID {
		return heard{}, false
	}
	f := b.Fields()
	text := func(name pdufield.Name) string {
		if f[name] == nil {
			return ""
		}
		return f[name].String()
	}
	if text(pdufield.DestinationAddr) != strings.TrimPrefix(p.from, "+") {
		return heard{}, false // for another phone of this carrier
	}
	m := heard{from: text(pdufield.SourceAddr)}
	if f[pdufield.ESMClass] != nil {
		if c, ok := f[pdufield.ESMClass].Raw().(uint8); ok {
			m.receipt = c&0x3c == 0x04
		}
	}
	raw := []byte(nil)
	if f[pdufield.ShortMessage] != nil {
		raw = f[pdufield.ShortMessage].Bytes()
	}
	coding := uint8(0)
	if f[pdufield.DataCoding] != nil {
		coding, _ = f[pdufield.DataCoding].Raw().(uint8)
	}
	switch {
	case m.receipt:
		m.text = string(raw)
	case coding == 8:
		m.text = string(pdutext.UCS2(raw).Decode())
	case coding == 3:
		m.text = string(pdutext.Latin1(raw).Decode())
	default:
		m.text = string(pdutext.GSM7(raw).Decode())
	}
	return m, !m.receipt || p.receipts
}

// submit sends one text.
func (p *phoneOptions) submit(c *gosmpp.Transceiver, text string) error {
	sm := &gosmpp.ShortMessage{Src: strings.TrimPrefix(p.from, "+"), Dst: strings.TrimPrefix(p.to, "+"), SourceAddrTON: 1, SourceAddrNPI: 1, DestAddrTON: 1, DestAddrNPI: 1}
	if p.receipts {
		sm.Register = pdufield.FinalDeliveryReceipt
	}
	sm.Text = pdutext.GSM7(text)
	if string(pdutext.GSM7(pdutext.GSM7(text).Encode()).Decode()) != text {
		sm.Text = pdutext.UCS2(text)
	}
	_, err := c.Submit(sm)
	if err != nil {
		return fmt.Errorf("the gateway did not take %q: %w", text, err)
	}
	return nil
}

func (m heard) print(w io.Writer) {
	mark := "<"
	if m.receipt {
		mark = "receipt"
	}
	fmt.Fprintf(w, "%s %s: %s\n", mark, m.from, m.text)
}

// script sends texts one after the other, each after the answers to the last.
func (p *phoneOptions) script(ctx context.Context, c *gosmpp.Transceiver, texts []string, inbox <-chan heard, out io.Writer) error {
	for _, text := range texts {
		fmt.Fprintf(out, "> %s: %s\n", p.to, text)
		if err := p.submit(c, text); err != nil {
			return err
		}
		for answers := 0; answers < p.replies; {
			select {
			case m := <-inbox:
				m.print(out)
				if !m.receipt {
					answers++
				}
			case <-time.After(p.wait):
				return fmt.Errorf("no answer to %q within %s", text, p.wait)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// talk sends what is typed and prints what comes.
func (p *phoneOptions) talk(ctx context.Context, c *gosmpp.Transceiver, in io.Reader, inbox <-chan heard, out io.Writer) error {
	fmt.Fprintf(out, "You are %s and text %s. Type a message and Enter; Ctrl-D ends.\n", p.from, p.to)
	lines := make(chan string)
	failed := make(chan error, 1)
	go func() {
		defer close(lines)
		s := bufio.NewScanner(in)
		for s.Scan() {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
		failed <- s.Err()
	}()
	for {
		select {
		case text, ok := <-lines:
			if !ok {
				return p.linger(ctx, inbox, failed, out)
			}
			if err := p.submit(c, text); err != nil {
				fmt.Fprintln(out, "!", err)
			}
		case m := <-inbox:
			m.print(out)
		case <-ctx.Done():
			return nil
		}
	}
}

// linger prints what comes in the moment after the last line.
func (p *phoneOptions) linger(ctx context.Context, inbox <-chan heard, failed <-chan error, out io.Writer) error {
	for {
		select {
		case m := <-inbox:
			m.print(out)
		case <-time.After(500 * time.Millisecond):
			select {
			case err := <-failed:
				return err
			default:
				return errors.New("the input ended unexpectedly")
			}
		case <-ctx.Done():
			return nil
		}
	}
}
