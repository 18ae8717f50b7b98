package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"trunkline/gateway/smtp/outbound"
	"trunkline/gateway/smtp/resolver"
)

// The commands email dns and email key: what has to be published for a sending domain.

func newEmailDNS(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "dns DOMAIN", Short: "Print the DNS records to publish for a sending domain, and check those that are", Args: cobra.ExactArgs(1),
		Long: `Print the DNS records to publish for a domain that mail is sent from: SPF, DKIM, DMARC, MTA-STS, TLS-RPT,
and the mail exchanger of its return path. Each is compared with what the name servers of email.dns say.
It reads the configuration and needs no running daemon.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			src, err := o.source()
			if err != nil {
				return err
			}
			c, err := load(src)
			if err != nil {
				return reportConfig(cmd.ErrOrStderr(), err)
			}
			domain, err := outbound.ASCII(args[0])
			if err != nil {
				return fmt.Errorf("%q is not a domain", args[0])
			}
			hostname := c.settings.Email.Hostname
			if hostname == "" {
				hostname = c.settings.SMTP.Hostname
			}
			records, err := c.settings.Email.Records(domain, hostname)
			if err != nil {
				return err
			}
			r, err := resolver.New(c.settings.Email.DNS)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), time.Minute)
			defer cancel()
			return printRecords(ctx, cmd.OutOrStdout(), r, records)
		},
	}
}

// errUnpublished ends the command when something has to be done.
var errUnpublished = errors.New("not everything that is needed is published; what is marked MISSING or WRONG above has to be")

// printRecords prints each record with how the published one compares.
func printRecords(ctx context.Context, w io.Writer, r *resolver.Resolver, records []outbound.Record) error {
	bad := false
	for _, x := range records {
		state, found := x.Check(ctx, r)
		bad = bad || !x.Optional && state != outbound.RecordRight
		fmt.Fprintf(w, "%s: %s\n  %s. IN %s %s\n", x.Purpose, state, x.Name, x.Kind, quoted(&x))
		if state == outbound.RecordWrong || state == outbound.RecordUnknown {
			fmt.Fprintf(w, "  published: %s\n", found)
		}
	}
	if bad {
		return errUnpublished
	}
	return nil
}

// quoted is a record's value as zone files have it: texts in parts of at most 255 octets
// (RFC 1035 §3.3.14).
func quoted(x *outbound.Record) string {
	if x.Kind != "TXT" {
		return x.Value
	}
	const most = 255
	var parts []string
	for text := x.Value; ; text = text[most:] {
		if len(text) <= most {
			parts = append(parts, `"`+text+`"`)
			break
		}
		parts = append(parts, `"`+text[:most]+`"`)
	}
	return strings.Join(parts, " ")
}

func newEmailKey() *cobra.Command {
	kind := "rsa"
	c := &cobra.Command{
		Use: "key FILE", Short: "Make a key for DKIM signatures", Args: cobra.ExactArgs(1),
		Long: "Make a private key for DKIM signatures and write it to a new file, for email.domains[].dkim[].key.\nMail is best signed with two: an RSA key, which every server knows, and an Ed25519 key.",
		RunE: func(cmd *cobra.Command, args []string) error {
			var key any
			var err error
			switch kind {
			case "rsa":
				key, err = rsa.GenerateKey(rand.Reader, 2048)
			case "ed25519":
				_, key, err = ed25519.GenerateKey(rand.Reader)
			default:
				return fmt.Errorf("there is no type %q of keys; there are rsa and ed25519", kind)
			}
			if err != nil {
				return err
			}
			der, err := x509.MarshalPKCS8PrivateKey(key)
			if err != nil {
				return err
			}
			f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return err
			}
			if err := errors.Join(pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der}), f.Close()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "wrote %s; once the configuration names it, `trunkline email dns DOMAIN` shows what to publish\n", args[0])
			return nil
		},
	}
	c.Flags().StringVar(&kind, "type", kind, "rsa (2048 bits) or ed25519")
	return c
}
