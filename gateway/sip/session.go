package sip

import (
	"strconv"
	"strings"
	"time"

	"trunkline/gateway/sip/message"
)

// session is the timer that ends a call whose peer is gone (RFC 4028).
type session struct {
	interval time.Duration // 0: none
	ours     bool          // we refresh
	least    time.Duration // that the peer's 422 asked for
	timer    *time.Timer
}

func (s *session) stop() {
	if s.timer != nil {
		s.timer.Stop()
	}
}

// seconds reads Session-Expires or Min-SE.
func seconds(m *message.Message, n message.Name) time.Duration {
	v, err := m.Number(n)
	if err != nil || v <= 0 {
		return 0
	}
	return time.Duration(min(v, 7*24*3600)) * time.Second
}

// checkSession refuses intervals that are too short, where the peer can learn
// from it (§9), and ones that cannot be read.
func checkSession(m *message.Message, conf *Trunk) *refusal {
	if _, err := m.Number(message.SessionExpires); err != nil {
		return badRequest("Malformed Session-Expires")
	}
	wanted := seconds(m, message.SessionExpires)
	if wanted > 0 && wanted < conf.MinSE && m.Lists(message.Supported, "timer") {
		return refused(422).with("Min-SE", strconv.Itoa(int(conf.MinSE/time.Second)))
	}
	return nil
}

// agreeSession decides the interval as the one who answers, and writes it (§9).
func (l *Leg) agreeSession(b []byte, m *message.Message) []byte {
	conf := l.trunk.conf.Load()
	interval := conf.SessionExpires
	if wanted := seconds(m, message.SessionExpires); wanted > 0 {
		interval = max(min(interval, wanted), conf.MinSE)
	}
	interval = max(interval, seconds(m, message.MinSE))
	can := m.Lists(message.Supported, "timer")
	refresher, _ := message.Params(paramsOf(m.Get(message.SessionExpires))).Get("refresher")
	ours := !can || !strings.EqualFold(refresher, "uac")
	l.setSession(interval, ours)
	who := "uas"
	if !ours {
		who = "uac"
		b = message.Append(b, "Require", "timer")
	}
	return message.Append(b, "Session-Expires", strconv.Itoa(int(interval/time.Second))+";refresher="+who)
}

func paramsOf(v string) string {
	if i := strings.IndexByte(v, ';'); i >= 0 {
		return v[i:]
	}
	return ""
}

// askSession writes what we want as the one who asks (§7.1).
func (l *Leg) askSession(b []byte) []byte {
	conf := l.trunk.conf.Load()
	interval := max(conf.SessionExpires, l.session.least)
	if l.session.interval > 0 {
		interval = max(l.session.interval, l.session.least)
	}
	value := strconv.Itoa(int(interval / time.Second))
	if l.phase == confirmed && l.session.interval > 0 { // who refreshes stays who refreshes
		value += ";refresher=" + map[bool]string{true: "uac", false: "uas"}[l.session.ours]
	}
	b = message.Append(b, "Session-Expires", value)
	return message.AppendNumber(b, "Min-SE", int(max(conf.MinSE, l.session.least)/time.Second))
}

// takeSession takes over what the peer decided (§7.2).
func (l *Leg) takeSession(m *message.Message) {
	interval := seconds(m, message.SessionExpires)
	if interval == 0 { // the peer does not know session timers
		l.setSession(0, false)
		return
	}
	refresher, _ := message.Params(paramsOf(m.Get(message.SessionExpires))).Get("refresher")
	l.setSession(interval, !strings.EqualFold(refresher, "uas"))
}

// setSession starts the timer: we refresh at half time, or hang up shortly
// before the end when the peer did not (§10).
func (l *Leg) setSession(interval time.Duration, ours bool) {
	s := &l.session
	s.stop()
	s.interval, s.ours = interval, ours
	switch {
	case interval == 0:
	case ours:
		s.timer = l.after(interval/2, l.refreshSession)
	default:
		s.timer = l.after(interval-min(32*time.Second, interval/3), func() {
			if l.phase == confirmed {
				l.sayBye(causeSession)
			}
		})
	}
}

// refreshSession tells the peer that we are there: by UPDATE where it knows it,
// otherwise by INVITE with the same description.
func (l *Leg) refreshSession() {
	if l.phase != confirmed {
		return
	}
	if !l.dialog.updates {
		l.reinviteSame()
		return
	}
	var extra [][2]string
	for name, value := range headersOf(l.askSession(nil)) {
		extra = append(extra, [2]string{name, value})
	}
	l.send("UPDATE", extra, "", nil, func(m *message.Message) {
		switch {
		case l.phase != confirmed:
		case m == nil || m.Status == 408 || m.Status == 481:
			l.sayBye(causeSession)
		case m.Status == 422 && seconds(m, message.MinSE) > l.session.least:
			l.session.least = seconds(m, message.MinSE)
			l.refreshSession()
		case m.Status < 300:
			l.takeSession(m)
		default: // busy with something else: soon again
			l.session.timer = l.after(l.session.interval/8, l.refreshSession)
		}
	})
}

func (l *Leg) reinviteSame() {
	if l.outgoing != nil || l.incoming != nil || l.glare {
		l.again = l.refreshSession
		return
	}
	before := l.media
	l.media.offering = true
	l.sendInvite(&outgoing{refresh: true, offer: l.media.body, before: before})
}
