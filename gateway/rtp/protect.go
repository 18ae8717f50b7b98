package rtp

import (
	"fmt"

	"github.com/pion/srtp/v3"

	"trunkline/gateway/rtp/sdp"
)

// protection encrypts what a session sends and proves what comes (SRTP, RFC 3711). It
// belongs to the session's lock; nil lets everything through as it is.
type protection struct {
	terms      sdp.Crypto
	ours       *srtp.Context
	theirs     *srtp.Context
	out, in    [maxPacket + srtpMore]byte
	outControl []byte
	inControl  []byte
}

const (
	srtpMore     = 16 // octets that the proof adds: 10, or 14 for RTCP
	replayWindow = 128
)

var profiles = map[sdp.Suite]srtp.ProtectionProfile{
	sdp.AES80: srtp.ProtectionProfileAes128CmHmacSha1_80,
	sdp.AES32: srtp.ProtectionProfileAes128CmHmacSha1_32,
}

// protect takes over what was agreed on. With keys that stay, the counters stay: a
// counter that began anew would encrypt two packets alike.
func (s *Session) protect(c *sdp.Crypto) error {
	if c == nil {
		s.crypto = nil
		return nil
	}
	old := s.crypto
	if old != nil && old.terms == *c {
		return nil
	}
	p := &protection{terms: *c}
	sameWay := old != nil && old.terms.Suite == c.Suite
	var err error
	if sameWay && old.terms.Local == c.Local {
		p.ours = old.ours
	} else if p.ours, err = newContext(c.Suite, &c.Local); err != nil {
		return err
	}
	if sameWay && old.terms.Remote == c.Remote {
		p.theirs = old.theirs
	} else if p.theirs, err = newContext(c.Suite, &c.Remote, srtp.SRTPReplayProtection(replayWindow), srtp.SRTCPReplayProtection(replayWindow)); err != nil {
		return err
	}
	s.crypto = p
	return nil
}

func newContext(suite sdp.Suite, key *sdp.Key, options ...srtp.ContextOption) (*srtp.Context, error) {
	c, err := srtp.CreateContext(key[:16], key[16:], profiles[suite], options...)
	if err != nil {
		return nil, fmt.Errorf("rtp: preparing %s: %w", suite, err)
	}
	return c, nil
}

// seal encrypts a packet; what it returns holds until the next one.
func (p *protection) seal(packet []byte) ([]byte, bool) {
	if p == nil {
		return packet, true
	}
	out, err := p.ours.EncryptRTP(p.out[:0], packet, nil)
	return out, err == nil
}

// open proves and decrypts a packet; it reports false for one that is not the peer's,
// or came before.
func (p *protection) open(packet []byte) ([]byte, bool) {
	if p == nil {
		return packet, true
	}
	in, err := p.theirs.DecryptRTP(p.in[:0], packet, nil)
	return in, err == nil
}

func (p *protection) sealControl(packet []byte) ([]byte, bool) {
	if p == nil {
		return packet, true
	}
	var err error
	p.outControl, err = p.ours.EncryptRTCP(p.outControl[:0], packet, nil)
	return p.outControl, err == nil
}

func (p *protection) openControl(packet []byte) ([]byte, bool) {
	if p == nil {
		return packet, true
	}
	var err error
	p.inControl, err = p.theirs.DecryptRTCP(p.inControl[:0], packet, nil)
	return p.inControl, err == nil
}
