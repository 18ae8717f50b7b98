package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// notifySystemd tells systemd the state of the service (sd_notify(3)); outside of
// systemd it does nothing.
func notifySystemd(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	if path[0] == '@' { // an abstract socket
		path = "\x00" + path[1:]
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = c.Write([]byte(state))
}

// notifyReloading begins what READY=1 ends (sd_notify(3), Type=notify-reload).
func notifyReloading() {
	notifySystemd(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", monotonic().Microseconds()))
}

// watchdog tells systemd that the daemon works, for as long as it does, twice
// per WATCHDOG_USEC (sd_watchdog_enabled(3)).
func watchdog(ctx context.Context, healthy func() error) error {
	usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec <= 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(time.Duration(usec) * time.Microsecond / 2)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if healthy() == nil {
				notifySystemd("WATCHDOG=1")
			}
		case <-ctx.Done():
			return nil
		}
	}
}
