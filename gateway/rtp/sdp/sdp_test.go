package sdp

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

var us = Local{
	Origin: Origin{1, 1}, Media: netip.MustParseAddrPort("192.0.2.1:20000"),
	Codecs: []Codec{PCMA, PCMU, TelephoneEvent, ComfortNoise},
}

// text is a peer's description with the lines of its streams.
func text(lines ...string) []byte {
	head := []string{"v=0", "o=- 5 6 IN IP4 198.51.100.7", "s=call", "c=IN IP4 198.51.100.7", "t=0 0"}
	return []byte(strings.Join(append(head, lines...), "\r\n") + "\r\n")
}

func TestAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		offer []byte
		hold  bool
		want  []string // lines of the answer after its head
		codec string
		event uint8
		media string
	}{
		"the offer's order and payload types": {
			offer: text("m=audio 4000 RTP/AVP 0 8 96", "a=rtpmap:96 telephone-event/8000", "a=fmtp:96 0-16"),
			want:  []string{"m=audio 20000 RTP/AVP 0 96", "a=rtpmap:0 PCMU/8000", "a=rtpmap:96 telephone-event/8000", "a=fmtp:96 0-16", "a=ptime:20", "a=sendrecv"},
			codec: "PCMU", event: 96, media: "198.51.100.7:4000",
		},
		"a dynamic type for a known codec, unknown ones passed over": {
			offer: text("m=audio 4000 RTP/AVP 99 98 9", "a=rtpmap:99 opus/48000/2", "a=rtpmap:98 pcma/8000/1"),
			want:  []string{"m=audio 20000 RTP/AVP 98", "a=rtpmap:98 PCMA/8000", "a=ptime:20", "a=sendrecv"},
			codec: "PCMA", media: "198.51.100.7:4000",
		},
		"events at another rate are not for our sound": {
			offer: text("m=audio 4000 RTP/AVP 8 97", "a=rtpmap:97 telephone-event/48000"),
			want:  []string{"m=audio 20000 RTP/AVP 8", "a=rtpmap:8 PCMA/8000", "a=ptime:20", "a=sendrecv"},
			codec: "PCMA", media: "198.51.100.7:4000",
		},
		"other streams are refused in their place": {
			offer: text("m=video 5000 RTP/AVP 34", "m=audio 4000 RTP/AVP 8", "c=IN IP4 203.0.113.5", "m=audio 4002 RTP/SAVP 8", "m=image 4004 udptl t38"),
			want:  []string{"m=video 0 RTP/AVP 34", "m=audio 20000 RTP/AVP 8", "a=rtpmap:8 PCMA/8000", "a=ptime:20", "a=sendrecv", "m=audio 0 RTP/SAVP 8", "m=image 0 udptl t38"},
			codec: "PCMA", media: "203.0.113.5:4000",
		},
		"held by the peer": {
			offer: text("m=audio 4000 RTP/AVP 8", "a=sendonly"),
			want:  []string{"m=audio 20000 RTP/AVP 8", "a=rtpmap:8 PCMA/8000", "a=ptime:20", "a=recvonly"},
			codec: "PCMA", media: "198.51.100.7:4000",
		},
		"held by the peer in the old way": {
			offer: text("m=audio 4000 RTP/AVP 8", "c=IN IP4 0.0.0.0"),
			want:  []string{"m=audio 20000 RTP/AVP 8", "a=rtpmap:8 PCMA/8000", "a=ptime:20", "a=recvonly"},
			codec: "PCMA", media: "0.0.0.0:4000",
		},
		"held by both": {
			offer: text("m=audio 4000 RTP/AVP 8", "a=sendonly"), hold: true,
			want:  []string{"m=audio 20000 RTP/AVP 8", "a=rtpmap:8 PCMA/8000", "a=ptime:20", "a=inactive"},
			codec: "PCMA", media: "198.51.100.7:4000",
		},
	} {
		offer, err := Parse(c.offer)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		local := us
		local.Hold = c.hold
		answer, agreed, err := local.Answer(offer)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		out, err := answer.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		_, body, _ := strings.Cut(string(out), "t=0 0\r\n")
		if want := strings.Join(c.want, "\r\n") + "\r\n"; body != want {
			t.Errorf("%s: answered\n%swant\n%s", name, body, want)
		}
		if agreed.Codec.Name != c.codec || agreed.Media.String() != c.media || (agreed.Event != nil) != (c.event != 0) || agreed.Event != nil && agreed.Event.PayloadType != c.event {
			t.Errorf("%s: agreed on %+v", name, agreed)
		}
	}
}

func TestOfferAndItsAnswer(t *testing.T) {
	out, err := us.Offer().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	want := "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 8 0 101 13\r\n" +
		"a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=rtpmap:13 CN/8000\r\na=ptime:20\r\na=sendrecv\r\n"
	if string(out) != want {
		t.Errorf("offered\n%swant\n%s", out, want)
	}
	answer, err := Parse(text("m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000", "a=rtcp:4009 IN IP4 203.0.113.5", "a=recvonly"))
	if err != nil {
		t.Fatal(err)
	}
	agreed, err := us.Conclude(answer)
	if err != nil || agreed.Codec != PCMU || agreed.Event.PayloadType != 101 || agreed.Direction != SendOnly || agreed.Control.String() != "203.0.113.5:4009" {
		t.Errorf("agreed on %+v, %v", agreed, err)
	}
	refused, _ := Parse(text("m=audio 0 RTP/AVP 8"))
	if _, err := us.Conclude(refused); !errors.Is(err, ErrNoCodec) {
		t.Errorf("a refused stream: %v", err)
	}
}

func TestWhatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"nothing":        {nil, ErrMalformed},
		"no description": {[]byte("hello"), ErrMalformed},
		"too long":       {text(strings.Repeat("a=x\r\n", 10000)), ErrMalformed},
		"many streams":   {text(strings.Repeat("m=audio 1 RTP/AVP 0\r\n", 17) + "a=x"), ErrMalformed},
		"host name":      {text("m=audio 1 RTP/AVP 0", "c=IN IP4 media.example"), ErrMalformed},
		"no sound":       {text("m=image 1 udptl t38"), ErrNoAudio},
		"no codec":       {text("m=audio 1 RTP/AVP 18 101", "a=rtpmap:101 telephone-event/8000"), ErrNoCodec},
	} {
		d, err := Parse(c.in)
		if err == nil {
			_, _, err = us.Answer(d)
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(text("m=audio 4000 RTP/AVP 0 8 96", "a=rtpmap:96 telephone-event/8000", "a=fmtp:96 0-16", "a=rtcp:9", "a=sendonly"))
	f.Add(text("m=video 0 RTP/AVP 34", "m=audio 4000/2 RTP/AVP 8", "c=IN IP6 2001:db8::1"))
	f.Add(text("m=audio 4000 RTP/SAVP 8", crypto("1", suiteNames[AES80])+"|2^20", "m=audio 4002 RTP/AVP 8"))
	f.Fuzz(func(t *testing.T, in []byte) {
		offer, err := Parse(in)
		if err != nil {
			return
		}
		answer, _, err := secured(Optional).Answer(offer)
		if err != nil {
			return
		}
		out, err := answer.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(out); err != nil {
			t.Fatalf("our answer is not understood: %v\n%s", err, out)
		}
	})
}
