package sip

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"trunkline/gateway/sip/message"
)

// request is a request of a peer with what has been understood of it.
type request struct {
	*message.Message
	path     path
	trunk    *trunk
	received time.Time

	via      message.Via
	from, to message.Address
	uri      message.URI
	callID   string
	seq      uint32
	maxFwd   int
}

// refusal is why a request is not taken.
type refusal struct {
	code    int
	text    string // in place of the usual phrase
	headers [][2]string
}

func refused(code int) *refusal { return &refusal{code: code} }

func (r *refusal) with(name, value string) *refusal {
	r.headers = append(r.headers, [2]string{name, value})
	return r
}

func (r *refusal) has(name string) bool {
	return slices.ContainsFunc(r.headers, func(h [2]string) bool { return h[0] == name })
}

func (r *refusal) phrase() string {
	if r.text != "" {
		return r.text
	}
	return phrase(r.code)
}

// badRequest says what is wrong in the phrase.
func badRequest(text string) *refusal { return &refusal{code: 400, text: text} }

const (
	version = "SIP/2.0"

	methodOptions = "OPTIONS"
	sdpType       = "application/sdp"
	acceptTypes   = "application/sdp, application/dtmf-relay, application/dtmf"
	allowed       = "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY"
	extensions    = "100rel, timer"
)

// known are the methods that we have heard of; those in allowed we speak.
var known = map[string]bool{
	"INVITE": true, "ACK": true, "BYE": true, "CANCEL": true, methodOptions: true, "PRACK": true, "UPDATE": true, "INFO": true, "REFER": true,
	"NOTIFY": true, "REGISTER": false, "SUBSCRIBE": false, "MESSAGE": false, "PUBLISH": false,
}

// read understands a request, or tells what is wrong with it. The order is that
// of RFC 3261 §8.2: form first, then method, headers, content.
func (r *request) read() *refusal {
	for _, check := range []func() *refusal{r.readForm, r.readAddresses, r.readMethod, r.readDemands, r.readContent} {
		if why := check(); why != nil {
			return why
		}
	}
	return nil
}

// readForm checks what every message has (§8.1.1, §20).
func (r *request) readForm() *refusal {
	if r.Version != version {
		return refused(505)
	}
	for _, n := range [...]message.Name{message.ViaHeader, message.From, message.To, message.CallID, message.CSeq} {
		if !r.Has(n) {
			return badRequest("Missing " + n.String())
		}
	}
	if n, twice := r.Repeated(); twice {
		return badRequest("Repeated " + n.String())
	}
	var err error
	if r.via, err = r.TopVia(); err != nil || r.via.Branch() == message.Magic {
		return badRequest("Malformed Via")
	}
	method := ""
	if r.seq, method, err = r.Sequence(); err != nil {
		return badRequest("Malformed CSeq")
	}
	if method != r.Method {
		return badRequest("CSeq names another method")
	}
	r.callID = r.Get(message.CallID)
	if r.callID == "" || strings.ContainsAny(r.callID, " \t") {
		return badRequest("Malformed Call-ID")
	}
	if r.maxFwd, err = r.Number(message.MaxForwards); err != nil || r.maxFwd > 255 {
		return badRequest("Malformed Max-Forwards")
	}
	if _, err = r.Number(message.Expires); err != nil {
		return badRequest("Malformed Expires")
	}
	if date := r.Get(message.Date); date != "" && !strings.HasSuffix(date, "GMT") { // §20.17
		return badRequest("Date is not in GMT")
	}
	return nil
}

// readAddresses checks every address that signalling may use.
func (r *request) readAddresses() *refusal {
	var err error
	if r.from, err = message.ParseAddress(r.Get(message.From)); err != nil {
		return badRequest("Malformed From")
	}
	if r.to, err = message.ParseAddress(r.Get(message.To)); err != nil {
		return badRequest("Malformed To")
	}
	if r.from.Tag() == "" && r.modern() {
		return badRequest("From without a tag")
	}
	for _, n := range [...]message.Name{message.Contact, message.Route, message.RecordRoute} {
		ok := true
		r.Each(n, func(e string) bool {
			_, err := message.ParseAddress(e)
			ok = err == nil || e == "*" && n == message.Contact
			return ok
		})
		if !ok {
			return badRequest("Malformed " + n.String())
		}
	}
	if r.Method == "REGISTER" { // §10.3: an address of record is a SIP URI
		if _, err := message.ParseURI(r.to.URI); err != nil {
			return badRequest("To is no address of record")
		}
	}
	if r.uri, err = message.ParseURI(r.URI); err != nil {
		if f := (*message.Fault)(nil); errors.As(err, &f) && f.Code == 416 {
			return refused(416)
		}
		return badRequest("Malformed Request-URI")
	}
	if r.uri.Header { // §19.1.1: not in a Request-URI
		return badRequest("Headers in the Request-URI")
	}
	if r.Method == "INVITE" && !r.Has(message.Contact) && r.modern() {
		return badRequest("Missing Contact")
	}
	return nil
}

// modern tells requests that follow RFC 3261 from those of RFC 2543, which knew
// no unique branches and no mandatory tags.
func (r *request) modern() bool { return strings.HasPrefix(r.via.Branch(), message.Magic) }

// readMethod checks that we speak it, and how far it has come.
func (r *request) readMethod() *refusal {
	spoken, heard := known[r.Method]
	switch {
	case !heard:
		return refused(501).with("Allow", allowed)
	case !spoken:
		return refused(405).with("Allow", allowed)
	case r.maxFwd == 0:
		return refused(483)
	}
	return nil
}

// readDemands checks what the peer insists on (§8.2.2.3).
func (r *request) readDemands() *refusal {
	if r.Method == "ACK" || r.Method == "CANCEL" {
		return nil
	}
	var unknown []string
	r.Each(message.Require, func(e string) bool {
		switch strings.ToLower(e) {
		case "100rel", "timer":
		default:
			unknown = append(unknown, e)
		}
		return len(unknown) < 16
	})
	if unknown != nil {
		return refused(420).with("Unsupported", strings.Join(unknown, ", "))
	}
	if r.Method == "INVITE" && r.Has(message.Accept) && !r.accepts(sdpType) {
		return refused(406)
	}
	return nil
}

// accepts reports whether the peer takes content of a type.
func (r *request) accepts(kind string) (ok bool) {
	family, _, _ := strings.Cut(kind, "/")
	r.Each(message.Accept, func(e string) bool {
		e = mediaType(e)
		ok = e == kind || e == "*/*" || e == family+"/*"
		return !ok
	})
	return ok
}

// mediaType is the type without its parameters, in lower case.
func mediaType(v string) string {
	v, _, _ = strings.Cut(v, ";")
	return strings.ToLower(strings.Trim(v, " \t"))
}

// readContent checks that we can read what comes along (§8.2.3). Content that
// may be ignored is.
func (r *request) readContent() *refusal {
	if r.Body == "" {
		return nil
	}
	if strings.Contains(strings.ToLower(r.Get(message.ContentDisposition)), "handling=optional") {
		r.Body = ""
		return nil
	}
	if e := strings.ToLower(r.Get(message.ContentEncoding)); e != "" && e != "identity" {
		return refused(415).with("Accept-Encoding", "identity")
	}
	kind := mediaType(r.Get(message.ContentType))
	ok := kind == sdpType
	switch r.Method {
	case "INFO":
		ok = kind == "application/dtmf-relay" || kind == "application/dtmf"
	case "INVITE", "UPDATE", "PRACK", "ACK":
		if kind == "" {
			return badRequest("Missing Content-Type")
		}
	default: // content of these means nothing to us
		return nil
	}
	if !ok {
		return refused(415).with("Accept", acceptTypes)
	}
	return nil
}

// replyPath is where responses go (§18.2.2, RFC 3581).
func (r *request) replyPath() path {
	if r.path.reliable() {
		return r.path
	}
	_, wants := r.via.Params.Get("rport")
	if wants || r.trunk.conf.Load().Symmetric {
		return r.path
	}
	port := r.via.Port
	if port == 0 {
		port = 5060
	}
	p := r.path
	p.peer = netip.AddrPortFrom(p.peer.Addr(), uint16(port))
	return p
}

// transaction names the server transaction, the same for INVITE, its ACK and its
// CANCEL (§17.2.3).
func (r *request) transaction() string {
	if r.modern() {
		return r.via.Branch() + "|" + strings.ToLower(r.via.Host) + ":" + strconv.Itoa(r.via.Port)
	}
	top := r.Get(message.ViaHeader)
	return strings.Join([]string{r.callID, r.from.Tag(), strconv.FormatUint(uint64(r.seq), 10), r.URI, top}, "|")
}

// merged names the request however it came (§8.2.2.2).
func (r *request) merged() string {
	return r.callID + "|" + r.from.Tag() + "|" + strconv.FormatUint(uint64(r.seq), 10)
}

// replayKey is what the answer to a finished request is kept under.
func (r *request) replayKey() string {
	switch r.Method {
	case "INVITE":
		return r.transaction()
	case "BYE", "CANCEL":
		return r.Method + r.transaction()
	}
	return ""
}
