package rtp

import (
	"context"
	"net/netip"
	"testing"

	"trunkline/gateway/rtp/sdp"
)

// pairOf is an agreement as its two sides see it.
func pairOf(suite sdp.Suite, a, b byte) (one, other *sdp.Crypto) {
	return &sdp.Crypto{Suite: suite, Local: sdp.Key{a}, Remote: sdp.Key{b}}, &sdp.Crypto{Suite: suite, Local: sdp.Key{b}, Remote: sdp.Key{a}}
}

// What is sealed comes out as it was; what was touched, comes again or is of another
// key does not come out (RFC 3711 §3.3).
func TestProtection(t *testing.T) {
	for _, suite := range []sdp.Suite{sdp.AES80, sdp.AES32} {
		one, other := pairOf(suite, 1, 2)
		a, b, thief := new(Session), new(Session), new(Session)
		for s, c := range map[*Session]*sdp.Crypto{a: one, b: other, thief: {Suite: suite, Local: sdp.Key{9}, Remote: sdp.Key{9}}} {
			if err := s.protect(c); err != nil {
				t.Fatal(err)
			}
		}
		packet := []byte{0x80, 8, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7, 'h', 'e', 'l', 'l', 'o'}
		sealed, ok := a.crypto.seal(packet)
		if tag := map[sdp.Suite]int{sdp.AES80: 10, sdp.AES32: 4}[suite]; !ok || len(sealed) != len(packet)+tag || string(sealed[12:17]) == "hello" {
			t.Fatalf("%v %x", ok, sealed)
		}
		touched := append([]byte(nil), sealed...)
		touched[13] ^= 1
		if _, ok := b.crypto.open(touched); ok {
			t.Error("a touched packet came through")
		}
		if _, ok := thief.crypto.open(sealed); ok {
			t.Error("a packet of another key came through")
		}
		if out, ok := b.crypto.open(sealed); !ok || string(out) != string(packet) {
			t.Errorf("%v %x", ok, out)
		}
		if _, ok := b.crypto.open(sealed); ok {
			t.Error("a packet came through twice")
		}
		if _, ok := b.crypto.open(packet); ok {
			t.Error("a plain packet came through")
		}
		if _, ok := b.crypto.open([]byte{0x80}); ok {
			t.Error("half a packet came through")
		}
		kept := a.crypto
		if err := a.protect(one); err != nil || a.crypto != kept {
			t.Errorf("the counters began anew: %v", err)
		}
		changed := *one
		changed.Remote = sdp.Key{5}
		if err := a.protect(&changed); err != nil || a.crypto.ours != kept.ours || a.crypto.theirs == kept.theirs {
			t.Errorf("with another key of the peer's alone: %v", err)
		}
	}
}

// Two sessions talk under keys; one that has another key hears nothing.
func TestEncryptedSessionsTalk(t *testing.T) {
	ports, wheel := pool(t), NewWheel(1)
	ctx, stop := context.WithCancel(t.Context())
	both, ended := runTwo(ctx, t, ports, wheel)
	agree := func(i int, c *sdp.Crypto) {
		peer := netip.AddrPortFrom(loopback, both[1-i].Port())
		event := sdp.TelephoneEvent
		if err := both[i].Agree(sdp.Agreed{Codec: sdp.PCMA, Event: &event, Media: peer, Control: netip.AddrPortFrom(loopback, peer.Port()+1), Crypto: c}); err != nil {
			t.Fatal(err)
		}
	}
	one, other := pairOf(sdp.AES80, 1, 2)
	agree(0, one)
	agree(1, other)
	if err := both[0].SendDigits("7", 0); err != nil {
		t.Fatal(err)
	}
	if d := <-both[1].Digits(); d != '7' {
		t.Errorf("heard %c", d)
	}
	wrong := *other
	wrong.Remote = sdp.Key{77}
	agree(1, &wrong)
	before := both[1].Quality()
	<-both[0].Play(Beep.Source())
	<-both[0].Play(Beep.Source())
	after := both[1].Quality()
	if after.Forged == before.Forged || after.Received > before.Received {
		t.Errorf("%+v", after)
	}
	stop()
	for range 3 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
