package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"trunkline/configs/strict"
	"trunkline/flowengine/runtime"
)

func (s *Server) versionRoutes() {
	operate(s, route{id: "list-versions", method: get, path: "/v1/flows/{flow}/versions", tag: "flows", scope: Flows, summary: "List the versions of a flow, with those inside"}, s.listVersions)
	operate(s, route{id: "flow-stats", method: get, path: "/v1/flows/{flow}/stats", tag: "flows", scope: Flows, summary: "Count a flow by element",
		about: "Over all versions, or of one; over all days, or some. Elements that the newest version does not have are retired. Unique users count on the day on which they came first, so that days add up."}, s.flowStats)
}

// Version is a version of a flow.
type Version struct {
	Version   uint32     `json:"version" doc:"Ordinal of the version, from 1."`
	Hash      string     `json:"hash" doc:"SHA-256 of the definition."`
	State     string     `json:"state" doc:"current, draining, stopping or retired; the newest version of a flow that is not active has the state of its flow."`
	Published time.Time  `json:"published" doc:"When it was published."`
	Until     *time.Time `json:"until,omitempty" doc:"When those inside leave, of a version that was stopped."`
	Inside    uint64     `json:"inside" doc:"Runs in it."`
}

// ViewVersions makes the plain form of versions.
func ViewVersions(all []runtime.VersionStatus) []Version {
	views := make([]Version, len(all))
	for i := range all {
		v := &all[i]
		views[i] = Version{Version: v.Ordinal, Hash: v.Hash, State: v.State, Published: v.Published, Inside: v.Inside}
		if !v.Until.IsZero() {
			views[i].Until = &v.Until
		}
	}
	return views
}

// Stats are the counters of a flow by element.
type Stats struct {
	Flow     string    `json:"flow" doc:"Id of the flow."`
	Version  uint32    `json:"version,omitempty" doc:"The only version that is counted."`
	Since    string    `json:"since,omitempty" doc:"First day that is counted."`
	Until    string    `json:"until,omitempty" doc:"Last day that is counted."`
	Versions []uint32  `json:"versions" nullable:"false" doc:"Versions of which something was counted."`
	Elements []Element `json:"elements" nullable:"false" doc:"Counters of the elements, in the order of the newest version, then those that are retired."`
}

// ViewStats makes the plain form of stats; the zero time is no bound.
func ViewStats(s *runtime.FlowStats, version uint32, since, until time.Time) *Stats {
	v := &Stats{Flow: s.Flow, Version: version, Versions: s.Versions, Elements: []Element{}}
	if v.Versions == nil {
		v.Versions = []uint32{}
	}
	for _, bound := range []struct {
		day  time.Time
		text *string
	}{{since, &v.Since}, {until, &v.Until}} {
		if !bound.day.IsZero() {
			*bound.text = bound.day.Format(time.DateOnly)
		}
	}
	for i := range s.Elements {
		e := &s.Elements[i]
		v.Elements = append(v.Elements, viewElement(e.ID, e.Retired, e.Counts, ViewCost(e.Cost)))
	}
	return v
}

type versionsOutput struct {
	Body struct {
		Versions []Version `json:"versions" nullable:"false" doc:"The versions, oldest first."`
	}
}

func (s *Server) listVersions(ctx context.Context, in *FlowInput) (*versionsOutput, error) {
	exchangeOf(ctx).flow = in.Flow
	all, err := s.rt.Versions(in.Flow)
	out := new(versionsOutput)
	out.Body.Versions = ViewVersions(all)
	return out, err
}

type statsInput struct {
	FlowInput
	Version uint32 `query:"version" doc:"The only version to count. Default: all."`
	Since   string `query:"since" format:"date" doc:"First day to count, of UTC."`
	Until   string `query:"until" format:"date" doc:"Last day to count."`
}

type statsOutput struct{ Body *Stats }

func (s *Server) flowStats(ctx context.Context, in *statsInput) (*statsOutput, error) {
	exchangeOf(ctx).flow = in.Flow
	since, err := dayIn("since", in.Since)
	if err != nil {
		return nil, err
	}
	until, err := dayIn("until", in.Until)
	if err != nil {
		return nil, err
	}
	stats, err := s.rt.Stats(in.Flow, in.Version, since, until)
	if err != nil {
		return nil, err
	}
	return &statsOutput{ViewStats(stats, in.Version, since, until)}, nil
}

func dayIn(name, text string) (day time.Time, err error) {
	if text == "" {
		return day, nil
	}
	if day, err = time.Parse(time.DateOnly, text); err != nil {
		return day, newProblem(http.StatusUnprocessableEntity, "validation failed", Fault{Parameter: name, Detail: fmt.Sprintf("%q is not a day; one such as 2026-01-31 is expected", clip(text))})
	}
	return day, nil
}

type stopInput struct {
	FlowInput
	Version uint32 `query:"version" doc:"Stop only this version, which is not the newest. Default: the whole flow."`
	Drain   string `query:"drain" maxLength:"20" doc:"How long those inside may go on, such as 7d; at most 30d. Default: they leave at once."`
}

func (s *Server) stopFlow(ctx context.Context, in *stopInput) (*flowOutput, error) {
	exchangeOf(ctx).flow = in.Flow
	drain, err := ParseDrain(in.Drain)
	if err != nil {
		return nil, newProblem(http.StatusUnprocessableEntity, "validation failed", Fault{Parameter: "drain", Detail: err.Error()})
	}
	if in.Version == 0 {
		err = s.rt.StopFlow(ctx, in.Flow, drain)
	} else {
		err = s.rt.StopVersion(ctx, in.Flow, in.Version, drain)
	}
	if err != nil {
		return nil, conflict(ctx, err)
	}
	return s.getFlow(ctx, &in.FlowInput)
}

// ParseDrain reads how long people may go on in a flow that is stopped; "" is not
// at all.
func ParseDrain(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := strict.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is not a stretch of time: one such as 7d or 12h is expected", clip(text))
	}
	return d, nil
}
