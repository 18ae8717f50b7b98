package sdp

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// keyText is the example of RFC 4568 §6.1.
const keyText = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"

// secured is us with keys of our own.
func secured(s Secure) Local {
	l := us
	l.Secure, l.Keys = s, &Keys{{1}, {2}}
	return l
}

func crypto(tag, suite string, more ...string) string {
	return strings.Join(append([]string{"a=crypto:" + tag, suite, keyText}, more...), " ")
}

// What is answered to an offer, by what we want (RFC 4568 §5.1.2, §7.1).
func TestSecureAnswers(t *testing.T) {
	const avp, savp = "m=audio 4000 RTP/AVP 8", "m=audio 4000 RTP/SAVP 8"
	s80, s32 := suiteNames[AES80], suiteNames[AES32]
	for name, c := range map[string]struct {
		want  Secure
		offer []string
		err   error
		line  string // that the answer has to have
		suite Suite
		plain bool
	}{
		"off, plain":                {Plain, []string{avp}, nil, "m=audio 20000 RTP/AVP 8", 0, true},
		"off, keys are left aside":  {Plain, []string{avp, crypto("1", s80)}, nil, "m=audio 20000 RTP/AVP 8", 0, true},
		"off, insisted on":          {Plain, []string{savp, crypto("1", s80)}, ErrNotSecure, "", 0, false},
		"off, either":               {Plain, []string{savp, crypto("1", s80), "m=audio 5000 RTP/AVP 8"}, nil, "m=audio 0 RTP/SAVP 8", 0, true},
		"optional, plain":           {Optional, []string{avp}, nil, "m=audio 20000 RTP/AVP 8", 0, true},
		"optional, with keys":       {Optional, []string{avp, crypto("1", s80)}, nil, "a=crypto:1 " + s80 + " inline:AQAA", AES80, false},
		"optional, insisted on":     {Optional, []string{savp, crypto("7", s32)}, nil, "a=crypto:7 " + s32 + " inline:AgAA", AES32, false},
		"required, plain":           {Required, []string{avp}, ErrNotSecure, "", 0, false},
		"required, the first known": {Required, []string{savp, crypto("1", "AES_256_CM_HMAC_SHA1_80"), crypto("2", s32), crypto("3", s80)}, nil, "a=crypto:2 " + s32, AES32, false},
		"required, lifetime":        {Required, []string{savp, crypto("1", s80) + "|2^31 WSH=128"}, nil, "m=audio 20000 RTP/SAVP 8", AES80, false},
		"with an identifier":        {Required, []string{savp, crypto("1", s80) + "|2^20|1:32"}, ErrNotSecure, "", 0, false},
		"two keys":                  {Required, []string{savp, crypto("1", s80) + ";" + keyText}, ErrNotSecure, "", 0, false},
		"unencrypted":               {Required, []string{savp, crypto("1", s80, "UNENCRYPTED_SRTP")}, ErrNotSecure, "", 0, false},
		"short key":                 {Required, []string{savp, "a=crypto:1 " + s80 + " inline:AAAA"}, ErrNotSecure, "", 0, false},
		"bad tag":                   {Required, []string{savp, crypto("x", s80)}, ErrNotSecure, "", 0, false},
		"no key":                    {Optional, []string{savp}, ErrNotSecure, "", 0, false},
	} {
		offer, err := Parse(text(c.offer...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		answer, agreed, err := secured(c.want).Answer(offer)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
		if err != nil {
			continue
		}
		out, _ := answer.Marshal()
		if !strings.Contains(string(out), c.line) || c.plain == (agreed.Crypto != nil) || strings.Count(string(out), "a=crypto") > 1 {
			t.Errorf("%s: %+v\n%s", name, agreed, out)
		}
		if k := agreed.Crypto; k != nil && (k.Suite != c.suite || k.Local != secured(0).Keys[c.suite] || string(k.Remote[:4]) != "YS__") {
			t.Errorf("%s: %s", name, k.Suite)
		}
	}
}

// What we offer, and what may come back.
func TestSecureOffers(t *testing.T) {
	for want, line := range map[Secure]string{Plain: "m=audio 20000 RTP/AVP", Optional: "m=audio 20000 RTP/AVP", Required: "m=audio 20000 RTP/SAVP"} {
		out, err := secured(want).Offer().Marshal()
		if err != nil || !strings.Contains(string(out), line) || (strings.Count(string(out), "a=crypto:") == 2) != (want != Plain) {
			t.Errorf("%v\n%s", err, out)
		}
	}
	for name, c := range map[string]struct {
		want   Secure
		answer []string
		err    error
		secure bool
	}{
		"the second":            {Required, []string{"m=audio 1 RTP/SAVP 8", crypto("2", suiteNames[AES32])}, nil, true},
		"in plain profile":      {Optional, []string{"m=audio 1 RTP/AVP 8", crypto("1", suiteNames[AES80])}, nil, true},
		"knows none":            {Optional, []string{"m=audio 1 RTP/AVP 8"}, nil, false},
		"must":                  {Required, []string{"m=audio 1 RTP/AVP 8"}, ErrNotSecure, false},
		"never offered":         {Required, []string{"m=audio 1 RTP/SAVP 8", crypto("1", suiteNames[AES32])}, ErrNotSecure, false},
		"none, but it is SAVP":  {Optional, []string{"m=audio 1 RTP/SAVP 8"}, ErrNotSecure, false},
		"keys where we said no": {Plain, []string{"m=audio 1 RTP/AVP 8", crypto("1", suiteNames[AES80])}, nil, false},
	} {
		answer, err := Parse(text(c.answer...))
		if err != nil {
			t.Fatal(err)
		}
		agreed, err := secured(c.want).Conclude(answer)
		if !errors.Is(err, c.err) || (agreed.Crypto != nil) != c.secure {
			t.Errorf("%s: %v, %+v", name, err, agreed)
		}
	}
}

// A key is in no log, however it comes there.
func TestKeysDoNotShow(t *testing.T) {
	agreed := Agreed{Crypto: &Crypto{Local: Key{65, 66, 67}, Remote: Key{65, 66, 67}}}
	l := secured(Required)
	for _, s := range []string{fmt.Sprint(*agreed.Crypto), fmt.Sprintf("%+v %#v %s %x", *agreed.Crypto, agreed.Crypto.Local, agreed.Crypto.Remote, agreed.Crypto.Local), fmt.Sprintf("%+v", *l.Keys)} {
		if strings.Contains(s, "65") || strings.Contains(s, "ABC") || strings.Contains(s, "414243") || !strings.Contains(s, "(key)") {
			t.Error(s)
		}
	}
}
