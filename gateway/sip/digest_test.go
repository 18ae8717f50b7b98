package sip

import (
	"strings"
	"testing"
	"time"

	"github.com/icholy/digest"

	"trunkline/gateway/sip/message"
)

// answerTo computes what a phone with the password says to a challenge.
func answerTo(t *testing.T, m *message.Message, algorithm, password, uri string, count int) string {
	t.Helper()
	for _, h := range m.Headers {
		if h.Name != message.WWWAuthenticate || !strings.Contains(h.Value, "algorithm="+algorithm) {
			continue
		}
		c, err := digest.ParseChallenge(h.Value)
		if err != nil {
			t.Fatal(err)
		}
		made, err := digest.Digest(c, digest.Options{Method: "INVITE", URI: uri, Count: count, Username: "pbx", Password: password})
		if err != nil {
			t.Fatal(err)
		}
		return "Authorization: " + made.String()
	}
	t.Fatalf("no challenge with %s: %+v", algorithm, m.Headers)
	return ""
}

func TestDigestIn(t *testing.T) { // RFC 3261 §22, RFC 8760
	const trunk = "authenticate: {username: pbx, password: secret, nonce_lifetime: 1m}"
	attempt := func(w *world, want string, headers ...string) *message.Message {
		c := w.phone.newCall()
		c.invite(offerText, headers...)
		m := w.phone.expect(want)
		if want != "200" {
			c.ackFailure(m)
			return m
		}
		c.learn(m)
		c.ack()
		c.request("BYE", "") // within the call nobody asks again
		w.phone.expect("200")
		return m
	}
	const uri = "sip:+38512345@192.0.2.1"
	for _, algorithm := range []string{"MD5", "SHA-256"} {
		t.Run(algorithm, func(t *testing.T) {
			inWorld(t, plainConfig, phoneTrunk(trunk), func(w *world) {
				w.host.do = func(l *Leg) { l.Answer(ourMedia) }
				asked := attempt(w, "401")
				if strings.Contains(asked.Get(message.WWWAuthenticate), "stale") {
					t.Error("the first challenge is stale")
				}
				good := answerTo(t, asked, algorithm, "secret", uri, 1)
				attempt(w, "401", answerTo(t, asked, algorithm, "guess", uri, 1))
				attempt(w, "401", answerTo(t, asked, algorithm, "secret", "sip:other@x", 1)) // for another URI
				attempt(w, "200", good)
				if m := attempt(w, "401", good); !strings.Contains(m.Get(message.WWWAuthenticate), "stale=true") { // replayed
					t.Errorf("a replay got %s", m.Get(message.WWWAuthenticate))
				}
				attempt(w, "200", answerTo(t, asked, algorithm, "secret", uri, 2))
				time.Sleep(2 * time.Minute)
				if m := attempt(w, "401", answerTo(t, asked, algorithm, "secret", uri, 3)); !strings.Contains(m.Get(message.WWWAuthenticate), "stale=true") {
					t.Error("an old nonce was taken, or its refusal is not stale")
				}
				forged := strings.Replace(good, `nonce="`, `nonce="A`, 1)
				attempt(w, "401", forged)
				attempt(w, "401", "Authorization: Digest nonsense")
				attempt(w, "401", "Authorization: Basic cGJ4OnNlY3JldA==")
			})
		})
	}
	inWorld(t, plainConfig, phoneTrunk("authenticate: {username: pbx, password: secret, algorithms: [SHA-256]}"), func(w *world) {
		asked := attempt(w, "401")
		weak := strings.Replace(answerTo(t, asked, "SHA-256", "secret", uri, 1), "SHA-256", "MD5", 1)
		attempt(w, "401", weak)
	})
}

func TestNoncesAreBounded(t *testing.T) {
	var n nonces
	for serial := range uint64(3 * maxNonces) {
		if !n.fresh(serial+1, 1, true) {
			t.Fatalf("nonce %d was not taken", serial)
		}
	}
	if len(n.used) > maxNonces {
		t.Errorf("%d are kept", len(n.used))
	}
	if n.fresh(1, 1, true) {
		t.Error("a nonce that was forgotten is taken again")
	}
	if n.fresh(3*maxNonces, 1, true) || !n.fresh(3*maxNonces, 2, true) || n.fresh(3*maxNonces, 2, true) {
		t.Error("a count is not taken once")
	}
}
