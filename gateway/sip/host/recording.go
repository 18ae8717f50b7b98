package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"trunkline/gateway/rtp"
	"trunkline/gateway/rtp/prompt"
	"trunkline/gateway/rtp/wav"
	"trunkline/ivr"
)

// Recordings are the files of what was recorded.
type Recordings struct {
	folder  string
	sides   rtp.Sides
	coding  wav.Coding
	library *prompt.Library
}

// OpenRecordings makes the folder ready.
func OpenRecordings(folder string, sides rtp.Sides, coding wav.Coding) (*Recordings, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("recordings: %w", err)
	}
	library, err := prompt.New(prompt.Options{Folder: folder, Memory: 16 << 20, Longest: ivr.MaxRecord})
	return &Recordings{folder, sides, coding, library}, err
}

const recordingSuffix = ".wav"

func (r *Recordings) samples(ctx context.Context, id string) ([]int16, error) {
	if r == nil {
		return nil, errors.New("nothing is recorded here")
	}
	return r.library.File(ctx, id+recordingSuffix)
}

// Prune removes recordings that are older, and says how many.
func (r *Recordings) Prune(before time.Time) (removed int) {
	entries, err := os.ReadDir(r.folder)
	if err != nil {
		return 0
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasSuffix(e.Name(), recordingSuffix) && info.ModTime().Before(before) && os.Remove(filepath.Join(r.folder, e.Name())) == nil {
			removed++
		}
	}
	return removed
}

// recording is one that runs.
type recording struct {
	id       string
	limits   rtp.Limits
	recorder *rtp.Recorder // nil during the beep
	stopped  bool
}

// record begins to record the caller.
func (c *call) record(x ivr.StartRecording) {
	lg := c.legs[ivr.Caller]
	if c.recording != nil || lg == nil || lg.session == nil || lg.over || c.host.options.Recordings == nil {
		c.do(func() { c.handle(ivr.RecordFailed{Code: "not_possible"}) })
		return
	}
	rec := &recording{id: fmt.Sprintf("%s-%d", fileName(c.id), time.Now().UnixMilli()), limits: rtp.Limits{Max: x.Max, Silence: x.Silence}}
	c.recording = rec
	if !x.Beep {
		c.recordNow(lg, rec)
		return
	}
	lg.silence()
	done := lg.session.Play(rtp.Beep.Source())
	c.host.running.Go(func() {
		select {
		case <-done:
		case <-c.ctx.Done():
		}
		c.do(func() { c.recordNow(lg, rec) })
	})
}

// fileName is an id of a call as the name of a file.
func fileName(id string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, id)
}

func (c *call) recordNow(lg *leg, rec *recording) {
	if rec.stopped || lg.over {
		c.recorded(rec, ivr.Recorded{})
		return
	}
	o := c.host.options.Recordings
	path := filepath.Join(o.folder, rec.id+recordingSuffix)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		rec.recorder, err = rtp.NewRecorder(file, o.coding, o.sides, rec.limits)
	}
	if err != nil {
		c.host.log.Error("nothing can be recorded", "call", c.id, "error", err)
		if file != nil {
			_, _ = file.Close(), os.Remove(path)
		}
		c.recorded(rec, ivr.RecordFailed{Code: "disk"})
		return
	}
	recorder := rec.recorder
	lg.session.Record(recorder)
	c.host.running.Go(func() {
		err := recorder.Run(context.Background()) // ends with the session
		err = errors.Join(err, file.Close())
		length, why, dropped := recorder.Result()
		var e ivr.Event = ivr.Recorded{ID: rec.id, Length: length}
		switch {
		case err != nil:
			c.host.log.Error("a recording is not complete", "call", c.id, "error", err)
			e = ivr.RecordFailed{Code: "disk"}
		case length == 0 || why == rtp.EndedBySilence && length <= rec.limits.Silence+time.Second/5:
			_ = os.Remove(path) // nothing was said
			e = ivr.Recorded{}
		case dropped > 0:
			c.host.log.Warn("the disk was too slow for a recording", "call", c.id, "seconds_left_out", dropped)
		}
		c.do(func() { c.recorded(rec, e) })
	})
}

// recorded tells that a recording is over.
func (c *call) recorded(rec *recording, e ivr.Event) {
	if c.recording != rec {
		return
	}
	c.recording = nil
	c.handle(e)
	if end := c.waiting; end != nil {
		c.waiting = nil
		c.callerEnded(*end)
	}
	c.leave()
}

func (c *call) stopRecording() {
	rec := c.recording
	if rec == nil {
		return
	}
	if rec.stopped = true; rec.recorder != nil {
		rec.recorder.Stop()
		return
	}
	if lg := c.legs[ivr.Caller]; lg != nil && lg.session != nil {
		lg.session.StopPlaying() // the beep
	}
}
