package prompt

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	prompts *prometheus.CounterVec // source, result
}

func newMetrics(reg prometheus.Registerer, m *memory) *metrics {
	prompts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "trunkline_prompts_total", Help: "Prompts that calls asked for, by source (file, url, speech) and result: ready (in memory), made, failed.",
	}, []string{"source", "result"})
	if reg != nil {
		reg.MustRegister(prompts, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "trunkline_prompts_memory_bytes", Help: "Memory that holds prompts ready.",
		}, func() float64 { return float64(m.octets()) }))
	}
	return &metrics{prompts}
}

func (m *metrics) found(source string) { m.prompts.WithLabelValues(source, "ready").Inc() }

func (m *metrics) made(source string, err error) {
	result := "made"
	if err != nil {
		result = "failed"
	}
	m.prompts.WithLabelValues(source, result).Inc()
}
