package main

import (
	"net"
	"syscall"
)

// peerName asks the system who has opened the connection (unix(7), SO_PEERCRED).
func peerName(c *net.UnixConn) string {
	raw, err := c.SyscallConn()
	if err != nil {
		return "unknown"
	}
	var cred *syscall.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		cred, failed = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil || failed != nil {
		return "unknown"
	}
	return userName(uint64(cred.Uid))
}
