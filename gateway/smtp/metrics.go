package smtp

import "github.com/prometheus/client_golang/prometheus"

// Reasons of refusals; the label reason has no other values.
const (
	reasonStopping    = "stopping"
	reasonConnections = "connections"
	reasonPeer        = "connections_of_address"
	reasonRate        = "rate"
	reasonRelay       = "relay"
	reasonUnknown     = "unknown_address"
	reasonAddress     = "bad_address"
	reasonSize        = "size"
	reasonNewline     = "bare_newline"
	reasonContent     = "content"
	reasonOverload    = "overload"
	reasonStore       = "unavailable"
	reasonDMARC       = "dmarc"
	reasonBroken      = "broken_off"
)

// metrics of the edge.
type metrics struct {
	messages *prometheus.CounterVec // kind
	refusals *prometheus.CounterVec // reason
	notices  *prometheus.CounterVec // kind, of
	dmarc    *prometheus.CounterVec // result
	panics   prometheus.Counter
	coreTime prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, e *Edge) *metrics {
	m := &metrics{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trunkline_smtp_messages_total", Help: "Mails that were taken, by who wrote them: accepted (a person), auto_reply, bounce, complaint, loop; only those of persons go on."}, []string{"kind"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trunkline_smtp_refusals_total", Help: "Connections, recipients and mails that were refused, by reason."}, []string{"reason"}),
		notices: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trunkline_smtp_notices_total", Help: "Bounces and complaints, by kind and by whether they name a mail of ours (ours) or none (unknown)."}, []string{"kind", "of"}),
		dmarc: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trunkline_smtp_dmarc_total", Help: "Mails of persons whose sender was checked, by the result of DMARC: pass, fail, none, temperror, permerror."}, []string{"result"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trunkline_smtp_panics_total", Help: "Sessions that a fault in our own code has ended."}),
		coreTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "trunkline_smtp_commit_seconds", Help: "Time from the end of a mail to its durable commit.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}),
	}
	for _, k := range kinds {
		m.messages.WithLabelValues(string(k))
	}
	connections := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "trunkline_smtp_connections", Help: "Connections that are held."}, func() float64 { return float64(e.connections()) })
	reg.MustRegister(m.messages, m.refusals, m.notices, m.dmarc, m.panics, m.coreTime, connections)
	return m
}

func (m *metrics) refused(reason string) { m.refusals.WithLabelValues(reason).Inc() }
