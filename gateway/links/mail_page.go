package links

import (
	"bytes"
	"html/template"
	"net/http"
	"strconv"

	"golang.org/x/text/language"
)

// pageKind is what a page of a mail shows.
type pageKind string

const (
	pageUnsubscribe  pageKind = "unsubscribe"
	pageUnsubscribed pageKind = "unsubscribed"
	pagePreferences  pageKind = "preferences"
	pageUnknown      pageKind = "unknown"
	pageFailed       pageKind = "failed"
)

// mailPage is what a page shows.
type mailPage struct {
	*texts
	Kind        pageKind
	Recipient   Recipient
	Preferences string // where the page of preferences is
	Saved       bool
}

// texts are those of the pages in one language. %s stands for the address.
type texts struct {
	Lang string

	Unsubscribe, UnsubscribeAsk, UnsubscribeDo        string
	Unsubscribed, UnsubscribedText, Undo              string
	PreferencesTitle, PreferencesFor, Manage          string
	Mail, MailText, Track, TrackText, Save, SavedText string
	Unknown, UnknownText, Failed, FailedText          string
}

// languages are those that pages are written in, the usual one first.
var languages = []*texts{
	{
		Lang:        "en",
		Unsubscribe: "Unsubscribe", UnsubscribeAsk: "No more e-mails to this address?", UnsubscribeDo: "Unsubscribe",
		Unsubscribed: "You are unsubscribed", UnsubscribedText: "We will send no more e-mails to this address.", Undo: "Was this a mistake? Change your preferences",
		PreferencesTitle: "E-mail preferences", PreferencesFor: "For", Manage: "Change preferences instead",
		Mail: "Send me e-mails", MailText: "Turn this off and we send you none at all.",
		Track: "Count opens and clicks", TrackText: "Helps us to write what you care about. Off, nobody counts.", Save: "Save", SavedText: "Your preferences are saved.",
		Unknown: "There is nothing at this link", UnknownText: "Perhaps a part of it is missing: please open it again from the e-mail.",
		Failed: "Something went wrong", FailedText: "Nothing was changed. Please try again in a moment.",
	},
	{
		Lang:        "hr",
		Unsubscribe: "Odjava", UnsubscribeAsk: "Želite li prestati primati poruke na ovu adresu?", UnsubscribeDo: "Odjavi me",
		Unsubscribed: "Odjavljeni ste", UnsubscribedText: "Na ovu adresu više nećemo slati poruke.", Undo: "Bila je greška? Promijenite postavke",
		PreferencesTitle: "Postavke e-pošte", PreferencesFor: "Za", Manage: "Radije promijeni postavke",
		Mail: "Šaljite mi e-poštu", MailText: "Isključite i više vam ništa ne šaljemo.",
		Track: "Brojite otvaranja i klikove", TrackText: "Pomaže nam pisati o onome što vas zanima. Isključeno: nitko ne broji.", Save: "Spremi", SavedText: "Postavke su spremljene.",
		Unknown: "Na ovoj poveznici nema ničega", UnknownText: "Možda joj nedostaje dio: otvorite je ponovno iz poruke.",
		Failed: "Nešto je pošlo po krivu", FailedText: "Ništa nije promijenjeno. Pokušajte ponovno za koji trenutak.",
	},
	{
		Lang:        "de",
		Unsubscribe: "Abmelden", UnsubscribeAsk: "Keine E-Mails mehr an diese Adresse?", UnsubscribeDo: "Abmelden",
		Unsubscribed: "Sie sind abgemeldet", UnsubscribedText: "An diese Adresse schicken wir keine E-Mails mehr.", Undo: "Ein Versehen? Einstellungen ändern",
		PreferencesTitle: "E-Mail-Einstellungen", PreferencesFor: "Für", Manage: "Stattdessen Einstellungen ändern",
		Mail: "E-Mails zuschicken", MailText: "Ausgeschaltet schicken wir Ihnen gar keine.",
		Track: "Öffnungen und Klicks zählen", TrackText: "Das hilft uns zu schreiben, was Sie interessiert. Ausgeschaltet zählt niemand.", Save: "Speichern", SavedText: "Ihre Einstellungen sind gespeichert.",
		Unknown: "Unter diesem Link gibt es nichts", UnknownText: "Vielleicht fehlt ein Teil davon: Bitte öffnen Sie ihn noch einmal aus der E-Mail.",
		Failed: "Etwas ist schiefgegangen", FailedText: "Es wurde nichts geändert. Bitte versuchen Sie es gleich noch einmal.",
	},
}

var matcher = language.NewMatcher([]language.Tag{language.English, language.Croatian, language.German})

// textsFor are the texts in the language that the person prefers, else in one that
// their browser asks for, else in English.
func textsFor(r *http.Request, preferred string) *texts {
	_, i := language.MatchStrings(matcher, preferred, r.Header.Get("Accept-Language"))
	return languages[i]
}

// mailTemplate is one file, without anything to load, for small and large screens,
// light and dark.
var mailTemplate = template.Must(template.New("mail").Parse(`<!doctype html>
<html lang="{{.Lang}}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>{{template "title" .}}</title>
<style>
:root{color-scheme:light dark;--back:#f6f7f9;--card:#fff;--line:#d9dee4;--text:#1b1f24;--soft:#4b545e;--accent:#1d5fd1;--on:#fff;--good:#1a7f4b;--goodback:#e7f5ed}
@media (prefers-color-scheme:dark){:root{--back:#14171a;--card:#1d2125;--line:#343b42;--text:#eceff2;--soft:#aeb7c0;--accent:#7fb0ff;--on:#0d1522;--good:#7ddba6;--goodback:#173124}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;min-height:100dvh;display:grid;place-items:center;padding:1rem;background:var(--back);color:var(--text);font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{width:min(28rem,100%);padding:2rem 1.5rem;background:var(--card);border:1px solid var(--line);border-radius:1rem}
h1{margin:0 0 .5rem;font-size:1.5rem;line-height:1.25;overflow-wrap:anywhere}
p{margin:0 0 1rem;color:var(--soft)}
.address{margin:0 0 1.5rem;color:var(--text);font-weight:600;overflow-wrap:anywhere}
.saved{margin:0 0 1.25rem;padding:.625rem .875rem;border-radius:.5rem;color:var(--good);background:var(--goodback);border:1px solid currentColor}
button{width:100%;min-height:3rem;padding:.625rem 1rem;border:0;border-radius:.625rem;background:var(--accent);color:var(--on);font:inherit;font-weight:600;cursor:pointer}
button:focus-visible,a:focus-visible,input:focus-visible{outline:3px solid var(--accent);outline-offset:3px}
label{display:grid;grid-template-columns:1fr auto;gap:.125rem 1rem;align-items:center;padding:1rem 0;border-top:1px solid var(--line);cursor:pointer}
label:last-of-type{border-bottom:1px solid var(--line);margin-bottom:1.5rem}
label b{font-weight:600}
label small{grid-column:1;color:var(--soft);font-size:.9375rem}
input{grid-column:2;grid-row:1/3;width:1.5rem;height:1.5rem;margin:0;accent-color:var(--accent)}
a{display:block;margin-top:1.25rem;padding:.25rem;color:var(--accent);text-align:center}
</style>
</head>
<body>
<main>
<h1>{{template "title" .}}</h1>
{{- if eq .Kind "unsubscribe"}}
<p>{{.UnsubscribeAsk}}</p>
<p class="address">{{.Recipient.Address}}</p>
<form method="post"><input type="hidden" name="confirm" value="1"><button>{{.UnsubscribeDo}}</button></form>
<a href="{{.Preferences}}">{{.Manage}}</a>
{{- else if eq .Kind "unsubscribed"}}
<p>{{.UnsubscribedText}}</p>
<p class="address">{{.Recipient.Address}}</p>
<a href="{{.Preferences}}">{{.Undo}}</a>
{{- else if eq .Kind "preferences"}}
<p class="address">{{.PreferencesFor}} {{.Recipient.Address}}</p>
{{- if .Saved}}
<p class="saved" role="status">{{.SavedText}}</p>
{{- end}}
<form method="post"><input type="hidden" name="save" value="1">
<label><b>{{.Mail}}</b><input type="checkbox" name="mail" value="1"{{if not .Recipient.NoMail}} checked{{end}}><small>{{.MailText}}</small></label>
<label><b>{{.Track}}</b><input type="checkbox" name="track" value="1"{{if not .Recipient.DoNotTrack}} checked{{end}}><small>{{.TrackText}}</small></label>
<button>{{.Save}}</button></form>
{{- else if eq .Kind "unknown"}}
<p>{{.UnknownText}}</p>
{{- else}}
<p>{{.FailedText}}</p>
{{- end}}
</main>
</body>
</html>
{{define "title"}}{{if eq .Kind "unsubscribe"}}{{.Unsubscribe}}{{else if eq .Kind "unsubscribed"}}{{.Unsubscribed}}{{else if eq .Kind "preferences"}}{{.PreferencesTitle}}{{else if eq .Kind "unknown"}}{{.Unknown}}{{else}}{{.Failed}}{{end}}{{end}}`))

// showMail answers with a page of a mail.
func showMail(w http.ResponseWriter, r *http.Request, status int, p mailPage) (outcome string) {
	var body bytes.Buffer
	if err := mailTemplate.Execute(&body, p); err != nil { // unreachable: a test makes every page
		w.WriteHeader(http.StatusInternalServerError)
		return "error"
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", p.Lang)
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body.Bytes())
	}
	if status != http.StatusOK {
		return "refused"
	}
	return "page"
}
