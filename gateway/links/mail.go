package links

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// Places of a mail's picture and pages. The engine writes them into mails.
const (
	pixelPath       = "o/"
	unsubscribePath = "u/"
	preferencesPath = "p/"
)

// formMost bounds what a form may send, in octets.
const formMost = 4 << 10

// saveTime is how long a page waits until what a person decided is durable. It must not
// say that it is before.
const saveTime = 8 * time.Second

// pixelGIF is a transparent picture of one pixel (GIF89a).
var pixelGIF = []byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;")

// pixel answers with the picture, whoever asks: a broken one would be seen. Proxies of
// mailbox providers load the pictures of very many, so the rate of those that are in our
// mails has no bound but the store's.
func (s *Server) pixel(w http.ResponseWriter, r *http.Request, token string, caller netip.Addr) (outcome string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return notAllowed(w, "GET, HEAD")
	}
	status := http.StatusOK
	machine := isMachineOpen(r)
	switch err := s.core.Known(token); {
	case err != nil && !s.limiter.take(caller, unknownCost, s.config.Load().Rate, s.now()):
		outcome, status = "limited", http.StatusTooManyRequests
	case errors.Is(err, ErrUnknown):
		outcome, status = "unknown", http.StatusNotFound
	case err != nil:
		s.log.Error("a mail could not be looked up", "error", err)
		outcome, status = "error", http.StatusServiceUnavailable
	default:
		s.tell(r.Context(), func(done func(error)) { s.core.Open(token, machine, done) })
		if outcome = "open"; machine {
			outcome = "machine_open"
		}
	}
	h := w.Header()
	h.Set("Content-Type", "image/gif")
	h.Set("Content-Length", strconv.Itoa(len(pixelGIF)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(pixelGIF)
	}
	return outcome
}

// unsubscribe shows the page on which a person wants no more mail, and does it on a
// POST: that of the page, or the one click of a mail program (RFC 8058), which gets no
// redirect and needs no further step.
func (s *Server) unsubscribe(w http.ResponseWriter, r *http.Request, token string, caller netip.Addr) (outcome string) {
	who, outcome := s.recipient(w, r, token, caller)
	if outcome != "" {
		return outcome
	}
	t := textsFor(r, who.Language)
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return showMail(w, r, http.StatusOK, mailPage{texts: t, Kind: pageUnsubscribe, Recipient: who, Preferences: "../" + preferencesPath + token})
	case http.MethodPost:
	default:
		return notAllowed(w, "GET, HEAD, POST")
	}
	if form := formOf(w, r); form == nil || form("List-Unsubscribe") != "One-Click" && form("confirm") == "" {
		return showMail(w, r, http.StatusBadRequest, mailPage{texts: t, Kind: pageUnsubscribe, Recipient: who, Preferences: "../" + preferencesPath + token})
	}
	no := false
	if !s.choose(r.Context(), token, Choice{Mail: &no}) {
		return showMail(w, r, http.StatusServiceUnavailable, mailPage{texts: t, Kind: pageFailed})
	}
	who.NoMail = true
	showMail(w, r, http.StatusOK, mailPage{texts: t, Kind: pageUnsubscribed, Recipient: who, Preferences: "../" + preferencesPath + token})
	return "unsubscribed"
}

// preferences shows the page on which a person decides about mail, and saves it.
func (s *Server) preferences(w http.ResponseWriter, r *http.Request, token string, caller netip.Addr) (outcome string) {
	who, outcome := s.recipient(w, r, token, caller)
	if outcome != "" {
		return outcome
	}
	t := textsFor(r, who.Language)
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return showMail(w, r, http.StatusOK, mailPage{texts: t, Kind: pagePreferences, Recipient: who})
	case http.MethodPost:
	default:
		return notAllowed(w, "GET, HEAD, POST")
	}
	form := formOf(w, r)
	if form == nil || form("save") == "" {
		return showMail(w, r, http.StatusBadRequest, mailPage{texts: t, Kind: pagePreferences, Recipient: who})
	}
	wants, doNotTrack := form("mail") != "", form("track") == ""
	if !s.choose(r.Context(), token, Choice{&wants, &doNotTrack}) {
		return showMail(w, r, http.StatusServiceUnavailable, mailPage{texts: t, Kind: pageFailed})
	}
	who.NoMail, who.DoNotTrack = !wants, doNotTrack
	showMail(w, r, http.StatusOK, mailPage{texts: t, Kind: pagePreferences, Recipient: who, Saved: true})
	return "saved"
}

// recipient finds whom a page is for, or answers that there is none.
func (s *Server) recipient(w http.ResponseWriter, r *http.Request, token string, caller netip.Addr) (who Recipient, outcome string) {
	who, err := s.core.Mail(r.Context(), token)
	t := textsFor(r, "")
	switch {
	case errors.Is(err, ErrUnknown) || errors.Is(err, ErrGone):
		s.limiter.take(caller, unknownCost-1, s.config.Load().Rate, s.now())
		showMail(w, r, http.StatusNotFound, mailPage{texts: t, Kind: pageUnknown})
		return who, "unknown"
	case err != nil:
		s.log.Error("a mail could not be looked up", "error", err)
		showMail(w, r, http.StatusServiceUnavailable, mailPage{texts: t, Kind: pageFailed})
		return who, "error"
	}
	return who, ""
}

// choose does what a person decided, and says whether that is durable.
func (s *Server) choose(ctx context.Context, token string, c Choice) bool {
	ctx, cancel := context.WithTimeout(ctx, saveTime)
	defer cancel()
	durable := make(chan error, 1)
	s.core.Choose(token, c, func(err error) { durable <- err })
	select {
	case err := <-durable:
		if err != nil {
			s.metrics.lost.Inc()
			s.log.Error("what the recipient of a mail decided could not be stored", "error", err)
		}
		return err == nil
	case <-ctx.Done():
		return false
	}
}

// formOf reads the form that a request sends, as browsers and mail programs write it;
// nil when there is none.
func formOf(w http.ResponseWriter, r *http.Request) func(name string) string {
	r.Body = http.MaxBytesReader(w, r.Body, formMost)
	typ, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch typ {
	case "multipart/form-data":
		if r.ParseMultipartForm(formMost) != nil {
			return nil
		}
		defer func() { _ = r.MultipartForm.RemoveAll() }()
	default:
		if r.ParseForm() != nil {
			return nil
		}
	}
	return r.PostFormValue
}

func notAllowed(w http.ResponseWriter, methods string) (outcome string) {
	w.Header().Set("Allow", methods)
	w.WriteHeader(http.StatusMethodNotAllowed)
	return "refused"
}
