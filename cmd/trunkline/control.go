package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
	"trunkline/gateway/httpapi"
)

// The control socket is how the tools of this binary talk to the running daemon:
// HTTP and JSON over a Unix socket in the data folder, which only the daemon's
// own user can open. So it needs no password and no port.
const controlSocket = "control.sock"

func controlPath(data string) string { return filepath.Join(data, controlSocket) }

// listenControl opens the control socket. A socket that a killed daemon left
// behind is removed: the store's lock has proven that no other daemon lives.
func listenControl(data string) (net.Listener, error) {
	path := controlPath(data)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// controlHandler serves the tools.
func (d *daemon) controlHandler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
			answer, err := f(r)
			w.Header().Set("Content-Type", "application/json")
			if err != nil {
				w.WriteHeader(http.StatusUnprocessableEntity)
				answer = problem{err.Error()}
			}
			_ = json.NewEncoder(w).Encode(answer)
		})
	}
	handle("GET /status", func(*http.Request) (any, error) { return d.status(), nil })
	handle("POST /reload", func(r *http.Request) (any, error) { return d.reload(r.Context()) })
	handle("GET /flows", func(*http.Request) (any, error) {
		all, err := d.rt.Flows()
		return viewFlows(all, d.entries), err
	})
	handle("GET /report", d.report)
	handle("GET /flows/{id}/definition", func(r *http.Request) (any, error) { return d.definition(r.PathValue("id")) })
	handle("POST /flows/{id}/start", func(r *http.Request) (any, error) {
		return nil, d.rt.StartFlow(r.Context(), r.PathValue("id"))
	})
	handle("POST /flows/{id}/pause", func(r *http.Request) (any, error) {
		return nil, d.rt.PauseFlow(r.Context(), r.PathValue("id"))
	})
	handle("POST /flows/{id}/resume", func(r *http.Request) (any, error) {
		return nil, d.rt.ResumeFlow(r.Context(), r.PathValue("id"))
	})
	handle("POST /flows/{id}/eject/{ref}", func(r *http.Request) (any, error) {
		version, err := parseVersion(r.FormValue("version"))
		if err != nil {
			return nil, err
		}
		return d.rt.Remove(r.Context(), runtime.ParseWho(r.PathValue("ref")), r.PathValue("id"), version, "operator")
	})
	handle("POST /flows/{id}/stop", d.stopFlow)
	handle("GET /flows/{id}/versions", func(r *http.Request) (any, error) {
		all, err := d.rt.Versions(r.PathValue("id"))
		return httpapi.ViewVersions(all), err
	})
	handle("GET /flows/{id}/stats", d.flowStats)
	handle("GET /people/{ref}", func(r *http.Request) (any, error) {
		p, err := d.rt.Person(r.Context(), r.PathValue("ref"), 20)
		if err != nil {
			return nil, err
		}
		return viewPerson(p), nil
	})
	d.controlAPI(handle)
	d.controlResults(handle)
	handle("GET /links", d.listLinks)
	handle("GET /calls", d.listCalls)
	mux.HandleFunc("GET /calls/export", d.exportCalls)
	d.controlWebhooks(handle)
	d.controlQueue(handle)
	handle("GET /message", d.message)
	d.controlEmail(handle)
	d.controlSegments(handle)
	d.controlPeople(mux)
	d.controlBroadcasts(handle)
	handle("POST /sms", func(r *http.Request) (any, error) {
		var m smsRequest
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			return nil, err
		}
		return d.sendSMS(r.Context(), m)
	})
	mux.HandleFunc("GET /backup", func(w http.ResponseWriter, r *http.Request) {
		// The status line is long gone when a backup fails: its end mark is
		// missing then, and the reader sees that.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		if err := d.backup(r.Context(), w); err != nil {
			d.log.Error("a backup failed", "error", err)
			panic(http.ErrAbortHandler)
		}
	})
	return mux
}

// problem is an error as the control socket tells it.
type problem struct {
	Error string `json:"error"`
}

// smsRequest asks for one message.
type smsRequest struct {
	From    string `json:"from"`
	To      string `json:"to"`
	Text    string `json:"text"`
	Carrier string `json:"carrier"`
}

// smsAnswer tells its id.
type smsAnswer struct {
	ID    string `json:"id"`
	Parts int    `json:"parts"`
}

// sendSMS puts a message into the outbox.
func (d *daemon) sendSMS(ctx context.Context, r smsRequest) (*smsAnswer, error) {
	if r.To == "" || r.Text == "" {
		return nil, errors.New("a message needs a recipient and a text")
	}
	id := fmt.Sprintf("operator/%d", time.Now().UnixNano())
	err := d.rt.Send(ctx, &runtime.Message{
		Send: flowengine.Send{
			ID: id, Channel: "sms", From: r.From, To: r.To, Text: r.Text, Expires: time.Now().Add(flowengine.MaxValidity),
		},
		Carrier: r.Carrier,
	})
	if err != nil {
		return nil, err
	}
	return &smsAnswer{ID: id, Parts: d.smpp.Parts(r.Text, r.Carrier)}, nil
}

// controlClient talks to a running daemon.
type controlClient struct {
	data string
	http *http.Client
}

func newControlClient(data string) *controlClient {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", controlPath(data))
	}
	return &controlClient{data, &http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// call sends a request; in and out may be nil.
func (c *controlClient) call(ctx context.Context, method, path string, in, out any) error {
	body, err := c.open(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer body.Close()
	if out == nil {
		return nil
	}
	return json.NewDecoder(body).Decode(out)
}

// open sends a request and returns the body of the answer.
func (c *controlClient) open(ctx context.Context, method, path string, in any) (io.ReadCloser, error) {
	var payload io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		payload = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://trunkline"+path, payload)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			return nil, fmt.Errorf("the daemon's control socket %s may not be opened by this user; run the command as the daemon's user", controlPath(c.data))
		}
		return nil, fmt.Errorf("no daemon answers at %s; is it running with this configuration? (%w)", controlPath(c.data), err)
	}
	if res.StatusCode == http.StatusOK {
		return res.Body, nil
	}
	defer res.Body.Close()
	var p problem
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&p); err != nil || p.Error == "" {
		return nil, fmt.Errorf("the daemon answered %s", res.Status)
	}
	return nil, errors.New(p.Error)
}
