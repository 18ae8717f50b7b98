package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newRun(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Run the gateway",
		Long: `Run the gateway until SIGINT or SIGTERM. The first signal drains: new work is
refused, what is in flight is finished. The second stops at once. SIGHUP reads the
configuration again, all or nothing.

Without a configuration file the bundled example runs, with its data in the folder
trunkline-data of the current directory.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			src, err := o.source()
			if err != nil {
				return err
			}
			c, err := load(src)
			if err != nil {
				return reportConfig(cmd.ErrOrStderr(), err)
			}
			log, level := newLog(cmd.ErrOrStderr(), &c.settings.Log)
			for _, w := range c.warnings {
				log.Warn("configuration", "warning", w)
			}
			limitMemory()
			d, err := newDaemon(src, c, log, level)
			if err != nil {
				return err
			}
			// The root's context ends at the first SIGINT, for all other commands;
			// here signals are counted.
			ctx, stop := context.WithCancel(context.WithoutCancel(cmd.Context()))
			now, stopNow := context.WithCancel(context.Background())
			defer stop()
			defer stopNow()
			defer untilSignal(d, stop, stopNow)()
			return d.run(ctx, now, func() { d.greet(cmd.OutOrStdout()) })
		},
	}
}

// memoryLimit is how much memory of its own the daemon uses before it collects
// garbage more eagerly. The store's engine builds its tables in garbage-collected
// buffers; without a limit they double what is needed, and with one of 448 MiB
// collecting took half of the throughput at peak. GOMEMLIMIT overrides it.
const memoryLimit = 768 << 20

func limitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}

// greet says that the daemon is up, and what to type next.
func (d *daemon) greet(w io.Writer) {
	fmt.Fprintf(w, "trunkline %s is ready: %s\n", version, d.source)
	for _, a := range d.smpp.Addresses() {
		fmt.Fprintf(w, "  SMPP   %s\n", a)
	}
	for _, m := range d.smtp.Status() {
		fmt.Fprintf(w, "  SMTP   %s\n", m.Address)
	}
	if d.voice != nil {
		for _, a := range d.voice.edge.Addresses() {
			fmt.Fprintf(w, "  SIP    %s\n", a)
		}
	}
	if d.admin != nil {
		fmt.Fprintf(w, "  admin  http://%s/metrics\n", d.admin.Addr())
	}
	if d.apiListener != nil {
		fmt.Fprintf(w, "  API    %s://%s/openapi.json\n", apiScheme(&d.begun.API), d.apiListener.Addr())
	}
	if d.linksListener != nil {
		fmt.Fprintf(w, "  links  %s, answered at %s\n", d.begun.Links.Base(), d.linksListener.Addr())
	}
	fmt.Fprintf(w, "  data   %s\n", d.begun.data(d.source))
	if !d.source.bundled() {
		return
	}
	self := invokedAs()
	fmt.Fprintf(w, `
Now, from another terminal in the same folder:

  %[1]s simulate smpp START      # text START like a phone, and see the answer
  %[1]s simulate smpp 42         # answer with a shoe size
  %[1]s people show 385911234567 # the size is stored with the person
  %[1]s flow show shoe-offer     # who went where, and what was sent

Ctrl-C stops. `+"`%[1]s init my-gateway`"+` writes this example to a folder, for you to change.
`, self)
}

// newLog makes the daemon's logger, whose level a reload can change.
func newLog(w io.Writer, s *logSettings) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(s.level())
	o := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewTextHandler(w, o)
	if s.Format == "json" {
		h = slog.NewJSONHandler(w, o)
	}
	return slog.New(h), level
}
