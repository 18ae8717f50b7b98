package rtp

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// favour lets the calling goroutine have a thread of its own, which the system
// prefers to others: sound can't wait. Without the right to it (CAP_SYS_NICE or
// LimitNICE) it is a thread like any other.
func favour() {
	const nice = -15
	runtime.LockOSThread()
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), nice)
}
