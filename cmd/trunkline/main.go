// Command trunkline is the one binary of the Trunkline communications gateway:
// the daemon and the tools that operate it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
)

// version is set by the linker; see the Makefile.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := newRoot().ExecuteContext(ctx)
	stop()
	switch {
	case err == nil:
	case errors.Is(err, errReported):
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "trunkline:", err)
		os.Exit(1)
	}
}

// errReported ends a command whose complaint has been printed already.
var errReported = errors.New("reported")

func newRoot() *cobra.Command {
	o := new(options)
	root := &cobra.Command{
		Use:   "trunkline",
		Short: "A communications gateway: SMPP, SIP and SMTP edges around durable flows",
		Long: `Trunkline is a communications gateway. Carriers bind in over SMPP or are bound to,
people move through communication flows, and everything that is acknowledged is
on disk before it is.

Try it:
  trunkline run                        # starts the bundled example
  trunkline simulate smpp START        # from another terminal: text like a phone`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version,
	}
	root.PersistentFlags().StringVarP(&o.config, "config", "c", "",
		"configuration file (default: $TRUNKLINE_CONFIG, ./trunkline.yaml, /etc/trunkline/trunkline.yaml, or the bundled example)")
	_ = root.MarkPersistentFlagFilename("config", "yaml", "yml")
	root.AddGroup(&cobra.Group{ID: groupDaemon, Title: "The daemon and its configuration:"}, &cobra.Group{ID: groupOperate, Title: "Working with a running daemon:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupDaemon, newRun(o), newCheck(o), newInit(), newReload(o), newSchema(), newAPI(), newVersion())
	add(groupOperate, newStatus(o), newFlow(o), newBroadcast(o), newReport(o), newPeople(o), newSegment(o), newEvent(o), newLinks(o), newCall(o), newCalls(o), newTrunk(o), newWebhook(o), newQueue(o), newMessage(o), newEmail(o), newSend(o), newSimulate(), newBackup(o), newRestore(o))
	return root
}

const (
	groupDaemon  = "daemon"
	groupOperate = "operate"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this binary",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintln(cmd.OutOrStdout(), "trunkline", version)
		},
	}
}
