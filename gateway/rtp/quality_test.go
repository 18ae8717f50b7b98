package rtp

import (
	"errors"
	"math"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
)

func TestReceptionReport(t *testing.T) {
	var r reception
	for i := range 100 { // the sequence number wraps; every tenth is lost, one comes twice
		if i%10 == 5 {
			continue
		}
		r.packet(int64(i*160), 7, uint16(65500+i), uint32(i*160))
	}
	r.packet(99*160, 7, 63, 99*160)
	b := r.report(time.Unix(1, 0))
	want := rtcp.ReceptionReport{SSRC: 7, FractionLost: 9 * 256 / 100, TotalLost: 9, LastSequenceNumber: 65536 + 63}
	if b != want {
		t.Errorf("%+v, want %+v", b, want)
	}
	r.packet(100*160, 7, 64, 100*160)
	if b := r.report(time.Unix(2, 0)); b.FractionLost != 0 || b.TotalLost != 9 {
		t.Errorf("the next interval: %+v", b)
	}
	if r.packet(0, 8, 1, 0); r.expected() != 1 || r.lost() != 0 {
		t.Error("another source did not begin anew")
	}
}

// RFC 3550 §6.4.1, figure 2.
func TestRoundTripOfTheRFC(t *testing.T) {
	at := time.Unix(int64(0xb44db705)-2208988800, 0x20000000*1e9>>32).UTC()
	block := rtcp.ReceptionReport{Delay: 0x00054000, LastSenderReport: 0xb7052000}
	at = at.Add(11375 * time.Millisecond)
	if d, ok := roundTrip(at, block); !ok || (d-6125*time.Millisecond).Abs() > time.Millisecond {
		t.Errorf("%v, %v, want 6.125 s", d, ok)
	}
	if _, ok := roundTrip(at, rtcp.ReceptionReport{}); ok {
		t.Error("a block without our report says nothing")
	}
}

func TestMOS(t *testing.T) {
	for _, c := range []struct {
		delay time.Duration
		loss  float64
		want  float64
	}{
		{0, 0, 4.41}, {100 * time.Millisecond, 0, 4.36}, {100 * time.Millisecond, 0.05, 3.82}, {400 * time.Millisecond, 0, 3.06}, {0, 1, 1.18},
	} {
		if got := MOS(c.delay, c.loss); math.Abs(got-c.want) > 0.02 {
			t.Errorf("%v with %.0f %% lost: %.2f, want %.2f", c.delay, 100*c.loss, got, c.want)
		}
	}
}

func TestAUsedPairRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := NewPorts(netip.MustParseAddr("127.0.0.1"), 40001, 40003, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		first, ok := p.take(time.Now())
		if _, again := p.take(time.Now()); !ok || again || first != 40002 || p.InUse() != 1 {
			t.Fatalf("took %d", first)
		}
		p.give(first)
		if _, ok := p.take(time.Now()); ok {
			t.Error("given out again at once")
		}
		time.Sleep(time.Minute)
		if port, ok := p.take(time.Now()); !ok || port != first {
			t.Error("not given out after its rest")
		}
	})
	if _, err := NewPorts(netip.MustParseAddr("127.0.0.1"), 5, 6, 0); err == nil {
		t.Error("5 to 6 hold no pair")
	}
	if p, _ := NewPorts(netip.MustParseAddr("192.0.2.1"), 4000, 4009, 0); p != nil {
		if _, err := p.open(); !errors.Is(err, ErrNoPorts) {
			t.Errorf("an address that is not ours: %v", err)
		}
	}
}
