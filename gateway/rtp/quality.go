package rtp

import (
	"math"
	"time"

	"github.com/pion/rtcp"
)

// reception counts what arrives from one source (RFC 3550 appendix A).
type reception struct {
	started  bool
	ssrc     uint32
	first    int64 // sequence number, extended
	highest  int64
	received uint64
	transit  int64
	jitter   float64 // timestamp units

	expectedBefore, receivedBefore uint64 // at the last report

	senderReport   uint32 // middle 32 bits of the peer's NTP time
	senderReportAt time.Time
}

// packet counts one that arrived at now, in samples of our clock.
func (r *reception) packet(now int64, ssrc uint32, sequence uint16, timestamp uint32) {
	if !r.started || ssrc != r.ssrc {
		*r = reception{started: true, ssrc: ssrc, first: int64(sequence), highest: int64(sequence)}
		r.transit = now - int64(timestamp)
		r.received = 1
		return
	}
	r.received++
	if step := int64(int16(sequence - uint16(r.highest))); step > 0 {
		r.highest += step
	}
	transit := now - int64(timestamp)
	d := math.Abs(float64(int32(transit - r.transit)))
	r.transit = transit
	if d < sampleRate { // more is another beginning, not jitter
		r.jitter += (d - r.jitter) / 16
	}
}

func (r *reception) expected() uint64 { return uint64(r.highest - r.first + 1) }

// lost may be negative when packets come twice.
func (r *reception) lost() int64 { return int64(r.expected()) - int64(r.received) }

// report is the block about the source, for the interval since the last one.
func (r *reception) report(now time.Time) rtcp.ReceptionReport {
	expected, received := r.expected()-r.expectedBefore, r.received-r.receivedBefore
	r.expectedBefore, r.receivedBefore = r.expected(), r.received
	fraction := uint8(0)
	if expected > received {
		fraction = uint8(min(255, (expected-received)*256/expected))
	}
	block := rtcp.ReceptionReport{
		SSRC: r.ssrc, FractionLost: fraction, TotalLost: uint32(max(0, min(r.lost(), 1<<23-1))),
		LastSequenceNumber: uint32(r.highest), Jitter: uint32(r.jitter),
	}
	if !r.senderReportAt.IsZero() {
		block.LastSenderReport = r.senderReport
		block.Delay = uint32(now.Sub(r.senderReportAt).Seconds() * 65536)
	}
	return block
}

// ntp is the time as RTCP tells it: seconds since 1900, with 32 bits after the
// point.
func ntp(t time.Time) uint64 {
	const from1900 = 2208988800
	return uint64(t.Unix()+from1900)<<32 | uint64(t.Nanosecond())<<32/1e9
}

// roundTrip is what a block about us says of the way to the peer and back
// (RFC 3550 §6.4.1), and false when it says nothing sensible.
func roundTrip(now time.Time, block rtcp.ReceptionReport) (time.Duration, bool) {
	if block.LastSenderReport == 0 {
		return 0, false
	}
	units := int32(uint32(ntp(now)>>16) - block.LastSenderReport - block.Delay)
	if units < 0 || units > 60<<16 {
		return 0, false
	}
	return time.Duration(units) * time.Second / 65536, true
}

// MOS is the mean opinion score (1 to 4.5) that a listener would give to G.711
// with concealment, by the E-model (ITU-T G.107): delay is from mouth to ear,
// loss the share of packets that were not heard.
func MOS(delay time.Duration, loss float64) float64 {
	const (
		best       = 93.2 // R of the default values
		robustness = 25.1 // Bpl of G.711 with Appendix I (G.113 table I.3)
	)
	ms := float64(delay) / float64(time.Millisecond)
	impairment := 0.024 * ms
	if ms > 177.3 {
		impairment += 0.11 * (ms - 177.3)
	}
	percent := 100 * loss
	r := max(0, min(100, best-impairment-95*percent/(percent+robustness)))
	return max(1, 1+0.035*r+r*(r-60)*(100-r)*7e-6)
}
