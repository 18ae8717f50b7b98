package runtime

import (
	"github.com/prometheus/client_golang/prometheus"

	"trunkline/flowengine"
)

// metrics of the runtime. Label values are bounded: task names and outcomes are
// constants, flows and elements are what is configured.
type metrics struct {
	tasks    *prometheus.CounterVec // task
	panics   prometheus.Counter
	batch    prometheus.Histogram
	commit   prometheus.Histogram
	persons  prometheus.Counter
	inbound  *prometheus.CounterVec // channel, outcome: reserved wait entry no_match refused unrouted duplicate
	parts    *prometheus.CounterVec // outcome: joined incomplete damaged
	sends    *prometheus.CounterVec // channel, fate: accepted retry rejected expired in_doubt
	inDoubt  *prometheus.CounterVec // policy: sent_again assumed_sent
	reports  *prometheus.CounterVec // outcome: matched duplicate intermediate early unmatched damaged
	refused  *prometheus.CounterVec // flow, reason
	entries  *prometheus.CounterVec // flow
	exits    *prometheus.CounterVec // flow, reason
	engaged  *prometheus.CounterVec // flow, element
	sentUnit *prometheus.CounterVec // flow, element

	participants *prometheus.CounterVec // status: accepted rejected
	clicks       *prometheus.CounterVec // kind: click preview untracked excess
	clicked      *prometheus.CounterVec // flow, element
	mail         *prometheus.CounterVec // flow, element, what
	hooksDropped prometheus.Counter
	calls        *prometheus.CounterVec // direction: in out; result: answered unanswered lost
	suppressed   *prometheus.CounterVec // reason: hard_bounce complaint opt_out operator
}

func newMetrics(reg prometheus.Registerer, rt *Runtime) *metrics {
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "trunkline_" + name, Help: help}, labels)
		reg.MustRegister(c)
		return c
	}
	one := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "trunkline_" + name, Help: help})
		reg.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "trunkline_" + name, Help: help, Buckets: buckets})
		reg.MustRegister(h)
		return h
	}
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "trunkline_tasks_waiting", Help: "Tasks that wait for their executor."}, func() float64 {
		n := 0
		for _, ex := range rt.executors {
			n += len(ex.queue) + len(ex.jobs)
		}
		return float64(n)
	}))
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "trunkline_webhooks_dead", Help: "Webhooks kept that could not be delivered."}, func() float64 {
		n := int64(0)
		for _, ex := range rt.executors {
			n += ex.dead.Load()
		}
		return float64(n)
	}))
	return &metrics{
		tasks:    counters("tasks_total", "Tasks executed, by kind.", "task"),
		panics:   one("task_panics_total", "Tasks that panicked; each is a bug."),
		batch:    histogram("commit_tasks", "Tasks in one durable batch.", prometheus.ExponentialBuckets(1, 2, 10)),
		commit:   histogram("commit_seconds", "From the first task of a batch until it is durable.", prometheus.ExponentialBuckets(0.0005, 2, 14)),
		persons:  one("persons_created_total", "Persons created."),
		inbound:  counters("inbound_total", "Inbound messages, by who consumed them.", "channel", "outcome"),
		parts:    counters("inbound_parts_total", "Messages of several parts, by what became of them.", "outcome"),
		sends:    counters("sends_total", "Attempts to send, by outcome.", "channel", "fate"),
		inDoubt:  counters("sends_in_doubt_total", "Messages whose fate a lost answer or a restart left open, by what was done.", "policy"),
		reports:  counters("reports_total", "Delivery reports received, by outcome.", "outcome"),
		refused:  counters("entry_rejected_total", "Entries that were refused.", "flow", "reason"),
		entries:  counters("flow_entries_total", "Persons who entered a flow.", "flow"),
		exits:    counters("flow_exits_total", "Runs that ended.", "flow", "reason"),
		engaged:  counters("element_engagements_total", "Arrivals at an element.", "flow", "element"),
		sentUnit: counters("element_messages_sent_total", "Message units that carriers accepted.", "flow", "element"),

		clicks:  counters("link_requests_total", "Requests of short links that exist, by what was made of them.", "kind"),
		clicked: counters("element_clicks_total", "Clicks on the links of an element's messages.", "flow", "element"),
		mail:    counters("element_mail_total", "What was done with an element's e-mails: opened, unsubscribed, complained, machine_open, machine_click.", "flow", "element", "what"),

		suppressed:   counters("email_suppressed_total", "Addresses that were put on the suppression list, by reason.", "reason"),
		hooksDropped: one("webhooks_dropped_total", "Webhooks that could not be delivered and were not kept, because too many are."),

		calls: counters("call_legs_total", "Legs of calls that are over, by direction (in, out) and result (answered, unanswered, lost).", "direction", "result"),

		participants: counters("participants_total", "Participants of Flow API requests, by what became of them.", "status"),
	}
}

// call counts a leg that is over.
func (m *metrics) call(r *CallRecord) {
	direction, result := "in", "answered"
	if r.Outbound {
		direction = "out"
	}
	switch {
	case r.Detail == DetailLost:
		result = "lost"
	case r.Answered.IsZero():
		result = "unanswered"
	}
	m.calls.WithLabelValues(direction, result).Inc()
}

// event counts one line of history.
func (m *metrics) event(e *flowengine.Event) {
	switch e.Kind {
	case flowengine.Entered:
		m.entries.WithLabelValues(e.Flow).Inc()
	case flowengine.Exited:
		m.exits.WithLabelValues(e.Flow, e.Detail).Inc()
	case flowengine.Refused:
		m.refused.WithLabelValues(e.Flow, e.Detail).Inc()
	case flowengine.Engaged:
		m.engaged.WithLabelValues(e.Flow, e.Element).Inc()
	case flowengine.Clicked:
		m.clicked.WithLabelValues(e.Flow, e.Element).Inc()
	case flowengine.Opened:
		m.mail.WithLabelValues(e.Flow, e.Element, "opened").Inc()
	case flowengine.Unsubscribed:
		m.mail.WithLabelValues(e.Flow, e.Element, "unsubscribed").Inc()
	case flowengine.Complained:
		m.mail.WithLabelValues(e.Flow, e.Element, "complained").Inc()
	case flowengine.Scanned:
		m.mail.WithLabelValues(e.Flow, e.Element, "machine_"+e.Detail).Inc()
	case flowengine.Accepted, flowengine.Failed:
		if e.Units > 0 && e.Element != "" {
			m.sentUnit.WithLabelValues(e.Flow, e.Element).Add(float64(e.Units))
		}
	}
}
