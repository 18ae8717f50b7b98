package flowengine

import (
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"

	"trunkline/flowengine/experiment"
)

// Metrics by which the branches of a split compete.
const (
	metricGoal  = "goal"
	metricOpen  = "open"
	metricClick = "click"
)

// SplitWinner lets the best branch of a split take everybody, once it has proved
// to be better (rule P6).
type SplitWinner struct {
	Metric      string              `yaml:"metric" enum:"goal,click,open" default:"goal" doc:"What the branches compete for. goal: persons who reach a goal. click: persons who follow a link of a message. open: persons who open an e-mail."`
	Goal        string              `yaml:"goal" doc:"Goal of the flow that counts. For the metric goal; may be left out when the flow has only one."`
	Window      time.Duration       `yaml:"window" default:"3d" min:"1h" max:"90d" doc:"How long to look for a winner, from the first arrival on. For the metrics click and open it is also how long one counts."`
	MinVisitors int64               `yaml:"min_visitors" default:"100" min:"1" max:"1000000000" doc:"Persons that each branch must have had before one can win."`
	Fallback    experiment.Fallback `yaml:"fallback" enum:"best,mix" default:"best" doc:"When the window ends without a significant difference. best: the branch with the highest rate takes all. mix: the split stays."`
}

// metricGoalOf is the id of the goal that stands for the clicks or opens after a split. No
// goal that is written in a file can have it.
func metricGoalOf(element, metric string) string { return element + "." + metric }

// metricEvents are the People events that metrics count.
var metricEvents = map[string]string{metricClick: EventLinkClicked, metricOpen: EventEmailOpened}

// winners resolves what each split competes for, and makes the goals that stand
// for clicks.
func (b *builder) winners() {
	for _, n := range b.version.Nodes() {
		e, ok := n.Element.(*SplitAudience)
		if !ok || e.Winner == nil {
			continue
		}
		w, at := e.Winner, []any{"elements", n.ID, "winner"}
		if event := metricEvents[w.Metric]; event != "" {
			if w.Goal != "" {
				b.errorf(append(at, "goal"), "a goal has no meaning for the metric %s", w.Metric)
			}
			w.Goal = metricGoalOf(n.ID, w.Metric)
			g := Goal{ID: w.Goal, Name: w.Metric + "s after " + n.ID, Event: event, Where: fmt.Sprintf("event.flow == %q", b.version.Flow), Window: w.Window, Anchor: n.ID}
			g.filter = EventFilter{Event: g.Event, Where: g.Where}
			g.filter.check(&Checker{Schema: b.schema, Settings: &b.version.Settings, at: at, report: b.report})
			b.version.Goals = append(b.version.Goals, g)
			continue
		}
		b.winnerGoal(w, at)
	}
}

// winnerGoal finds the goal that branches compete for. Goals are no part of a
// version, so one that was stored has none to look at.
func (b *builder) winnerGoal(w *SplitWinner, at []any) {
	goals := b.definition.Goals
	if b.numbers == nil && len(goals) == 0 {
		return
	}
	var ids []string
	for i := range goals {
		if ids = append(ids, goals[i].ID); goals[i].ID == w.Goal {
			return
		}
	}
	switch {
	case w.Goal != "":
		b.errorf(append(at, "goal"), "the flow has no goal %q%s", w.Goal, didYouMean(w.Goal, ids))
	case len(ids) == 1:
		w.Goal = ids[0]
	case len(ids) == 0:
		b.errorf(at, "the flow has no goal that the branches could compete for: add one under goals, or use the metric click")
	default:
		b.errorf(at, "name the goal that the branches compete for: the flow has %d", len(ids))
	}
}

// Winner is the branch of a split that takes everybody who arrives (rule P6).
type Winner struct {
	Element string
	Plan    uint64 // of the split that it was chosen in
	Branch  int
}

// Plan tells a split from one with other shares or ways: what was chosen for the
// one means nothing for the other.
func (e *SplitAudience) Plan() uint64 {
	h := xxhash.New()
	for _, b := range e.Branches {
		fmt.Fprintf(h, "%d>%s\n", b.Share, b.Next)
	}
	return h.Sum64()
}

// won is the branch of the split that everybody takes who arrives now.
func (x *Passage) won(e *SplitAudience) (branch int, ok bool) {
	f := x.Set.Flow(x.Run.Flow)
	if f == nil {
		return 0, false
	}
	for i := range f.Winners {
		if w := &f.Winners[i]; w.Element == x.Element && w.Branch < len(e.Branches) && w.Plan == e.Plan() {
			return w.Branch, true
		}
	}
	return 0, false
}

// BranchPort names the i-th branch of an element, from 0, in history and counters.
func BranchPort(i int) string { return branchPort(i) }
