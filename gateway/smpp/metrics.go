package smpp

import (
	"errors"
	"net"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"trunkline/gateway"
	"trunkline/gateway/smpp/pdu"
)

// direction of a PDU, as seen from here.
type direction int

const (
	in direction = iota
	out
)

// metrics of the edge. Label values are bounded: carriers are configured, PDUs
// and statuses are those of the specification, reasons are constants.
type metrics struct {
	pdus         *prometheus.CounterVec   // carrier, direction: in out, pdu, status
	answerTime   *prometheus.HistogramVec // carrier
	coreTime     *prometheus.HistogramVec // carrier
	unanswered   *prometheus.CounterVec   // carrier
	late         *prometheus.CounterVec   // carrier
	stray        *prometheus.CounterVec   // carrier
	silent       *prometheus.CounterVec   // carrier
	full         *prometheus.CounterVec   // carrier
	reports      *prometheus.CounterVec   // carrier, state
	reconnects   *prometheus.CounterVec   // carrier
	turnedAway   *prometheus.CounterVec   // reason: stopping address connections connections_per_address tls
	refusedBinds *prometheus.CounterVec   // reason: see login and handleOutbind
	ended        *prometheus.CounterVec   // carrier, reason: see endName
	results      [5]prometheus.Counter    // fate
	panics       prometheus.Counter

	strangers *carrierMetrics // PDUs on sessions that are not bound
}

// carrierMetrics are a carrier's counters, found without a search.
type carrierMetrics struct {
	of         *metrics
	name       string
	good       [2][pduKinds]atomic.Pointer[prometheus.Counter]
	answerTime prometheus.Observer
	coreTime   prometheus.Observer
	full       prometheus.Counter
	reconnects prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, e *Edge) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "trunkline_smpp_" + name, Help: help}, labels)
		reg.MustRegister(c)
		return c
	}
	seconds := func(name, help string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "trunkline_smpp_" + name, Help: help, Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 13),
		}, []string{"carrier"})
		reg.MustRegister(h)
		return h
	}
	m := &metrics{
		pdus:         counter("pdus_total", "PDUs, by direction and command_status.", "carrier", "direction", "pdu", "status"),
		answerTime:   seconds("answer_seconds", "From writing a message until the carrier answered it."),
		coreTime:     seconds("commit_seconds", "From reading a message until the core had it durably."),
		unanswered:   counter("unanswered_total", "Messages that were written and not answered in time; their fate is in doubt.", "carrier"),
		late:         counter("late_answers_total", "Answers to messages that had been given up.", "carrier"),
		stray:        counter("stray_answers_total", "Answers to no known request.", "carrier"),
		silent:       counter("silent_peers_total", "Sessions dropped because the peer did not answer enquire_link.", "carrier"),
		full:         counter("queue_full_total", "Messages that found the carrier's queue full.", "carrier"),
		reports:      counter("reports_total", "Delivery reports, by state.", "carrier", "state"),
		reconnects:   counter("reconnects_total", "Sessions that ended or could not be bound, and are bound again.", "carrier"),
		turnedAway:   counter("connections_refused_total", "Connections closed before anything was read.", "reason"),
		refusedBinds: counter("binds_refused_total", "Binds refused.", "reason"),
		ended:        counter("sessions_ended_total", "Sessions that ended, by reason.", "carrier", "reason"),
		panics:       prometheus.NewCounter(prometheus.CounterOpts{Name: "trunkline_smpp_panics_total", Help: "Handlers that panicked; each is a bug."}),
	}
	results := counter("results_total", "Attempts to send, by outcome.", "fate")
	for fate, name := range map[gateway.Fate]string{
		gateway.FateAccepted: "accepted", gateway.FateRetry: "retry", gateway.FateRejected: "rejected",
		gateway.FateExpired: "expired", gateway.FateInDoubt: "in_doubt",
	} {
		m.results[fate] = results.WithLabelValues(name)
	}
	m.strangers = m.carrier("")
	reg.MustRegister(m.panics, &collector{edge: e})
	return m
}

func (m *metrics) carrier(name string) *carrierMetrics {
	return &carrierMetrics{
		of: m, name: name, answerTime: m.answerTime.WithLabelValues(name), coreTime: m.coreTime.WithLabelValues(name),
		full: m.full.WithLabelValues(name), reconnects: m.reconnects.WithLabelValues(name),
	}
}

func (m *metrics) result(f gateway.Fate) { m.results[f].Inc() }

func (c *carrierMetrics) report(s gateway.State) {
	c.of.reports.WithLabelValues(c.name, s.String()).Inc()
}

// count counts a PDU.
func (s *session) count(d direction, id pdu.ID, status pdu.Status) {
	m := s.edge.metrics.strangers
	if s.carrier != nil {
		m = s.carrier.metrics
	}
	if status != pdu.ESME_ROK {
		m.counter(d, id, status).Inc()
		return
	}
	kind := pduKind(id)
	c := m.good[d][kind].Load()
	if c == nil {
		made := m.counter(d, id, status)
		c = &made
		m.good[d][kind].Store(c)
	}
	(*c).Inc()
}

func (c *carrierMetrics) counter(d direction, id pdu.ID, status pdu.Status) prometheus.Counter {
	name := "unknown"
	if pduKind(id) != unknownKind {
		name = id.String()
	}
	return c.of.pdus.WithLabelValues(c.name, [...]string{"in", "out"}[d], name, statusName(status))
}

// statusName bounds the label: numbers that nobody defined are one value.
func statusName(s pdu.Status) string {
	switch name := s.String(); {
	case name[0] != '0':
		return name
	case s >= 0x400 && s <= 0x4FF:
		return "vendor"
	}
	return "reserved"
}

const (
	pduKinds    = 64 // above every result of pduKind
	unknownKind = 31
)

// pduKind numbers the kinds of PDU; unknown ones are one kind.
func pduKind(id pdu.ID) int {
	kind := unknownKind
	switch request := id &^ pdu.IDGenericNack; {
	case id == pdu.IDGenericNack:
		return 32
	case spoken(request):
		kind = int(request)
	}
	switch id &^ pdu.IDGenericNack {
	case pdu.IDSubmitMulti:
		kind = 22
	case pdu.IDAlertNotification:
		kind = 23
	case pdu.IDDataSM:
		kind = 24
	}
	if id.IsResponse() && kind != unknownKind {
		kind += 32
	}
	return kind
}

// endName is the label for why a session ended.
func endName(err error) string {
	for reason, name := range map[error]string{
		errClosed: "closed", errPanic: "panic", errSilent: "silent", errUnanswered: "unanswered", errUnbound: "unbound",
		errInactive: "inactive", errStopping: "stopping", errReconfigured: "reconfigured", errRefused: "refused", errFraming: "framing",
	} {
		if errors.Is(err, reason) {
			return name
		}
	}
	var n net.Error
	if errors.As(err, &n) && n.Timeout() {
		return "timeout"
	}
	return "error"
}

// collector reads the state of the carriers when it is asked.
type collector struct{ edge *Edge }

var (
	bindsDesc  = prometheus.NewDesc("trunkline_smpp_binds", "Sessions that are bound.", []string{"carrier"}, nil)
	windowDesc = prometheus.NewDesc("trunkline_smpp_window_used", "Messages that wait for the carrier's answer.", []string{"carrier"}, nil)
	owedDesc   = prometheus.NewDesc("trunkline_smpp_requests_owed", "Requests that wait for our answer.", []string{"carrier"}, nil)
	queueDesc  = prometheus.NewDesc("trunkline_smpp_queue_length", "Messages that wait for a free window.", []string{"carrier"}, nil)
	rateDesc   = prometheus.NewDesc("trunkline_smpp_pace", "Messages per second at which the carrier is fed; 0 is unlimited.", []string{"carrier"}, nil)
)

// Describe implements [prometheus.Collector].
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{bindsDesc, windowDesc, owedDesc, queueDesc, rateDesc} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, carrier string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, carrier)
	}
	for _, s := range c.edge.Status() {
		used, owed := 0, 0
		for _, b := range s.Sessions {
			used, owed = used+b.WindowUsed, owed+b.Owed
		}
		gauge(bindsDesc, float64(s.Bound), s.Carrier)
		gauge(windowDesc, float64(used), s.Carrier)
		gauge(owedDesc, float64(owed), s.Carrier)
		gauge(queueDesc, float64(s.Queue), s.Carrier)
		gauge(rateDesc, s.Pace, s.Carrier)
	}
}
