package links

import (
	"fmt"
	"net/http"
	"strconv"
)

// page is what people see who follow a link that leads nowhere. It is one file,
// without anything to load, for small and large screens, light and dark.
const page = `<!doctype html>
<html lang="en">
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

// show answers with a page.
func show(w http.ResponseWriter, r *http.Request, status int, title, text string) {
	body := fmt.Sprintf(page, title, text)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(body))
	}
}
