package host

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"trunkline/gateway"
	"trunkline/gateway/rtp"
	"trunkline/gateway/rtp/dtmf"
	"trunkline/gateway/rtp/sdp"
	"trunkline/gateway/sip"
	"trunkline/ivr"
)

// leg is one side of a call: its dialog and its sound.
type leg struct {
	call    *call
	number  ivr.Leg
	sip     *sip.Leg // nil: not dialled, or refused
	attempt int      // which of its dialogs, of a leg that is tried over several routes
	session *rtp.Session
	cancel  context.CancelFunc // of the session
	record  gateway.CallRecord

	answered bool
	progress bool // early media was announced
	hung     bool // we have ended it
	over     bool
	detail   string // why, when it was us
	playing  uint32 // prompt that it hears or will; 0: none
	heard    key    // the last key, to tell those that come both ways

	connected *leg
	dialling  *dialling // of a leg that we dial
}

// key is a press, and by which way it came.
type key struct {
	digit  byte
	info   bool
	at     time.Time
	before bool // there was one
}

// bothWays is within which time the same key by both ways is one press.
const bothWays = 500 * time.Millisecond

func (c *call) newLeg(n ivr.Leg) *leg {
	lg := &leg{call: c, number: n}
	lg.record = gateway.CallRecord{Call: c.id, Leg: uint16(n), Setup: time.Now()}
	c.legs[n] = lg
	c.host.legs.Add(1)
	return lg
}

func (lg *leg) inbound() bool { return lg.sip != nil && lg.sip.Inbound }

// open opens the leg's session, if it has none.
func (lg *leg) open() error {
	if lg.session != nil {
		return nil
	}
	h := lg.call.host
	s, err := rtp.NewSession(h.options.Media)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(lg.call.ctx)
	lg.session, lg.cancel = s, cancel
	h.running.Add(2)
	go func() { defer h.running.Done(); _ = s.Run(ctx) }()
	go func() { defer h.running.Done(); lg.listen(ctx, s) }()
	return nil
}

// listen passes keys and silence on to the call.
func (lg *leg) listen(ctx context.Context, s *rtp.Session) {
	for {
		select {
		case d := <-s.Digits():
			lg.call.do(func() { lg.pressed(byte(d), false) })
		case <-s.Inactive():
			lg.call.do(func() {
				if !lg.over {
					lg.detail = "no_media"
					lg.end(ivr.CauseNormal)
				}
			})
		case <-ctx.Done():
			return
		}
	}
}

// pressed takes a key. Peers that send each both in the sound's stream and by
// INFO press it once.
func (lg *leg) pressed(digit byte, info bool) {
	now := time.Now()
	last := lg.heard
	lg.heard = key{digit, info, now, true}
	if last.before && last.digit == digit && last.info != info && now.Sub(last.at) < bothWays {
		lg.heard.before = false // the next one is another press
		return
	}
	if info && lg.connected != nil && lg.connected.session != nil {
		_ = lg.connected.session.SendDigits(string(digit), 0) // a full queue has keys enough
		return
	}
	lg.call.handle(ivr.Key{Leg: lg.number, Key: digit})
}

// local is our side of the sound.
func (lg *leg) local() sdp.Local {
	return sdp.Local{Media: netip.AddrPortFrom(lg.call.host.options.Advertised, lg.session.Port())}
}

// early lets a caller who is not answered yet hear what is played.
func (lg *leg) early() error {
	if err := lg.open(); err != nil {
		return err
	}
	if !lg.answered && lg.inbound() && lg.record.Answered.IsZero() && !lg.progress {
		lg.progress = true
		lg.sip.EarlyMedia(lg.local())
	}
	return nil
}

// silence ends what the leg hears.
func (lg *leg) silence() {
	lg.playing = 0
	if lg.session == nil {
		return
	}
	lg.session.StopPlaying()
	if lg.connected == nil {
		lg.session.Unbridge()
	}
}

// end hangs up.
func (lg *leg) end(cause ivr.Cause) {
	lg.hung = true
	switch {
	case lg.sip == nil:
		lg.call.do(func() { lg.call.ended(lg, sip.Cause{}) })
	case !lg.inbound() || lg.answered:
		lg.sip.Hangup(0)
	case cause == ivr.CauseBusy:
		lg.sip.Reject(486)
	case cause == ivr.CauseRejected:
		lg.sip.Reject(603)
	case cause == ivr.CauseNotFound:
		lg.sip.Reject(404)
	default:
		lg.sip.Hangup(0)
	}
}

// happened takes an event of the leg's dialog.
func (c *call) happened(lg *leg, attempt int, e sip.Event) {
	if attempt != lg.attempt || lg.over {
		return // of a route that was given up
	}
	switch e := e.(type) {
	case sip.Ringing:
		if lg.record.Alerting.IsZero() {
			lg.record.Alerting = time.Now()
		}
		c.handle(ivr.Ringing{Leg: lg.number})
	case sip.Media:
		c.agreed(lg, e)
	case sip.Answered:
		c.answered(lg, e.Trace)
	case sip.Digit:
		if d, ok := dtmf.ParseDigit(e.Digit); ok {
			lg.pressed(byte(d), true)
		}
	case sip.Transfer:
		lg.sip.TransferProgress(603)
	case sip.Ended:
		c.dialogEnded(lg, e.Cause)
	}
}

func (c *call) agreed(lg *leg, e sip.Media) {
	if lg.session == nil {
		return
	}
	if err := lg.session.Agree(e.Agreed); err != nil {
		c.host.log.Error("what was agreed on can't be played", "call", c.id, "error", err)
		lg.detail = "media"
		lg.end(ivr.CauseNormal)
		return
	}
	lg.record.Codec = e.Codec.Name
	if e.Early && !lg.inbound() {
		c.handle(ivr.EarlyMedia{Leg: lg.number})
	}
}

func (c *call) answered(lg *leg, trace string) {
	if lg.answered {
		return
	}
	if lg.hung { // the answer crossed our hang-up: somebody may charge for it
		if !lg.inbound() {
			lg.record.Answered, lg.record.Status = time.Now(), 200
		}
		return
	}
	lg.answered = true
	if !lg.inbound() {
		lg.record.Answered = time.Now()
		lg.record.Status = 200
		lg.record.Trace = trace
		c.owe(lg)
		c.talkBegins(lg)
	}
	c.handle(ivr.Answered{Leg: lg.number})
}

// owePatience is how long a peer waits to be told that the call stands; it asks
// for 32 seconds (RFC 3261 §13.3.1.4).
const owePatience = 10 * time.Second

// owe keeps the record of a leg that we have made and that is answered now. The peer
// is told that the call stands when that is durable: a crash loses no leg that
// somebody charges for.
func (c *call) owe(lg *leg) {
	lg.keep(func(err error) {
		c.do(func() {
			switch {
			case lg.over || lg.hung:
			case err == nil:
				lg.sip.Confirm()
			case errors.Is(err, gateway.ErrOverload) && time.Since(lg.record.Answered) < owePatience:
				time.AfterFunc(againFirst, func() {
					c.do(func() {
						if !lg.over { // an open record after the final one would stay
							c.owe(lg)
						}
					})
				})
			default:
				lg.detail = "store"
				lg.end(ivr.CauseNormal)
			}
		})
	})
}

// dialogEnded goes on with the next route, or ends the leg.
func (c *call) dialogEnded(lg *leg, cause sip.Cause) {
	if c.nextRoute(lg, cause) {
		return
	}
	c.ended(lg, cause)
}

// ended is the end of a leg.
func (c *call) ended(lg *leg, cause sip.Cause) {
	if lg.over {
		return
	}
	lg.over = true
	answered := lg.answered || cause.Answer
	lg.close(cause, answered)
	if lg.connected != nil {
		lg.connected.connected = nil
		lg.connected = nil
	}
	code := lg.detail
	at := c.now()
	if c.legs[lg.number] != lg { // another attempt has taken its place
		c.leave()
		return
	}
	switch {
	case lg.number == ivr.Caller && c.starting != nil && !answered && !lg.hung, lg.number != ivr.Caller && !answered && !lg.hung:
		why, code := lg.unanswered(cause)
		c.handle(ivr.Failed{Leg: lg.number, Why: why, Code: code})
	case lg.number == ivr.Caller && c.recording != nil:
		c.waiting = &ivr.Ended{Leg: lg.number, Code: code, At: at}
		c.stopRecording()
	case lg.number == ivr.Caller:
		c.callerEnded(ivr.Ended{Leg: lg.number, Code: code, At: at})
	default:
		c.handle(ivr.Ended{Leg: lg.number, Code: code, At: at})
	}
	if lg.number == ivr.Caller {
		for _, other := range c.legs {
			if !other.over && !other.hung {
				other.end(ivr.CauseNormal)
			}
		}
	}
	c.leave()
}

// close gives the session back and completes the record.
func (lg *leg) close(cause sip.Cause, answered bool) {
	h := lg.call.host
	h.legs.Add(-1)
	r := &lg.record
	if lg.session != nil {
		q := lg.session.Quality()
		r.Quality = gateway.CallQuality{MOS: q.MOS, Lost: share(q), Jitter: q.Jitter}
		if !answered {
			r.Quality = gateway.CallQuality{}
		}
		lg.cancel()
	}
	r.Final, r.Ended, r.Trace = true, time.Now(), ""
	if !answered {
		r.Answered = time.Time{}
	}
	if cause.Code != 0 && (!answered || r.Status == 0) {
		r.Status = cause.Code
	}
	r.Cause = uint8(max(0, min(cause.Q850, 127)))
	r.By, r.Detail = lg.endedBy(cause), lg.detail
	lg.settle()
	lg.call.host.metrics.legs.WithLabelValues(direction(r.Outbound), result(answered)).Inc()
	r.Ref = lg.ref()
	record := *r
	h.tell(func(done func(error)) { h.options.Core.CallRecord(record, done) })
}

// share is how much of what the peer sent us was lost.
func share(q rtp.Quality) float64 {
	sent := float64(q.Received) + float64(q.Lost)
	if q.Lost <= 0 || sent <= 0 {
		return 0
	}
	return float64(q.Lost) / sent
}

func direction(outbound bool) string {
	if outbound {
		return "out"
	}
	return "in"
}

func result(answered bool) string {
	if answered {
		return "answered"
	}
	return "unanswered"
}

// endedBy says who ended the leg, and why when it was we.
func (lg *leg) endedBy(cause sip.Cause) string {
	if cause.By == sip.Peer && !lg.hung {
		if lg.record.Outbound {
			return "callee"
		}
		return "caller"
	}
	if cause.By == sip.Gateway && lg.detail == "" {
		lg.detail = strings.ReplaceAll(strings.ToLower(cause.Text), " ", "_")
	}
	return "us"
}

// ref is for which element the leg is.
func (lg *leg) ref() gateway.CallRef {
	if lg.record.Ref != (gateway.CallRef{}) {
		return lg.record.Ref
	}
	return lg.call.ref
}

// keep lets the core keep the record as it is.
func (lg *leg) keep(done func(error)) {
	r := lg.record
	r.Ref, r.Ended = lg.ref(), time.Now()
	lg.call.host.options.Core.CallRecord(r, done)
}

// unanswered is why a leg did not come about.
func (lg *leg) unanswered(cause sip.Cause) (ivr.Port, string) {
	if cause.Code == 0 {
		return ivr.PortFailed, lg.detail
	}
	code := fmt.Sprintf("sip_%d", cause.Code)
	switch cause.Code {
	case 486, 600:
		return ivr.PortBusy, code
	case 408, 480, 487:
		return ivr.PortNoAnswer, code
	}
	return ivr.PortFailed, code
}
