package sip

import (
	"net/netip"
	"slices"
	"strconv"
	"time"

	"trunkline/gateway/rtp/sdp"
	"trunkline/gateway/sip/message"
)

// dialog is what two sides share (RFC 3261 §12).
type dialog struct {
	local, remote string // From and To of our requests, tags included
	remoteTag     string
	target        string   // where the peer wants requests: its Contact
	routes        []string // of proxies in between
	seq           uint32   // of our last request
	peerSeq       uint32
	peerSeen      bool // peerSeq is set
	path          path
	updates       bool // the peer knows UPDATE
	credentials   *credentials
}

// media is what is agreed about sound.
type media struct {
	local    sdp.Local // what we said last, or are saying
	said     bool
	body     []byte // the same, as text
	agreed   sdp.Agreed
	offering bool // an offer of ours waits for its answer
}

// answers are the last responses to requests within the dialog.
type answers struct {
	ring [4]struct {
		key  string
		data []byte
	}
	next int
}

func (a *answers) put(key string, data []byte) {
	a.ring[a.next].key, a.ring[a.next].data = key, data
	a.next = (a.next + 1) % len(a.ring)
}

func (a *answers) get(key string) []byte {
	for i := range a.ring {
		if a.ring[i].key == key {
			return a.ring[i].data
		}
	}
	return nil
}

// learn takes over from a message of the peer where it wants requests (§12.1,
// §12.2) and what it can do.
func (d *dialog) learn(m *message.Message) {
	m.Each(message.Contact, func(e string) bool {
		if a, err := message.ParseAddress(e); err == nil {
			d.target = a.URI
		}
		return false
	})
	if m.Has(message.Allow) {
		d.updates = m.Lists(message.Allow, "UPDATE")
	}
}

// route takes over the proxies that want to stay in between (§12.1).
func (d *dialog) route(m *message.Message, reverse bool) {
	d.routes = nil
	m.Each(message.RecordRoute, func(e string) bool {
		d.routes = append(d.routes, e)
		return len(d.routes) < 32
	})
	if reverse {
		slices.Reverse(d.routes)
	}
}

// next is where our requests go: the first proxy or the peer's Contact when that
// is an address of the trunk. Otherwise, behind a NAT, it is where the peer's
// messages come from.
func (l *Leg) next() path {
	p := l.dialog.path
	if p.alive() && p.reliable() {
		return p
	}
	hop := l.dialog.target
	if len(l.dialog.routes) > 0 {
		if a, err := message.ParseAddress(l.dialog.routes[0]); err == nil {
			hop = a.URI
		}
	}
	if to, ok := l.literal(hop); ok {
		p.peer = to
	} else if list := l.trunk.list(); p.reliable() && len(list) > 0 {
		p.peer = list[0].addr // the port of an accepted connection takes none
	}
	if p.reliable() { // the connection is gone
		if s, err := l.trunk.connection(l.edge.ending, target{addr: p.peer, host: l.trunk.host()}); err == nil {
			l.dialog.path = path{stream: s, peer: s.peer}
			return l.dialog.path
		}
	}
	return p
}

// literal is the address that a URI names, when it is one of the trunk's.
func (l *Leg) literal(uri string) (netip.AddrPort, bool) {
	u, err := message.ParseURI(uri)
	if err != nil {
		return netip.AddrPort{}, false
	}
	addr, err := netip.ParseAddr(u.Host)
	if err != nil {
		return netip.AddrPort{}, false
	}
	port := u.Port
	if port == 0 {
		port = defaultPort(l.trunk.conf.Load().Transport)
	}
	to := netip.AddrPortFrom(addr.Unmap(), uint16(port))
	return to, l.edge.trunkAt(to) == l.trunk
}

// compose begins a request within the dialog.
func (l *Leg) compose(p path, method string, seq uint32, branch string) []byte {
	d := &l.dialog
	b := make([]byte, 0, 1024)
	b = message.AppendRequestLine(b, method, d.target)
	b = appendVia(b, p, branch)
	for _, r := range d.routes {
		b = message.Append(b, "Route", r)
	}
	hops := maxForwards
	if method == "INVITE" && l.phase == trying {
		hops = l.Hops
	}
	b = message.AppendNumber(b, "Max-Forwards", hops)
	b = message.Append(b, "From", d.local)
	b = message.Append(b, "To", d.remote)
	b = message.Append(b, "Call-ID", l.CallID)
	b = appendSequence(b, seq, method)
	switch method {
	case "INVITE", "UPDATE":
		b = l.appendContact(b, p)
		b = l.edge.appendAbilities(b)
	case "NOTIFY":
		b = l.appendContact(b, p)
	}
	if method != "ACK" {
		if name, value := d.credentials.header(l.trunk, method, d.target); name != "" {
			b = message.Append(b, name, value)
		}
	}
	return l.edge.appendAgent(b)
}

const maxForwards = 70

func appendVia(b []byte, p path, branch string) []byte {
	b = append(b, "Via: SIP/2.0/"...)
	b = append(b, p.transport()...)
	b = append(b, ' ')
	b = append(b, p.local()...)
	b = append(b, ";rport;branch="...)
	b = append(b, branch...)
	return append(b, "\r\n"...)
}

func appendSequence(b []byte, seq uint32, method string) []byte {
	b = append(b, "CSeq: "...)
	b = strconv.AppendUint(b, uint64(seq), 10)
	b = append(b, ' ')
	b = append(b, method...)
	return append(b, "\r\n"...)
}

// appendContact writes where we want the peer's requests.
func (l *Leg) appendContact(b []byte, p path) []byte {
	b = append(b, "Contact: <sip:trunkline@"...)
	b = append(b, p.local()...)
	if t := p.transport(); t != "UDP" {
		b = append(b, ";transport="...)
		b = append(b, map[string]string{"TCP": "tcp", "TLS": "tls"}[t]...)
	}
	return append(b, ">\r\n"...)
}

// appendAbilities writes what we speak.
func (e *Edge) appendAbilities(b []byte) []byte {
	b = message.Append(b, "Allow", allowed)
	return message.Append(b, "Supported", extensions)
}

func (e *Edge) appendAgent(b []byte) []byte {
	return message.Append(b, "User-Agent", e.current.Load().config.UserAgent)
}

func (e *Edge) appendServer(b []byte) []byte {
	return message.Append(b, "Server", e.current.Load().config.UserAgent)
}

// send makes a transaction of a request within the dialog. done gets its final
// response in the leg's order of events, nil when none came. A challenge is
// answered once.
func (l *Leg) send(method string, extra [][2]string, kind string, body []byte, done func(*message.Message)) {
	l.dialog.seq++
	l.sendAs(l.dialog.seq, method, extra, kind, body, done, true)
}

func (l *Leg) sendAs(seq uint32, method string, extra [][2]string, kind string, body []byte, done func(*message.Message), mayAnswer bool) {
	l.busy++
	p := l.next()
	branch := l.edge.newBranch()
	b := l.compose(p, method, seq, branch)
	for _, h := range extra {
		b = message.Append(b, h[0], h[1])
	}
	b = message.AppendBody(b, kind, body)
	c := &client{edge: l.edge, branch: branch, method: method, path: p, data: b}
	c.deliver = func(m *message.Message, _ path, _ error) {
		if m != nil && m.Status < 200 {
			return
		}
		l.do(func() {
			l.busy--
			if m != nil && mayAnswer && (m.Status == 401 || m.Status == 407) && l.authorize(m) {
				l.dialog.seq++
				l.sendAs(l.dialog.seq, method, extra, kind, body, done, false)
				return
			}
			done(m)
			l.retire()
		})
	}
	c.start()
}

// authorize takes over a challenge; it reports false when we have no answer.
func (l *Leg) authorize(m *message.Message) bool {
	c := l.trunk.challenged(m)
	if c == nil {
		return false
	}
	l.dialog.credentials = c
	return true
}

// respond answers a request within the dialog and remembers the answer.
func (l *Leg) respond(r *request, why *refusal, kind string, body []byte) {
	b := message.AppendReplyHead(make([]byte, 0, 768), r.Message, why.code, why.phrase(), l.ID, r.path.peer)
	for _, h := range why.headers {
		b = message.Append(b, h[0], h[1])
	}
	if why.code == 500 && !why.has("Retry-After") {
		b = message.AppendNumber(b, "Retry-After", retryAfter())
	}
	b = message.AppendBody(l.edge.appendServer(b), kind, body)
	l.answers.put(r.Method+r.transaction(), b)
	l.edge.metrics.request(l.Trunk, r.Method, why.code)
	_ = l.edge.back(r.replyPath(), b)
}

// describe makes our description of what local says: the answer to the peer's
// offer, or an offer when offer is nil.
func (l *Leg) describe(local sdp.Local, offer *sdp.Description) ([]byte, error) {
	m := &l.media
	version := m.local.Origin.Version
	id := m.local.Origin.ID
	if id == 0 {
		id = uint64(l.Received.UnixNano())
		version = id
	}
	local.Origin = sdp.Origin{ID: id, Version: version + 1}
	if m.said { // keys stay: packets under them are on their way
		local.Secure, local.Keys = m.local.Secure, m.local.Keys
	} else if local.Secure = l.trunk.conf.Load().secure(); local.Secure != sdp.Plain {
		local.Keys = sdp.NewKeys()
	}
	if len(local.Codecs) == 0 {
		local.Codecs = l.trunk.codecs()
	}
	var d sdp.Description
	agreed := m.agreed
	if offer == nil {
		d = local.Offer()
	} else {
		var err error
		if d, agreed, err = local.Answer(*offer); err != nil {
			return nil, err
		}
	}
	body, err := d.Marshal()
	if err != nil {
		return nil, err
	}
	m.local, m.said, m.body, m.agreed, m.offering = local, true, body, agreed, offer == nil
	return body, nil
}

// conclude takes the peer's answer to our offer.
func (l *Leg) conclude(body string, early bool) error {
	answer, err := sdp.Parse([]byte(body))
	if err != nil {
		return err
	}
	agreed, err := l.media.local.Conclude(answer)
	if err != nil {
		return err
	}
	l.media.agreed, l.media.offering = agreed, false
	l.tellMedia(early)
	return nil
}

func (l *Leg) tellMedia(early bool) {
	l.emit(Media{Agreed: l.media.agreed, Local: l.media.local, Early: early})
}

// emit tells the host.
func (l *Leg) emit(e Event) {
	if l.sink != nil {
		l.sink(e)
	}
}

// do puts f in the leg's line.
func (l *Leg) do(f func()) { l.box.post(l.run, f) }

// after puts f in the leg's line when d has passed.
func (l *Leg) after(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(d, func() { l.do(f) })
}

// run guards what happens in the leg: a panic ends this call and no other.
func (l *Leg) run(f func()) {
	if !l.edge.guard("handling a call", f) {
		l.edge.guard("ending a call", func() { l.hangup(causeFault) })
	}
}

// finish says Ended, once.
func (l *Leg) finish(c Cause) {
	if l.phase == over {
		return
	}
	c.Answer = l.phase != trying
	l.phase = over
	l.session.stop()
	if l.limit != nil {
		l.limit.Stop()
	}
	l.reliable.stop()
	l.uncount()
	l.edge.metrics.ended(l, c)
	l.log.Debug("a leg ended", "leg", l.ID, "trunk", l.Trunk, "inbound", l.Inbound, "code", c.Code, "q850", c.Q850, "by", c.By.String(), "answered", c.Answer)
	l.emit(Ended{c})
}

// retire forgets the leg when it is over and nothing of it runs.
func (l *Leg) retire() {
	if l.phase != over || l.incoming != nil || l.outgoing != nil || l.busy > 0 {
		return
	}
	l.dropSettled()
	l.edge.table.removeLeg(l)
	l.onStream(nil)
}

// onStream counts the leg among those of a connection, which then stays open.
func (l *Leg) onStream(s *stream) {
	if l.stream == s {
		return
	}
	if l.stream != nil {
		l.stream.calls.Add(-1)
	}
	if l.stream = s; s != nil {
		s.calls.Add(1)
	}
}

// uncount takes the leg off its trunk's calls.
func (l *Leg) uncount() {
	if l.counted {
		l.counted = false
		l.trunk.calls.Add(-1)
		l.edge.calls.Add(-1)
	}
}

// arm sets the time at which the leg is given up.
func (l *Leg) arm(d time.Duration, f func()) {
	if l.limit != nil {
		l.limit.Stop()
	}
	l.limit = l.after(d, f)
}
