package host

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the host.
type metrics struct {
	tasks   *prometheus.CounterVec // task, port
	legs    *prometheus.CounterVec // direction, result
	refused *prometheus.CounterVec // reason: a code of forward.go
	cutOff  prometheus.Counter
	lost    prometheus.Counter
	panics  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, h *Host) *metrics {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "trunkline_voice_" + name, Help: help}, labels)
	}
	one := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "trunkline_voice_" + name, Help: help})
	}
	m := &metrics{
		tasks:   vec("tasks_total", "Call elements that were carried out, by kind and port.", "task", "port"),
		legs:    vec("legs_total", "Legs that are over, by direction (in, out) and result (answered, unanswered).", "direction", "result"),
		refused: vec("dials_refused_total", "Calls that were not made, by the rule that forbids them.", "reason"),
		cutOff:  one("cut_off_total", "Calls that were ended because the money of the day was spent."),
		lost:    one("lost_total", "Outcomes and records that the core did not take."),
		panics:  one("panics_total", "Calls that a fault in our own code has ended."),
	}
	if reg != nil {
		wheel := h.options.Media.Wheel
		reg.MustRegister(m.tasks, m.legs, m.refused, m.cutOff, m.lost, m.panics,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "trunkline_voice_calls", Help: "Calls that stand."}, func() float64 { return float64(h.Calls()) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "trunkline_voice_legs", Help: "Legs that stand."}, func() float64 { return float64(h.legs.Load()) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "trunkline_rtp_ports_in_use", Help: "Pairs of media ports in use."}, func() float64 { return float64(h.options.Media.Ports.InUse()) }),
			prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "trunkline_rtp_ticks_total", Help: "Frames of 20 ms that sessions have sent."}, func() float64 { return float64(wheel.Counts().Ticks) }),
			prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "trunkline_rtp_late_ticks_total", Help: "Of them, those more than 5 ms late."}, func() float64 { return float64(wheel.Counts().Late) }),
			prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "trunkline_rtp_skipped_rounds_total", Help: "Rounds of 20 ms that were given up because the machine was too late."}, func() float64 { return float64(wheel.Counts().Skipped) }),
		)
	}
	return m
}
