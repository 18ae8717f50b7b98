package runtime

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/flowengine"
	"trunkline/storage/memory"
)

const offer = `
flow: offer
entries: [{id: e, type: inbound_message, number: "38591000001", keywords: [shop], next: send}]
elements:
  send: {type: send_sms, text: "See https://shop.example/a", shorten_urls: true, data: {campaign: spring}, on: {sent: wait}}
  wait: {type: wait_for_event, event: link_clicked, timeout: 24h, on: {happened: tag}}
  tag: {type: add_tag, tag: curious}
`

// linkTTL is how long links lead somewhere in tests.
const linkTTL = 2 * time.Hour

func (w *world) click(token flowengine.LinkToken, preview bool) error {
	done := make(chan error, 1)
	w.rt.Click(token, preview, func(err error) { done <- err })
	return <-done
}

// token reads the short link out of the last text.
func (w *world) token() flowengine.LinkToken {
	w.t.Helper()
	texts := w.texts()
	_, text, _ := strings.Cut(texts[len(texts)-1], "https://l.example/")
	token, err := flowengine.ParseLinkToken(text)
	w.must(err)
	return token
}

// U1: a link is there when its message goes out, and after a restart; clicks and
// previews count apart and agree with the history (M5); it expires, and is
// forgotten with the person.
func TestLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, offer)
		w.must(w.inbound(w.arrival("385911234567", "shop")))
		synctest.Wait()
		token := w.token()
		l, err := w.rt.Link(token)
		w.must(err)
		expect(t, "the URL", l.URL, "https://shop.example/a")
		w.must(w.click(token, true))
		synctest.Wait()
		expect(t, "runs after a preview", len(w.person("385911234567").Passages.Runs), 1)
		w.must(w.click(token, false))
		synctest.Wait()
		expect(t, "runs after a click", len(w.person("385911234567").Passages.Runs), 0)
		w.must(w.stop())

		w = start(t, store, Options{}, offer)
		w.must(w.click(token, false))
		if l, err = w.rt.Link(token); err != nil || l.Clicks != 2 || l.Previews != 1 || l.Data.Get("campaign").Str != "spring" || l.Last.Before(l.First) {
			t.Errorf("%+v %v", l, err)
		}
		c := w.counts("offer", "send")
		expect(t, "clicks", c.Clicks, 2)
		expect(t, "persons who clicked", c.Clickers, 1)
		w.recount()
		links, err := w.rt.LinksOf(l.Message)
		w.must(err)
		expect(t, "links of the message", len(links), 1)
		page, next, err := w.rt.Links(LinkFilter{Flow: "offer", Element: "send"}, nil, 10)
		w.must(err)
		expect(t, "links of the element", len(page), 1)
		expect(t, "a next page", next == nil, true)
		page, _, err = w.rt.Links(LinkFilter{Flow: "another"}, nil, 10)
		w.must(err)
		expect(t, "links of another flow", len(page), 0)

		for range clicksMost + 10 {
			w.must(w.click(token, false))
		}
		expect(t, "clicks that count", w.counts("offer", "send").Clicks, clicksMost)

		time.Sleep(linkTTL + time.Minute)
		if _, err := w.rt.Link(token); !errors.Is(err, ErrGone) {
			t.Errorf("after its time: %v", err)
		}
		if _, err := w.rt.Link(token + flowengine.Shards); !errors.Is(err, ErrNotFound) {
			t.Errorf("a link that never was: %v", err)
		}
		_, err = w.rt.Erase(t.Context(), ParseWho("385911234567"))
		w.must(err)
		if _, err := w.rt.Link(token); !errors.Is(err, ErrNotFound) {
			t.Errorf("after the person was erased: %v", err)
		}
		links, err = w.rt.LinksOf(l.Message)
		w.must(err)
		expect(t, "links of an erased person", len(links), 0)
		w.must(w.stop())
	})
}
