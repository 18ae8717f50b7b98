package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"trunkline/configs/strict"
	"trunkline/gateway/httpapi"
)

// The HTTP API in the daemon: its section of the configuration, its listener, and
// what it shares with the control socket.

// apiSettings is the section api.
type apiSettings = httpapi.Config

// api checks the section api beyond what its tags say.
func (l *loader) api(doc *strict.Document, s *apiSettings) {
	var report func(err error)
	report = func(err error) {
		var joined interface{ Unwrap() []error }
		if errors.As(err, &joined) {
			for _, e := range joined.Unwrap() {
				report(e)
			}
			return
		}
		path := []any{"api"}
		if f := new(httpapi.FieldError); errors.As(err, &f) {
			path = append(path, strict.ParsePath(f.Path)...)
			err = errors.New(f.Reason)
		}
		doc.ErrorAt(path, "%s: %v", strict.PathText(path), err)
	}
	if err := s.Validate(); err != nil {
		report(err)
	}
}

// apiRestart names what of the section api is read only at the start.
func apiRestart(a, b *apiSettings) bool {
	tls := func(s *apiSettings) httpapi.TLS {
		if s.TLS == nil {
			return httpapi.TLS{}
		}
		return *s.TLS
	}
	return a.Listen != b.Listen || tls(a) != tls(b) || a.Requests != b.Requests || a.Connections != b.Connections || a.DrainTimeout != b.DrainTimeout
}

// openAPI makes the HTTP API, and its listener when there shall be one.
func (d *daemon) openAPI(s apiSettings) (err error) {
	d.api, err = httpapi.New(s, httpapi.Options{Runtime: d.rt, Parts: d.smpp.Parts, Version: version, Log: d.log, Metrics: d.metrics, CheckNotify: d.http.CheckURL, Webhooks: d.hooks.status})
	if err != nil || s.Listen == "" {
		return err
	}
	if d.apiListener, err = new(net.ListenConfig).Listen(context.Background(), "tcp", s.Listen); err != nil {
		return fmt.Errorf("api.listen: %w", err)
	}
	return nil
}

func apiScheme(s *apiSettings) string {
	if s.TLS != nil {
		return "https"
	}
	return "http"
}

// serveAPI answers requests until ctx ends. A listener that breaks is told to failed.
func (d *daemon) serveAPI(ctx context.Context, g *errgroup.Group, failed chan<- error) {
	if d.apiListener != nil {
		serveEdge(ctx, g, failed, func() error { return d.api.Run(ctx, d.apiListener) })
	}
}

// serveEdge runs an edge until ctx ends. One that breaks is told to failed.
func serveEdge(ctx context.Context, g *errgroup.Group, failed chan<- error, run func() error) {
	g.Go(func() error {
		err := run()
		if err != nil && ctx.Err() == nil {
			select {
			case failed <- err:
			default: // another edge was first
			}
		}
		return err
	})
}

// entries lists the entry points of the Flow API, for the tools.
func (d *daemon) entries(flow string) []httpapi.Entry { return d.api.Entries(flow) }

// controlAPI serves the tools that work on people.
func (d *daemon) controlAPI(handle func(pattern string, f func(r *http.Request) (any, error))) {
	handle("POST /people/{ref}/events", func(r *http.Request) (any, error) {
		var e toolEvent
		if err := decodeTool(r, &e); err != nil {
			return nil, err
		}
		return d.sendEvent(r.Context(), r.PathValue("ref"), &e)
	})
	handle("PATCH /people/{ref}", func(r *http.Request) (any, error) {
		var a toolAmendment
		if err := decodeTool(r, &a); err != nil {
			return nil, err
		}
		return d.amendPerson(r.Context(), r.PathValue("ref"), &a)
	})
	handle("POST /people/{ref}/merge", func(r *http.Request) (any, error) {
		var with []string
		if err := decodeTool(r, &with); err != nil {
			return nil, err
		}
		return d.mergePeople(r.Context(), append([]string{r.PathValue("ref")}, with...))
	})
	handle("DELETE /people/{ref}", func(r *http.Request) (any, error) {
		who, err := httpapi.Reference(r.PathValue("ref"))
		if err != nil {
			return nil, err
		}
		id, err := d.rt.Erase(r.Context(), who)
		if err != nil {
			return nil, err
		}
		return map[string]string{"person": id.String()}, nil
	})
}

// faultsOf puts what is wrong with a request into words for a terminal.
func faultsOf(faults []httpapi.Fault) error {
	if len(faults) == 0 {
		return nil
	}
	lines := make([]string, len(faults))
	for i, f := range faults {
		lines[i] = strings.TrimPrefix(f.Pointer+f.Parameter, "/") + ": " + f.Detail
	}
	slices.Sort(lines)
	return errors.New(strings.Join(lines, "\n"))
}
