package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// monotonic is the system's monotonic clock, which systemd compares with its own.
func monotonic() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
