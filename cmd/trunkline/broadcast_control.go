package main

import (
	"context"
	"net/http"

	"trunkline/flowengine/runtime"
	"trunkline/gateway/httpapi"
)

// toolBroadcast is the definition of a broadcast, as a file or by options.
type toolBroadcast struct {
	File       string `json:"file"` // name, for messages
	Definition string `json:"definition"`
	Approval   bool   `json:"approval"` // it needs one whatever the definition says
}

// toolRecipients are recipients who are named one by one.
type toolRecipients struct {
	Recipients []string `json:"recipients"`
}

// recipientsMost is how many are named in one request of the tools.
const recipientsMost = 5000

// broadcastsMost bounds what the tools list.
const broadcastsMost = 1000

// controlBroadcasts serves the tools that work on broadcasts.
func (d *daemon) controlBroadcasts(handle func(pattern string, f func(r *http.Request) (any, error))) {
	handle("POST /broadcasts", func(r *http.Request) (any, error) {
		var b toolBroadcast
		if err := decodeTool(r, &b); err != nil {
			return nil, err
		}
		parsed, err := d.rt.ParseBroadcast(b.File, []byte(b.Definition))
		if err != nil {
			return nil, err
		}
		parsed.Approval = parsed.Approval || b.Approval
		s, err := d.rt.CreateBroadcast(r.Context(), parsed, peerOf(r))
		if err != nil {
			return nil, err
		}
		return httpapi.ViewBroadcast(&s, true), nil
	})
	handle("GET /broadcasts", func(*http.Request) (any, error) {
		all, err := d.rt.Broadcasts("", broadcastsMost)
		views := []*httpapi.Broadcast{}
		for i := range all {
			views = append(views, httpapi.ViewBroadcast(&all[i], false))
		}
		return views, err
	})
	show := func(id string) (any, error) {
		s, err := d.rt.Broadcast(id)
		if err != nil {
			return nil, err
		}
		return httpapi.ViewBroadcast(&s, true), nil
	}
	handle("GET /broadcasts/{id}", func(r *http.Request) (any, error) { return show(r.PathValue("id")) })
	handle("POST /broadcasts/{id}/recipients", func(r *http.Request) (any, error) {
		var more toolRecipients
		if err := decodeTool(r, &more); err != nil {
			return nil, err
		}
		added, err := d.rt.AddRecipients(r.Context(), r.PathValue("id"), more.Recipients)
		return map[string]uint64{"added": added}, err
	})
	handle("GET /broadcasts/{id}/estimate", func(r *http.Request) (any, error) {
		e, err := d.rt.EstimateBroadcast(r.Context(), r.PathValue("id"), d.api.Units)
		return httpapi.ViewEstimate(e), err
	})
	verb := func(name string, do func(ctx context.Context, id string) (runtime.BroadcastStatus, error)) {
		handle("POST /broadcasts/{id}/"+name, func(r *http.Request) (any, error) {
			if _, err := do(r.Context(), r.PathValue("id")); err != nil {
				return nil, err
			}
			return show(r.PathValue("id"))
		})
	}
	verb("start", d.rt.StartBroadcast)
	verb("pause", d.rt.PauseBroadcast)
	verb("resume", d.rt.ResumeBroadcast)
	verb("cancel", d.rt.CancelBroadcast)
	handle("POST /broadcasts/{id}/approve", func(r *http.Request) (any, error) {
		if _, err := d.rt.ApproveBroadcast(r.Context(), r.PathValue("id"), peerOf(r)); err != nil {
			return nil, err
		}
		return show(r.PathValue("id"))
	})
}
