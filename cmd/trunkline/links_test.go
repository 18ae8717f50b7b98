package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"trunkline/gateway/httpapi"
)

// shopURL is longer than an SMS: only its short link fits in one.
var shopURL = "https://shop.example/a?b=" + strings.Repeat("c", 200)

var offerFlow = `flow: offer
entries: [{id: e, type: inbound_message, number: "38591000001", keywords: shop, next: send}]
elements:
  send:
    type: send_sms
    text: "Look: ` + shopURL + `. Stop: {{ 'https://shop.example/stop' | no_shorten }}"
    shorten_urls: true
    data: {campaign: spring}
    on: {sent: wait}
  wait: {type: wait_for_event, event: link_clicked, where: 'event.element == "send"', timeout: 24h, on: {happened: look}}
  look: {type: segment, branches: [{when: {message: send, op: clicked}, next: curious}], on: {else: other}}
  curious: {type: add_tag, tag: curious}
  other: {type: add_tag, tag: other}
`

// linkSite is the small configuration with short links and a flow that sends one.
func linkSite(t *testing.T) *site {
	files := maps.Clone(small)
	files["trunkline.yaml"] += "links: {listen: \"127.0.0.1:0\", base_url: \"https://l.example\"}\nstorage: {reserve_mib: 16}\n"
	files["flows/offer.yaml"] = offerFlow
	return newSite(t, files)
}

var (
	linksLine = regexp.MustCompile(`(?m)^  links  \S+, answered at (\S+)$`)
	shortLink = regexp.MustCompile(`https://l\.example/([0-9A-Za-z]{8,})`)
)

// follow opens a short link as a phone does, and tells where it leads.
func (g *running) follow(method, token, agent string) (status int, location string, h http.Header) {
	g.site.Helper()
	m := linksLine.FindStringSubmatch(g.out.String())
	if m == nil {
		g.site.Fatalf("the daemon says nothing of short links:\n%s", g.out)
	}
	req, err := http.NewRequest(method, "http://"+m[1]+"/"+token, nil)
	if err != nil {
		g.site.Fatal(err)
	}
	req.Header.Set("User-Agent", agent)
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		g.site.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode, res.Header.Get("Location"), res.Header
}

const phoneAgent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"

// U1: an SMS carries a short link; a program's look at it is no click; a person's
// lets the flow go on, is counted, and is still there after a crash.
func TestShortLink(t *testing.T) {
	t.Parallel()
	s := linkSite(t)
	g := s.start()
	out := g.simulate("shop")
	m := shortLink.FindStringSubmatch(out)
	if m == nil || strings.Contains(out, "shop.example/a") || !strings.Contains(out, "https://shop.example/stop") {
		t.Fatalf("the message was %s", out)
	}
	eventually(t, "the flow waits for a click", func() bool {
		p := s.person("385911234567")
		return len(p.Runs) == 1 && p.Runs[0].Element == "wait"
	})
	for _, look := range [][2]string{{"HEAD", phoneAgent}, {"GET", "WhatsApp/2.23.20.0"}, {"GET", "facebookexternalhit/1.1 Facebot Twitterbot/1.0"}} {
		if status, location, _ := g.follow(look[0], m[1], look[1]); status != http.StatusFound || location != shopURL {
			t.Errorf("%s: %d %s", look[1], status, location)
		}
	}
	if p := s.person("385911234567"); len(p.Runs) != 1 {
		t.Fatal("a preview let the flow go on")
	}
	status, location, h := g.follow("GET", m[1], phoneAgent)
	if status != http.StatusFound || location != shopURL || h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%d %s %v", status, location, h)
	}
	p := s.person("385911234567") // the click was durable before the redirect, as a rule
	eventually(t, "the click counts", func() bool { p = s.person("385911234567"); return len(p.Runs) == 0 })
	if len(p.Tags) != 1 || p.Tags[0] != "curious" {
		t.Errorf("tags %v", p.Tags)
	}
	g.signal(syscall.SIGKILL)
	g.wait(t)
	g = s.start()
	g.follow("GET", m[1], phoneAgent)
	if e := s.flow("offer").element("send"); e.Clicks != 2 || e.Clickers != 1 || e.Sent != 1 { // M4: parts of the text as it went out
		t.Errorf("%d clicks by %d persons on %d parts", e.Clicks, e.Clickers, e.Sent)
	}
	var links []httpapi.ShortLink
	s.decode(s.must("links", "list", "--flow", "offer", "--json"), &links)
	if len(links) != 1 || links[0].Clicks != 2 || links[0].Previews != 3 || links[0].Data["campaign"] != "spring" || links[0].Token != m[1] {
		t.Fatalf("%+v", links)
	}
	if out := s.must("links", "show", links[0].Message); !strings.Contains(out, m[1]) || !strings.Contains(out, shopURL) {
		t.Errorf("links show says %s", out)
	}
	for _, token := range []string{"", "LygHa16AHYF", strings.ToLower(m[1]), m[1] + "x", "../" + m[1], "?u=https://evil.example", "//evil.example"} {
		if status, location, _ := g.follow("GET", token, phoneAgent); status != http.StatusNotFound || location != "" {
			t.Errorf("%q: %d %s", token, status, location)
		}
	}
	if status, _, h := g.follow("POST", m[1], phoneAgent); status != http.StatusMethodNotAllowed || h.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d", status)
	}
	s.must("person", "erase", "385911234567", "--yes")
	if status, _, _ := g.follow("GET", m[1], phoneAgent); status != http.StatusNotFound {
		t.Errorf("after the person was erased the link answers %d", status)
	}
	g.stop()
}

// U1: the HTTP API tells who followed the links of a message.
func TestShortLinkAPI(t *testing.T) {
	t.Parallel()
	s, key := apiSite(t)
	s.edit("trunkline.yaml", "storage:", "links: {listen: \"127.0.0.1:0\", base_url: \"https://l.example/x\"}\nstorage:")
	s.write("flows/offer.yaml", offerFlow)
	g := s.start()
	defer g.stop()
	token := regexp.MustCompile(`https://l\.example/x/(\w+)`).FindStringSubmatch(g.simulate("shop"))[1]
	for _, path := range []string{token, "x/" + token} { // a proxy may remove the path of base_url
		if status, _, _ := g.follow("GET", path, phoneAgent); status != http.StatusFound {
			t.Errorf("%s: %d", path, status)
		}
	}
	status, out := g.ask(key, "GET", "/v1/links?flow=offer&limit=1", nil)
	all, _ := out["links"].([]any)
	if status != http.StatusOK || len(all) != 1 {
		t.Fatalf("%d %v", status, out)
	}
	message := all[0].(map[string]any)["message"].(string)
	status, out = g.ask(key, "GET", "/v1/messages/"+url.PathEscape(message)+"/links", nil)
	if text, _ := json.Marshal(out); status != http.StatusOK || !strings.Contains(string(text), `"clicks":2`) {
		t.Errorf("%d %s", status, text)
	}
	status, out = g.ask(key, "GET", "/v1/links?flow=offer&cursor="+out2cursor(g, key), nil)
	if all, _ := out["links"].([]any); status != http.StatusOK || len(all) != 0 {
		t.Errorf("after the last link: %d %v", status, out)
	}
}

func out2cursor(g *running, key string) string {
	_, out := g.ask(key, "GET", "/v1/links?flow=offer&limit=1", nil)
	cursor, _ := out["cursor"].(string)
	return cursor
}

// U1: what cannot work is refused with its place.
func TestCheckLinks(t *testing.T) {
	t.Parallel()
	files := maps.Clone(small)
	files["flows/offer.yaml"] = offerFlow
	s := newSite(t, files)
	s.refused([]string{"flows/offer.yaml:7:", "shorten_urls: there are no short links: say links.listen"}, "check")
	for settings, want := range map[string]string{
		`{listen: "127.0.0.1:0"}`:                                                        "links.base_url: say what short links begin with",
		`{base_url: "https://l.example"}`:                                                "links.listen: without an address",
		`{listen: "127.0.0.1:0", base_url: "l.example"}`:                                 "links.base_url: \"l.example\" is not a URL",
		`{listen: "127.0.0.1:0", base_url: "ftp://l.example"}`:                           "links.base_url: the scheme \"ftp\"",
		`{listen: "127.0.0.1:0", base_url: "https://l.example/?x"}`:                      "links.base_url: user, query",
		`{listen: nothing, base_url: "https://l.example"}`:                               "links.listen: \"nothing\" is not host:port",
		`{listen: "127.0.0.1:0", base_url: "https://l.example", tls: {cert: x, key: y}}`: "links.tls:",
	} {
		files["trunkline.yaml"] = small["trunkline.yaml"] + "links: " + settings + "\n"
		newSite(t, files).refused([]string{want}, "check")
	}
}
