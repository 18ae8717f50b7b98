package gateway

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// ServeHTTP serves until ctx ends, then lets the requests that are being answered
// come to their end, for at most the time of drain.
func ServeHTTP(ctx context.Context, server *http.Server, l net.Listener, drain time.Duration) error {
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := server.Shutdown(end)
	if err != nil {
		err = server.Close()
	}
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
