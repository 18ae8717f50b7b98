package sdp

import (
	"net/netip"
	"strconv"
	"strings"

	pion "github.com/pion/sdp/v3"
)

// Local is what we bring to a negotiation.
type Local struct {
	Origin Origin
	Media  netip.AddrPort // our RTP socket as the peer sees it; RTCP is the next port
	Codecs []Codec        // in order of preference
	Hold   bool           // we don't want to hear the peer for now
	Secure Secure         // whether sound is encrypted
	Keys   *Keys          // ours, when it may be; they stay the same for all of a call
}

// Agreed is what a negotiation came to.
type Agreed struct {
	Codec     Codec          // what we send
	Event     *Codec         // for digits, nil when the peer cannot
	Comfort   bool           // both sides know comfort noise
	Crypto    *Crypto        // how the sound is encrypted; nil: it is not
	Media     netip.AddrPort // where we send
	Control   netip.AddrPort
	Direction Direction // seen from us
}

// Offer is the description with which we begin.
func (l Local) Offer() Description {
	proto := protoPlain
	if l.Secure == Required {
		proto = protoSecure
	}
	return Description{
		Origin: l.Origin, Media: l.Media, Codecs: l.Codecs, Ptime: 20,
		Direction: direction(true, !l.Hold),
		streams:   []stream{{media: "audio", proto: proto}},
		savp:      l.Secure == Required, cryptos: l.cryptoOffer(),
	}
}

// Answer answers an offer. The offer's order of codecs and its payload types
// are kept. Of several streams of sound the first that we can exchange is taken.
func (l Local) Answer(offer Description) (Description, Agreed, error) {
	answer, agreed, err := l.answer(offer)
	for i := 0; err != nil && i < len(offer.others); i++ {
		if other := offer.others[i]; other.Media.Port() != 0 {
			var failed error
			if answer, agreed, failed = l.answer(other); failed == nil {
				return answer, agreed, nil
			}
		}
	}
	return answer, agreed, err
}

func (l Local) answer(offer Description) (Description, Agreed, error) {
	common := intersect(offer.Codecs, l.Codecs)
	agreed, err := agree(common)
	if err != nil {
		return Description{}, Agreed{}, err
	}
	crypto, chosen, err := l.secure(&offer)
	if err != nil {
		return Description{}, Agreed{}, err
	}
	agreed.Crypto = crypto
	agreed.Media, agreed.Control = offer.Media, offer.Control
	agreed.Direction = direction(offer.Direction.Receives(), offer.Direction.Sends() && !l.Hold)
	answer := Description{
		Origin: l.Origin, Media: l.Media, Ptime: 20, Direction: agreed.Direction,
		streams: offer.streams, audio: offer.audio, savp: offer.savp, cryptos: chosen,
	}
	answer.Codecs = append(answer.Codecs, agreed.Codec)
	for _, c := range common {
		if !voice(c) {
			answer.Codecs = append(answer.Codecs, c)
		}
	}
	return answer, agreed, nil
}

// Conclude takes the peer's answer to our offer.
func (l Local) Conclude(answer Description) (Agreed, error) {
	common := intersect(answer.Codecs, l.Codecs)
	agreed, err := agree(common)
	if err != nil || answer.Media.Port() == 0 {
		return Agreed{}, ErrNoCodec
	}
	if agreed.Crypto, err = l.concludeSecure(&answer); err != nil {
		return Agreed{}, err
	}
	agreed.Media, agreed.Control = answer.Media, answer.Control
	agreed.Direction = direction(answer.Direction.Receives(), answer.Direction.Sends() && !l.Hold)
	return agreed, nil
}

// intersect keeps of theirs what we have too.
func intersect(theirs, ours []Codec) (common []Codec) {
	for _, c := range theirs {
		for _, own := range ours {
			if c.same(own) {
				common = append(common, c)
				break
			}
		}
	}
	return common
}

func agree(common []Codec) (a Agreed, err error) {
	found := false
	for _, c := range common {
		if voice(c) {
			a.Codec, found = c, true
			break
		}
	}
	for _, c := range common {
		switch {
		case c.same(TelephoneEvent) && a.Event == nil:
			a.Event = &c
		case c.same(ComfortNoise):
			a.Comfort = true
		}
	}
	if !found {
		return Agreed{}, ErrNoCodec
	}
	return a, nil
}

func voice(c Codec) bool { return !c.same(TelephoneEvent) && !c.same(ComfortNoise) }

// Marshal writes the description as it goes over the wire. Streams that are
// not the described one are refused with port 0.
func (d Description) Marshal() ([]byte, error) {
	address := &pion.Address{Address: d.Media.Addr().Unmap().String()}
	kind := "IP4"
	if d.Media.Addr().Unmap().Is6() {
		kind = "IP6"
	}
	s := pion.SessionDescription{
		Origin: pion.Origin{
			Username: "-", SessionID: d.Origin.ID, SessionVersion: d.Origin.Version,
			NetworkType: "IN", AddressType: kind, UnicastAddress: address.Address,
		},
		SessionName:           "-",
		ConnectionInformation: &pion.ConnectionInformation{NetworkType: "IN", AddressType: kind, Address: address},
		TimeDescriptions:      []pion.TimeDescription{{}},
	}
	for i, st := range d.streams {
		if i == d.audio {
			s.MediaDescriptions = append(s.MediaDescriptions, d.described())
			continue
		}
		s.MediaDescriptions = append(s.MediaDescriptions, &pion.MediaDescription{
			MediaName: pion.MediaName{Media: st.media, Protos: strings.Split(st.proto, "/"), Formats: []string{st.format}},
		})
	}
	return s.Marshal()
}

func (d Description) described() *pion.MediaDescription {
	profile := "AVP"
	if d.savp {
		profile = "SAVP"
	}
	m := &pion.MediaDescription{MediaName: pion.MediaName{
		Media: "audio", Port: pion.RangedPort{Value: int(d.Media.Port())}, Protos: []string{"RTP", profile},
	}}
	add := func(key, value string) { m.Attributes = append(m.Attributes, pion.NewAttribute(key, value)) }
	for _, c := range d.Codecs {
		pt := strconv.Itoa(int(c.PayloadType))
		m.MediaName.Formats = append(m.MediaName.Formats, pt)
		add("rtpmap", pt+" "+c.Name+"/"+strconv.Itoa(c.Rate))
		if c.Parameters != "" {
			add("fmtp", pt+" "+c.Parameters)
		}
	}
	for _, o := range d.cryptos {
		add("crypto", o.line())
	}
	if d.Ptime > 0 {
		add("ptime", strconv.Itoa(d.Ptime))
	}
	add(d.Direction.String(), "")
	return m
}
