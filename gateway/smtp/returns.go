package smtp

import (
	"slices"
	"strings"
	"time"

	"trunkline/gateway"
	"trunkline/gateway/smtp/notice"
	"trunkline/gateway/smtp/verp"
)

// returnPath tells which mail of ours an address is the return path of. Whatever its
// domain is: only we can make such an address.
func (e *Edge) returnPath(address string) (reference string, ok bool) {
	if e.returns == nil {
		return "", false
	}
	local, _, _ := strings.Cut(address, "@")
	return e.returns.Parse(local)
}

// reference finds the mail that a notice names, by its return path or Message-ID.
func (e *Edge) reference(name string) (reference string, ok bool) {
	if reference, ok = e.returnPath(name); ok {
		return reference, true
	}
	left, _, _ := strings.Cut(name, "@")
	return verp.FromMessageID(left)
}

// aboutMost bounds the mails that one notice is about. One of ours has one recipient,
// so there is one, but for reports that providers gather.
const aboutMost = 8

// tell hands what a notice says to the core, for each mail of ours that it is about.
// What the core does not know was not sent by us, and nothing comes of it.
func (s *session) tell(l *letter, about []string) error {
	for _, name := range l.notice.About {
		if reference, ok := s.edge.reference(name); ok && !slices.Contains(about, reference) {
			about = append(about, reference)
		}
	}
	about = about[:min(len(about), aboutMost)]
	r, ok := reportOf(l.notice)
	if !ok || len(about) == 0 {
		s.edge.metrics.notices.WithLabelValues(string(l.kind), "unknown").Inc()
		return nil
	}
	now := time.Now()
	r.Received = now
	results := make(chan error, len(about))
	for _, reference := range about {
		r.Keys = []string{reference}
		s.edge.core.Report(r, func(err error) { results <- err })
	}
	s.edge.metrics.notices.WithLabelValues(string(l.kind), "ours").Add(float64(len(about)))
	return s.await(results, len(about), now)
}

// reportOf translates a notice; ok is false when nothing can be made of it.
func reportOf(n *notice.Notice) (r gateway.Report, ok bool) {
	r = gateway.Report{Channel: gateway.Email, Carrier: carrierName}
	if n.Kind == notice.Complaint {
		r.Complaint = true
		return r, true
	}
	worst := n.Worst()
	r.Address, r.Code = worst.Address, worst.Status
	switch worst.Action {
	case notice.Failed:
		r.State = gateway.Undeliverable
		if worst.Status == statusExpired {
			r.State = gateway.Expired
		}
	case notice.Delayed:
		r.State = gateway.Enroute
	case notice.Delivered:
		r.State = gateway.Delivered
	case notice.Relayed:
		r.State = gateway.Accepted
	default:
		return r, false
	}
	return r, true
}

// statusExpired: the time for trying is over (RFC 3463 §3.5).
const statusExpired = "4.4.7"
