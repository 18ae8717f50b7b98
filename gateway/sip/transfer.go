package sip

import (
	"strconv"

	"trunkline/gateway/sip/message"
)

// transfer is a REFER of the peer that is being carried out (RFC 3515).
type transfer struct {
	active bool
	id     uint32 // CSeq of the REFER
}

// referred takes REFER: policy first, then the host.
func (l *Leg) referred(r *request) {
	conf := l.trunk.conf.Load()
	to, err := message.ParseAddress(r.Get(message.ReferTo))
	uri, err2 := message.ParseURI(to.URI)
	switch {
	case err != nil || err2 != nil && to.URI == "":
		l.respond(r, badRequest("Malformed Refer-To"), "", nil)
		return
	case conf.Transfer != "allow":
		l.respond(r, refused(603), "", nil)
		return
	case l.phase != confirmed || l.transfer.active:
		l.respond(r, refused(491), "", nil)
		return
	case err2 != nil || uri.User == "":
		l.respond(r, refused(403), "", nil)
		return
	}
	l.transfer = transfer{active: true, id: r.seq}
	l.respond(r, refused(202).with("Contact", l.contact(r.path)), "", nil)
	l.notify(100, false)
	l.emit(Transfer{Number: uri.User, URI: to.URI})
}

// transferred tells the peer how it goes (§2.4.4).
func (l *Leg) transferred(status int) {
	if !l.transfer.active || status < 100 || status > 699 {
		return
	}
	final := status >= 200
	l.transfer.active = !final
	l.notify(status, final)
}

func (l *Leg) notify(status int, final bool) {
	if l.phase != confirmed {
		return
	}
	state := "active;expires=60"
	if final {
		state = "terminated;reason=noresource"
	}
	body := "SIP/2.0 " + strconv.Itoa(status) + " " + phrase(status) + "\r\n"
	l.send("NOTIFY", [][2]string{
		{"Event", "refer;id=" + strconv.FormatUint(uint64(l.transfer.id), 10)}, {"Subscription-State", state},
	}, "message/sipfrag;version=2.0", []byte(body), func(*message.Message) {})
}
