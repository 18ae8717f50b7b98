package main

import (
	"context"
	"net"
	"net/http"
	"os/user"
	"strconv"
)

// peerKey is the context key of who is at the other end of the control socket.
type peerKey struct{}

// withPeer notes which user of the system has opened a connection.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	if outer, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = outer.NetConn()
	}
	if u, ok := c.(*net.UnixConn); ok {
		return context.WithValue(ctx, peerKey{}, peerName(u))
	}
	return ctx
}

// peerOf is who asks over the control socket.
func peerOf(r *http.Request) string {
	name, _ := r.Context().Value(peerKey{}).(string)
	return "user:" + name
}

// userName is the name of a user of the system, or the number where there is none.
func userName(uid uint64) string {
	id := strconv.FormatUint(uid, 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}
