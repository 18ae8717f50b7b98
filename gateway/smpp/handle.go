package smpp

import (
	"trunkline/gateway/smpp/pdu"
)

// handle acts on the PDU in s.buf.
func (s *session) handle(h pdu.Header) {
	if h.ID.IsResponse() {
		s.count(in, h.ID, h.Status)
		s.handleResponse(h)
		return
	}
	s.count(in, h.ID, pdu.ESME_ROK)
	if !spoken(h.ID) {
		s.reply(h.Nack(pdu.ESME_RINVCMDID))
		return
	}
	switch h.ID {
	case pdu.IDBindReceiver, pdu.IDBindTransmitter, pdu.IDBindTransceiver:
		s.handleBind(h)
		return
	case pdu.IDOutbind:
		s.handleOutbind()
		return
	}
	if at := s.at(); at != stateBound && at != stateParting {
		if h.ID != pdu.IDAlertNotification { // it has no response
			s.reply(h.Response(pdu.ESME_RINVBNDSTS))
		}
		return
	}
	switch h.ID {
	case pdu.IDEnquireLink:
		s.reply(h.Response(pdu.ESME_ROK))
	case pdu.IDUnbind:
		s.start("unbinding", func() { s.partFrom(h) })
	default:
		s.handleMessage(h)
	}
}

// spoken reports whether requests with this id are known here. The
// broadcast_sm family of SMPP 5.0 is not.
func spoken(id pdu.ID) bool {
	switch id {
	case pdu.IDBindReceiver, pdu.IDBindTransmitter, pdu.IDBindTransceiver, pdu.IDOutbind,
		pdu.IDUnbind, pdu.IDEnquireLink, pdu.IDSubmitSM, pdu.IDSubmitMulti, pdu.IDDeliverSM,
		pdu.IDDataSM, pdu.IDQuerySM, pdu.IDCancelSM, pdu.IDReplaceSM, pdu.IDAlertNotification:
		return true
	}
	return false
}

// allowed reports whether the peer may send the request on this session (SMPP
// 3.4 §2.3, Table 2-1): one that bound to us submits on a transmitter or
// transceiver, a message centre delivers on a receiver or transceiver.
func (s *session) allowed(id pdu.ID) bool {
	switch id {
	case pdu.IDSubmitSM, pdu.IDSubmitMulti, pdu.IDQuerySM, pdu.IDCancelSM, pdu.IDReplaceSM:
		return !s.client && s.receives
	case pdu.IDDeliverSM, pdu.IDAlertNotification:
		return s.client && s.receives
	case pdu.IDDataSM:
		return s.receives
	}
	return false
}

// handleMessage acts on a request of a bound peer that is about messages.
func (s *session) handleMessage(h pdu.Header) {
	if !s.allowed(h.ID) {
		if h.ID != pdu.IDAlertNotification {
			s.reply(h.Response(pdu.ESME_RINVBNDSTS))
		}
		return
	}
	s.active.Store(s.heard.Load())
	if h.ID == pdu.IDAlertNotification {
		s.handleAlert()
		return
	}
	if status := s.admit(); status != pdu.ESME_ROK {
		s.reply(h.Response(status))
		return
	}
	switch h.ID {
	case pdu.IDSubmitSM, pdu.IDDeliverSM:
		s.handleSM(h)
	case pdu.IDDataSM:
		s.handleData(h)
	case pdu.IDSubmitMulti:
		s.handleMulti(h)
	case pdu.IDQuerySM:
		s.handleQuery(h)
	case pdu.IDCancelSM:
		s.handleCancel(h)
	case pdu.IDReplaceSM:
		s.handleReplace(h)
	}
}

// admit sheds what is too much before anything of it is decoded.
func (s *session) admit() pdu.Status {
	switch {
	case s.at() != stateBound || s.edge.stopping.Load():
		return s.stopped()
	case s.owed.Load() >= s.windowIn:
		return pdu.ESME_RMSGQFUL
	}
	now := s.edge.now()
	if !s.rateIn.take(now) {
		return pdu.ESME_RTHROTTLED
	}
	if !s.carrier.rateIn.take(now) {
		s.rateIn.putBack()
		return pdu.ESME_RTHROTTLED
	}
	return pdu.ESME_ROK
}

// stopped is the answer of one who takes no new work: temporary, in the words
// of each direction.
func (s *session) stopped() pdu.Status {
	if s.client {
		return pdu.ESME_RX_T_APPN
	}
	return pdu.ESME_RSYSERR
}

// handleAlert takes note that a mobile is reachable again. The core has no use
// for it: what waits for a mobile waits at the message centre.
func (s *session) handleAlert() {
	var m pdu.AlertNotification
	if err := m.Decode(s.buf); err != nil {
		s.edge.log.Debug("an alert_notification is broken", "carrier", s.name(), "error", err)
	}
}

// handleResponse acts on the answer to a request of ours.
func (s *session) handleResponse(h pdu.Header) {
	switch h.ID {
	case pdu.IDEnquireLinkResp:
	case pdu.IDUnbindResp:
		s.unboundOnce.Do(func() { close(s.unbound) })
	case pdu.IDBindReceiverResp, pdu.IDBindTransmitterResp, pdu.IDBindTransceiverResp:
		s.handleBindResponse(h)
	case pdu.IDSubmitSMResp, pdu.IDDeliverSMResp:
		if h.ID != s.carries().Response() {
			s.stray(h)
			return
		}
		s.handleAnswer(h)
	case pdu.IDGenericNack:
		if s.at() == stateBinding {
			s.handleBindResponse(h)
			return
		}
		s.handleAnswer(h)
	default:
		s.stray(h)
	}
}

// stray counts a response that answers nothing we know of. It is no reason to
// end the session: it may answer what was given up long ago.
func (s *session) stray(h pdu.Header) {
	s.edge.metrics.stray.WithLabelValues(s.name()).Inc()
	s.edge.log.Debug("an SMPP response answers no request", "carrier", s.name(), "pdu", h.ID.String(), "status", h.Status.String())
}

// handleAnswer is the peer's answer to a message of ours.
func (s *session) handleAnswer(h pdu.Header) {
	j, written, known := s.take(h.Sequence)
	if !known {
		s.stray(h)
		return
	}
	now := s.edge.clock()
	s.answered.Store(now)
	s.active.Store(now)
	if j == nil { // it was given up
		s.edge.metrics.late.WithLabelValues(s.name()).Inc()
		s.carrier.pump()
		return
	}
	if written != 0 {
		s.carrier.metrics.answerTime.Observe(float64(now-written) / 1e9)
	}
	if h.Status != pdu.ESME_ROK {
		s.carrier.refused(j, h.Status)
		return
	}
	var id []byte
	if s.resp.Decode(s.buf) == nil { // the message is taken, whatever is wrong with the rest
		id = s.resp.MessageID
	}
	s.carrier.accepted(j, id)
}
