package outbound

import (
	"github.com/prometheus/client_golang/prometheus"

	"trunkline/gateway"
)

// metrics of the edge. Label values are bounded: outcome is a fate, policy and result
// are those of TLS reports (RFC 8460 §4.2 and §4.3).
type metrics struct {
	results   *prometheus.CounterVec // outcome
	tls       *prometheus.CounterVec // policy, result
	seconds   prometheus.Histogram
	throttles prometheus.Counter
	down      prometheus.Counter
	panics    prometheus.Counter
}

var outcomes = [...]string{gateway.FateAccepted: "accepted", gateway.FateRetry: "retry", gateway.FateRejected: "rejected", gateway.FateExpired: "expired", gateway.FateInDoubt: "in_doubt"}

const untried = "put_back"

func newMetrics(reg prometheus.Registerer, e *Edge) *metrics {
	m := &metrics{
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trunkline_email_attempts_total", Help: "Attempts to send a mail, by outcome; put_back are those that found no place."}, []string{"outcome"}),
		tls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trunkline_email_tls_total", Help: "Connections to mail servers by the policy that held and its result, in the words of TLS reports (RFC 8460)."}, []string{"policy", "result"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "trunkline_email_transaction_seconds", Help: "Time from MAIL to the answer to the message.", Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 13)}),
		throttles: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trunkline_email_throttled_total", Help: "Times that a server asked for less, and got it."}),
		down: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trunkline_email_unreachable_total", Help: "Times that no server of a destination could be used."}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trunkline_email_panics_total", Help: "Attempts that a fault in our own code has ended."}),
	}
	for _, o := range outcomes {
		m.results.WithLabelValues(o)
	}
	m.results.WithLabelValues(untried)
	gauge := func(name, help string, value func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			e.mu.Lock()
			defer e.mu.Unlock()
			return float64(value())
		})
	}
	reg.MustRegister(m.results, m.tls, m.seconds, m.throttles, m.down, m.panics,
		gauge("trunkline_email_connections", "Connections to mail servers.", func() int { return e.workers }),
		gauge("trunkline_email_waiting", "Mails that wait in memory for a connection.", func() int { return e.queued }),
		gauge("trunkline_email_destinations", "Domains that are remembered.", func() int { return len(e.known) }))
	return m
}

func (m *metrics) result(r gateway.Result) {
	if r.Untried {
		m.results.WithLabelValues(untried).Inc()
		return
	}
	m.results.WithLabelValues(outcomes[r.Fate]).Inc()
}
