package links

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// page is what people see who follow a link that leads nowhere. It is one file,
// without anything to load, for small and large screens, light and dark.
const page = `<!doctype html>
<html lang="%[3]s">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>%[1]s</title>
<style>
:root{color-scheme:light dark}
body{margin:0;min-height:100vh;min-height:100dvh;display:grid;place-items:center;background:#f6f7f9;color:#1b1f24;font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{box-sizing:border-box;width:min(26rem,100%%);padding:2rem 1.5rem;text-align:center}
svg{width:3.5rem;height:3.5rem;color:#68727d}
h1{margin:1rem 0 .5rem;font-size:1.375rem;line-height:1.25;overflow-wrap:anywhere}
p{margin:0;color:#4b545e}
@media (prefers-color-scheme:dark){body{background:#14171a;color:#eceff2}svg{color:#8b96a1}p{color:#aeb7c0}}
</style>
</head>
<body>
<main>
<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="M9 17H7A5 5 0 0 1 7 7M15 7h2a5 5 0 0 1 4 8M8 12h4M3 3l18 18"/></svg>
<h1>%[1]s</h1>
<p>%[2]s</p>
</main>
</body>
</html>
`

// notices are the pages' titles and texts by status, in the languages of mails' pages.
var notices = map[int][3][2]string{
	http.StatusNotFound: {
		{"There is nothing at this link", "Perhaps a part of it is missing: please open it again from the message."},
		{"Na ovoj poveznici nema ničega", "Možda joj nedostaje dio: otvorite je ponovno iz poruke."},
		{"Unter diesem Link gibt es nichts", "Vielleicht fehlt ein Teil davon: Bitte öffnen Sie ihn noch einmal aus der Nachricht."},
	},
	http.StatusGone: {
		{"This link has expired", "What it led to is no longer offered here."},
		{"Ova je poveznica istekla", "Ono na što je vodila ovdje se više ne nudi."},
		{"Dieser Link ist abgelaufen", "Wohin er führte, wird hier nicht mehr angeboten."},
	},
	http.StatusTooManyRequests: {
		{"One moment, please", "Too many requests came from your network. Please try again in a few seconds."},
		{"Samo trenutak", "S vaše je mreže stiglo previše zahtjeva. Pokušajte ponovno za nekoliko sekundi."},
		{"Einen Augenblick, bitte", "Aus Ihrem Netz kamen zu viele Anfragen. Bitte versuchen Sie es in ein paar Sekunden noch einmal."},
	},
	http.StatusServiceUnavailable: {
		{"Something went wrong", "Please try again in a moment."},
		{"Nešto je pošlo po krivu", "Pokušajte ponovno za koji trenutak."},
		{"Etwas ist schiefgegangen", "Bitte versuchen Sie es gleich noch einmal."},
	},
}

// show answers with the page of a status, in a language that the browser asks for.
func show(w http.ResponseWriter, r *http.Request, status int) {
	lang := textsFor(r, "").Lang
	i := slices.IndexFunc(languages, func(t *texts) bool { return t.Lang == lang })
	body := fmt.Sprintf(page, notices[status][i][0], notices[status][i][1], lang)
	h := w.Header()
	h.Set("Content-Language", lang)
	h.Set("Vary", "Accept-Language")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(body))
	}
}
