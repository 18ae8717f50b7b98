package webhook

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the edge. Label values are bounded: kind is call or webhook, outcome
// is ok, a Failure, or status_1xx,
// status_3xx, status_4xx, status_429, status_5xx.
type metrics struct {
	requests *prometheus.CounterVec // kind, outcome
	attempts *prometheus.CounterVec // outcome
	seconds  prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, e *Edge) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trunkline_webhook_requests_total", Help: "Requests that were answered to who made them, by outcome."}, []string{"kind", "outcome"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trunkline_webhook_attempts_total", Help: "Attempts, by outcome."}, []string{"outcome"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "trunkline_webhook_attempt_seconds", Help: "Time from the search for a host to the end of its answer.", Buckets: prometheus.ExponentialBuckets(0.005, 2.5, 11)}),
	}
	reg.MustRegister(m.requests, m.attempts, m.seconds, &collector{e})
	return m
}

func (m *metrics) request(r *Request, a *Response) {
	kind := "call"
	if r.signed() {
		kind = "webhook"
	}
	m.requests.WithLabelValues(kind, a.outcome()).Inc()
}

func (m *metrics) attempt(a *Response, d time.Duration) {
	m.attempts.WithLabelValues(a.outcome()).Inc()
	m.seconds.Observe(d.Seconds())
}

// collector reads the queue when it is asked.
type collector struct{ edge *Edge }

var (
	runningDesc = prometheus.NewDesc("trunkline_webhook_running", "Requests on their way.", nil, nil)
	waitingDesc = prometheus.NewDesc("trunkline_webhook_waiting", "Requests that wait for their turn or their next attempt.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- runningDesc
	ch <- waitingDesc
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	c.edge.mu.Lock()
	running, held := c.edge.schedule.running, c.edge.schedule.held
	c.edge.mu.Unlock()
	ch <- prometheus.MustNewConstMetric(runningDesc, prometheus.GaugeValue, float64(running))
	ch <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(held-running))
}
