package httpapi

import (
	"context"
	"time"

	"trunkline/flowengine/experiment"
	"trunkline/flowengine/runtime"
)

func (s *Server) resultRoutes() {
	operate(s, route{id: "get-results", method: get, path: "/v1/flows/{flow}/results", tag: "flows", scope: Flows, summary: "Compare the branches of a flow's splits",
		about: "For each split of the newest version and each goal: persons, conversions, rates and differences with intervals of 95 %, and p-values that are valid however often one looks."}, s.getResults)
	operate(s, route{id: "choose-winner", method: post, path: "/v1/flows/{flow}/elements/{element}/winner", tag: "flows", scope: Admin, summary: "Let one branch of a split take everybody",
		about: "Concerns who arrives at the split from now on. The branch none lets the split draw again."}, s.chooseWinner)
}

// Result is how the branches of a split compare by one goal.
type Result struct {
	Element   string         `json:"element" doc:"The split."`
	Goal      string         `json:"goal" doc:"The goal by which branches compare."`
	Automatic bool           `json:"automatic" doc:"Whether a winner is chosen by this goal."`
	Started   *time.Time     `json:"started,omitempty" doc:"First arrival, where a winner is looked for."`
	Decided   *time.Time     `json:"decided,omitempty" doc:"When it was decided."`
	Winner    string         `json:"winner,omitempty" doc:"Branch that takes everybody."`
	Reason    string         `json:"reason,omitempty" doc:"Why it was decided so, or why not yet."`
	Mismatch  bool           `json:"sample_ratio_mismatch" doc:"Persons are not split as planned: do not trust the results before the cause is known."`
	Branches  []BranchResult `json:"branches" nullable:"false" doc:"The branches, in the order of the file."`
}

// BranchResult is what came of one branch.
type BranchResult struct {
	Branch             string     `json:"branch" doc:"branch_1, branch_2 and so on."`
	Next               string     `json:"next,omitempty" doc:"Element to which the branch leads."`
	Share              string     `json:"share" doc:"Planned share in percent."`
	Reached            uint64     `json:"reached" doc:"Persons who took the branch."`
	Converted          uint64     `json:"converted" doc:"Persons of them who reached the goal."`
	Events             uint64     `json:"events" doc:"Events that reach the goal; several may be of one person."`
	Rate               float64    `json:"rate" doc:"Converted of reached."`
	Interval           [2]float64 `json:"interval" doc:"Where the rate lies with a confidence of 95 %."`
	Difference         float64    `json:"difference" doc:"Rate less that of the best branch."`
	DifferenceInterval [2]float64 `json:"difference_interval" doc:"Where the difference lies with a confidence of 95 %."`
	PValue             float64    `json:"p_value" doc:"Always-valid p-value of being as good as the best branch, corrected for their number."`
}

// ViewResults makes the plain form of experiments.
func ViewResults(all []runtime.Experiment) []Result {
	views := make([]Result, len(all))
	for i := range all {
		e := &all[i]
		v := Result{
			Element: e.Element, Goal: e.Goal, Automatic: e.Automatic, Started: moment(e.Started), Decided: moment(e.Decided),
			Winner: e.Winner, Reason: e.Reason, Mismatch: e.Mismatch, Branches: []BranchResult{},
		}
		for j := range e.Branches {
			b := &e.Branches[j]
			v.Branches = append(v.Branches, BranchResult{
				Branch: b.Port, Next: b.Next, Share: b.Share.String(), Reached: b.Reached, Converted: b.Converted, Events: b.Events,
				Rate: b.Rate, Interval: ends(b.Interval), Difference: b.Difference, DifferenceInterval: ends(b.DifferenceInterval), PValue: b.PValue,
			})
		}
		views[i] = v
	}
	return views
}

func ends(i experiment.Interval) [2]float64 { return [2]float64{i.Low, i.High} }

// moment leaves out a time that is not known.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

type resultsOutput struct {
	Body struct {
		Results []Result `json:"results" nullable:"false" doc:"One for each split and goal."`
	}
}

func (s *Server) getResults(ctx context.Context, in *FlowInput) (*resultsOutput, error) {
	exchangeOf(ctx).flow = in.Flow
	all, err := s.rt.Experiments(in.Flow)
	out := new(resultsOutput)
	out.Body.Results = ViewResults(all)
	return out, err
}

type winnerInput struct {
	FlowInput
	Element string `path:"element" maxLength:"64" doc:"Id of the split."`
	Body    struct {
		Branch string `json:"branch" maxLength:"64" doc:"branch_1, branch_2 and so on; the element that the branch leads to; or none."`
	}
}

func (s *Server) chooseWinner(ctx context.Context, in *winnerInput) (*resultsOutput, error) {
	exchangeOf(ctx).flow = in.Flow
	if err := s.rt.ChooseWinner(ctx, in.Flow, in.Element, in.Body.Branch); err != nil {
		return nil, err
	}
	return s.getResults(ctx, &in.FlowInput)
}
