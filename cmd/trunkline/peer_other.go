//go:build !linux

package main

import (
	"net"
	"os"
)

// peerName is the daemon's own user: nobody else can open the control socket.
func peerName(*net.UnixConn) string { return userName(uint64(max(os.Getuid(), 0))) }
