package sip

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the edge. Label values are bounded: trunks are configured, methods
// and reasons are constants, codes are three digits.
type metrics struct {
	requests     *prometheus.CounterVec // trunk, method, code
	responses    *prometheus.CounterVec // class: 1xx … 6xx
	drops        *prometheus.CounterVec // reason: unknown_source source_rate unreadable too_large stray_response mailbox connections tls
	sheds        *prometheus.CounterVec // trunk, reason: late rate calls
	repeats      *prometheus.CounterVec // direction: in out
	ends         *prometheus.CounterVec // trunk, direction: in out, code
	setup        *prometheus.HistogramVec
	digests      *prometheus.CounterVec // result: good stale wrong
	registers    *prometheus.CounterVec // result: done failed
	messagesSent prometheus.Counter
	sendFailures prometheus.Counter
	reopened     prometheus.Counter
	late         prometheus.Counter
	panics       prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, e *Edge) *metrics {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "trunkline_sip_" + name, Help: help}, labels)
		reg.MustRegister(c)
		return c
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "trunkline_sip_" + name, Help: help})
		reg.MustRegister(c)
		return c
	}
	m := &metrics{
		requests:  vec("requests_total", "Requests of peers, by the final code of our answer.", "trunk", "method", "code"),
		responses: vec("responses_total", "Responses of peers to our requests.", "class"),
		drops:     vec("dropped_total", "Messages and connections that were not taken.", "reason"),
		sheds:     vec("shed_total", "New calls refused with 503 because a limit was reached.", "trunk", "reason"),
		repeats:   vec("repeated_total", "Messages that came or were sent again.", "direction"),
		ends:      vec("calls_ended_total", "Legs that ended, by the status that tells why.", "trunk", "direction", "code"),
		setup: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "trunkline_sip_call_seconds", Help: "How long answered legs lasted, from their INVITE.", Buckets: prometheus.ExponentialBuckets(1, 3, 10),
		}, []string{"direction"}),
		digests:      vec("digests_total", "Digests of peers that were checked.", "result"),
		registers:    vec("registrations_total", "Attempts to register with a provider.", "result"),
		messagesSent: counter("messages_sent_total", "Messages sent, repetitions not counted."),
		sendFailures: counter("send_failures_total", "Messages that the system did not take."),
		reopened:     counter("listeners_reopened_total", "UDP listeners that failed and were opened again."),
		late:         counter("late_answers_total", "Answers to calls that had been given up, which were hung up."),
		panics:       counter("panics_total", "Handlers that panicked; each is a bug."),
	}
	reg.MustRegister(m.setup, &collector{e})
	return m
}

// request counts a request by how it was answered.
func (m *metrics) request(trunk, method string, code int) {
	if _, ok := known[method]; !ok {
		method = "other"
	}
	m.requests.WithLabelValues(trunk, method, strconv.Itoa(code)).Inc()
}

func (m *metrics) response(status int) {
	m.responses.WithLabelValues([...]string{"1xx", "2xx", "3xx", "4xx", "5xx", "6xx"}[status/100-1]).Inc()
}

func (m *metrics) dropped(reason string)       { m.drops.WithLabelValues(reason).Inc() }
func (m *metrics) shed(trunk, reason string)   { m.sheds.WithLabelValues(trunk, reason).Inc() }
func (m *metrics) repeated(direction string)   { m.repeats.WithLabelValues(direction).Inc() }
func (m *metrics) logins(result string)        { m.digests.WithLabelValues(result).Inc() }
func (m *metrics) registrations(result string) { m.registers.WithLabelValues(result).Inc() }
func (m *metrics) sent([]byte)                 { m.messagesSent.Inc() }

func (m *metrics) ended(l *Leg, c Cause) {
	direction := "out"
	if l.Inbound {
		direction = "in"
	}
	m.ends.WithLabelValues(l.Trunk, direction, strconv.Itoa(c.Code)).Inc()
	if c.Answer {
		m.setup.WithLabelValues(direction).Observe(time.Since(l.Received).Seconds())
	}
}

// collector reads the state of the trunks when it is asked.
type collector struct{ edge *Edge }

var (
	callsDesc        = prometheus.NewDesc("trunkline_sip_calls", "Legs that stand or are being set up.", []string{"trunk"}, nil)
	upDesc           = prometheus.NewDesc("trunkline_sip_trunk_up", "1 while the trunk answers.", []string{"trunk"}, nil)
	registeredDesc   = prometheus.NewDesc("trunkline_sip_trunk_registered", "1 while the trunk is registered with its provider.", []string{"trunk"}, nil)
	transactionsDesc = prometheus.NewDesc("trunkline_sip_transactions", "Transactions that run.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{callsDesc, upDesc, registeredDesc, transactionsDesc} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, s := range c.edge.Status() {
		gauge(callsDesc, float64(s.Calls), s.Trunk)
		gauge(upDesc, float64(number01(s.State == "up")), s.Trunk)
		if s.Registration != "" {
			gauge(registeredDesc, float64(number01(s.Registration == "registered")), s.Trunk)
		}
	}
	_, transactions := c.edge.table.count()
	gauge(transactionsDesc, float64(transactions))
}
