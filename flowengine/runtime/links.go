package runtime

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
	"trunkline/storage"
)

// Bounds of short links.
const (
	// linkMemory is how long a link that has expired is remembered, so that those
	// who follow it hear that, and not that it never was.
	linkMemory = 100 * 24 * time.Hour
	// clicksMost is how many clicks, and how many previews, a link counts: nobody
	// follows a link of theirs more often, and a program must not fill the history.
	clicksMost = 1000
	// linksLooked bounds the links that one page of Links looks at.
	linksLooked = 20_000
)

// ErrGone says that the link was there, and leads nowhere any more (rule U1).
var ErrGone = errors.New("the link has expired")

// Link is a short link and who followed it.
type Link struct {
	flowengine.Link
	Message string // id of the message that contains it
	Origin  flowengine.Origin
	Data    flowengine.Attrs // of the message
	// Clicks counts the person's, Previews those of programs and of HEAD.
	// Of a whole mail these are opens.
	Clicks, Previews uint32
	First, Last      time.Time // click
	// Taken is when a server took the mail; of a whole mail. Quick are its links that were
	// followed so soon after that a program may have done it.
	Taken time.Time
	Quick []flowengine.LinkToken
}

// storedSecret reads the secret of the store's short links, which is made once.
func storedSecret(store storage.Reader, b *storage.Batch) ([]byte, error) {
	key := appendPrefix(nil, metaShard, kindSecret)
	secret, err := store.Get(key, nil)
	if err == nil || !isNotFound(err) {
		return secret, err
	}
	secret = make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	b.Put(key, secret)
	return secret, nil
}

// Secret derives a key of the store's own secret for a purpose of its own, such as
// signing return paths of mails. It is the same as long as the store lives.
func (rt *Runtime) Secret(purpose string) []byte {
	m := hmac.New(sha256.New, rt.linkSecret)
	m.Write([]byte(purpose))
	return m.Sum(nil)
}

func linkKey(t flowengine.LinkToken) []byte {
	return binary.BigEndian.AppendUint64(appendPrefix(make([]byte, 0, 11), t.Shard(), kindLink), uint64(t))
}

// linkOfPrefix begins the keys of the links of a message.
func linkOfPrefix(id flowengine.PersonID, message string) []byte {
	return append(append(personKey(nil, kindLinkOf, id), message...), 0)
}

// linkOfToken reads the token at the end of a key of kindLinkOf.
func linkOfToken(key []byte) (flowengine.LinkToken, bool) {
	if len(key) < kindAt+1+8 {
		return 0, false
	}
	return flowengine.LinkToken(binary.BigEndian.Uint64(key[len(key)-8:])), true
}

// keepLinks stores the short links of a message, in the batch of its row.
func (tx *txn) keepLinks(s *flowengine.Send) {
	for i := range s.Links {
		l := &Link{Link: s.Links[i], Message: s.ID, Origin: s.Origin, Data: s.Data}
		key := binary.BigEndian.AppendUint64(linkOfPrefix(s.Origin.Person, s.ID), uint64(l.Token))
		tx.batch.writes.PutUntil(key, nil, l.Expires.Add(linkMemory))
		tx.putLink(l)
	}
}

func (tx *txn) putLink(l *Link) { tx.put(linkKey(l.Token), l.append(nil), l.Expires.Add(linkMemory)) }

// Link finds a short link. It returns ErrNotFound for one that never was, and
// ErrGone with one that has expired.
func (rt *Runtime) Link(t flowengine.LinkToken) (*Link, error) {
	value, err := rt.store.Get(linkKey(t), nil)
	if err != nil {
		return nil, notFound(err)
	}
	l, err := decodeLink(t, value)
	if err == nil && !rt.now().Before(l.Expires) {
		err = ErrGone
	}
	return l, err
}

// Click notes that a short link was followed: by its person, or with preview
// by a program. done is called exactly once, with nil when it is durable.
func (rt *Runtime) Click(t flowengine.LinkToken, preview bool, done func(error)) {
	switch {
	case !rt.fires():
		done(ErrStopping)
	case rt.full():
		done(ErrOverload)
	default:
		rt.owner(t.Shard()).submit(task{name: "click", done: done, run: func(tx *txn) error { return tx.click(t, preview) }})
	}
}

// click counts a click with its link, and lets the person's flows know of it.
func (tx *txn) click(t flowengine.LinkToken, preview bool) error {
	value, err := tx.get(linkKey(t))
	if err != nil {
		return notFound(err)
	}
	l, err := decodeLink(t, value)
	if err != nil {
		return err
	}
	count := tx.ex.rt.metrics.clicks
	switch {
	case !l.Tracked:
		count.WithLabelValues("untracked").Inc()
		return nil
	case l.Whole:
		return ErrNotFound
	case preview:
		return tx.scanLink(l)
	case l.Mail:
		if judged, err := tx.clickMail(l); judged || err != nil {
			return err
		}
	}
	return tx.followed(l, tx.now)
}

// followed counts that a person followed a link.
func (tx *txn) followed(l *Link, at time.Time) error {
	if l.Clicks >= clicksMost {
		tx.ex.rt.metrics.clicks.WithLabelValues("excess").Inc()
		return nil
	}
	tx.ex.rt.metrics.clicks.WithLabelValues("click").Inc()
	l.count(at)
	tx.putLink(l)
	c := &flowengine.Click{Link: l.Token, Message: l.Message, Origin: l.Origin, URL: l.URL, Data: l.Data, At: at, Mail: l.Mail}
	return tx.tellClick(c, l.Origin.Person, time.Time{})
}

// tellClick lets the flows of a person know of a click. The person may have been
// merged into the one at whom it is told.
func (tx *txn) tellClick(c *flowengine.Click, at flowengine.PersonID, until time.Time) error {
	return tx.told(at, c.Origin.Person, until, c, func(at flowengine.PersonID, until time.Time) *relay {
		b := record.AppendBytes(nil, 1, at[:])
		b = record.AppendTime(b, 2, until)
		b = record.AppendUint(b, 3, uint64(c.Link))
		b = record.AppendString(b, 4, c.Message)
		b = record.AppendNested(b, 5, func(b []byte) []byte { return flowengine.AppendOrigin(b, &c.Origin) })
		b = record.AppendString(b, 6, c.URL)
		b = record.AppendTime(b, 7, c.At)
		b = record.AppendBool(b, 9, c.Mail)
		return &relay{Target: at.Shard(), Kind: relayClick, Body: flowengine.AppendData(b, 8, c.Data)}
	})
}

func (tx *txn) receiveClick(body []byte) error {
	c := new(flowengine.Click)
	var at flowengine.PersonID
	var until time.Time
	err := record.Decode(body, "click", func(f record.Field) (err error) {
		switch f.Num {
		case 1:
			copy(at[:], f.Bytes)
		case 2:
			until = f.Time()
		case 3:
			c.Link = flowengine.LinkToken(f.Uint)
		case 4:
			c.Message = string(f.Bytes)
		case 5:
			err = flowengine.DecodeOrigin(f.Bytes, &c.Origin)
		case 6:
			c.URL = string(f.Bytes)
		case 7:
			c.At = f.Time()
		case 8:
			err = flowengine.DecodeData(f.Bytes, &c.Data)
		case 9:
			c.Mail = f.Bool()
		}
		return err
	})
	if err != nil {
		return err
	}
	return tx.tellClick(c, at, until)
}

// LinksOf lists the short links of a message.
func (rt *Runtime) LinksOf(message string) ([]Link, error) {
	ref, _, _ := strings.Cut(message, "/")
	id, err := flowengine.ParsePersonID(ref)
	if err != nil {
		return nil, nil // not a flow's message: it has none
	}
	var tokens []flowengine.LinkToken
	err = rt.store.Scan(linkOfPrefix(id, message), nil, func(key, _ []byte) bool {
		if t, ok := linkOfToken(key); ok {
			tokens = append(tokens, t)
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	var links []Link
	for _, t := range tokens {
		l, err := rt.Link(t)
		if err != nil && !errors.Is(err, ErrGone) {
			if errors.Is(err, ErrNotFound) {
				continue
			}
			return nil, err
		}
		links = append(links, *l)
	}
	return links, nil
}

// LinkMark is the size of a cursor of Links.
const LinkMark = 2 + 1 + 8

// LinkFilter says which links are meant; what is empty does not matter.
type LinkFilter struct{ Flow, Element string }

func (f LinkFilter) fits(o *flowengine.Origin) bool {
	return (f.Flow == "" || f.Flow == o.Flow) && (f.Element == "" || f.Element == o.Element)
}

// Links lists short links in the order of shards and tokens, beginning after a
// cursor that an earlier page gave; nil is the start. A page ends after limit
// links, or when it has looked at enough; next is nil at the end.
func (rt *Runtime) Links(f LinkFilter, after []byte, limit int) (page []Link, next []byte, err error) {
	first := flowengine.Shard(0)
	if len(after) >= 2 {
		first = shardOf(after)
	}
	looked := 0
	for s := first; s < flowengine.Shards; s++ {
		prefix := appendPrefix(nil, s, kindLink)
		var from []byte
		if bytes.HasPrefix(after, prefix) {
			from = successor(after)
		}
		var damaged error
		err := rt.store.Scan(prefix, from, func(key, value []byte) bool {
			var l *Link
			if l, damaged = decodeLink(flowengine.LinkToken(binary.BigEndian.Uint64(key[len(key)-8:])), value); damaged != nil {
				return false
			}
			if f.fits(&l.Origin) {
				page = append(page, *l)
			}
			if looked++; len(page) >= limit || looked >= linksLooked {
				next = bytes.Clone(key)
			}
			return next == nil
		})
		if err = firstError(err, damaged); err != nil || next != nil {
			return page, next, err
		}
	}
	return page, nil, nil
}

const (
	linkURL = iota + 1
	linkMessage
	linkOrigin
	linkExpires
	linkTracked
	linkClicks
	linkPreviews
	linkFirst
	linkLast
	linkData
	linkMail
	linkWhole
	linkOf
	linkTaken
	linkQuick
)

func (l *Link) append(b []byte) []byte {
	b = record.AppendString(b, linkURL, l.URL)
	b = appendID(b, linkMessage, l.Message, &l.Origin)
	b = record.AppendNested(b, linkOrigin, func(b []byte) []byte { return flowengine.AppendOrigin(b, &l.Origin) })
	b = record.AppendTime(b, linkExpires, l.Expires)
	b = record.AppendBool(b, linkTracked, l.Tracked)
	b = record.AppendUint(b, linkClicks, uint64(l.Clicks))
	b = record.AppendUint(b, linkPreviews, uint64(l.Previews))
	b = record.AppendTime(b, linkFirst, l.First)
	b = record.AppendTime(b, linkLast, l.Last)
	b = record.AppendBool(b, linkMail, l.Mail)
	if l.Whole {
		b = record.AppendBool(b, linkWhole, true)
		b = record.AppendUint(b, linkOf, uint64(l.Of))
		b = record.AppendTime(b, linkTaken, l.Taken)
		if len(l.Quick) > 0 {
			b = record.AppendBytes(b, linkQuick, appendTokens(nil, l.Quick))
		}
	}
	return flowengine.AppendData(b, linkData, l.Data)
}

func decodeLink(t flowengine.LinkToken, b []byte) (*Link, error) {
	l := &Link{Link: flowengine.Link{Token: t}}
	err := record.Decode(b, "short link", func(f record.Field) (err error) {
		switch f.Num {
		case linkURL:
			l.URL = string(f.Bytes)
		case linkMessage:
			l.Message = string(f.Bytes)
		case linkOrigin:
			err = flowengine.DecodeOrigin(f.Bytes, &l.Origin)
		case linkExpires:
			l.Expires = f.Time()
		case linkTracked:
			l.Tracked = f.Bool()
		case linkClicks:
			l.Clicks = uint32(f.Uint)
		case linkPreviews:
			l.Previews = uint32(f.Uint)
		case linkFirst:
			l.First = f.Time()
		case linkLast:
			l.Last = f.Time()
		case linkData:
			err = flowengine.DecodeData(f.Bytes, &l.Data)
		case linkMail:
			l.Mail = f.Bool()
		case linkWhole:
			l.Whole = f.Bool()
		case linkOf:
			l.Of = uint8(f.Uint)
		case linkTaken:
			l.Taken = f.Time()
		case linkQuick:
			l.Quick = decodeTokens(f.Bytes)
		}
		return err
	})
	if err == nil && l.URL == "" && !l.Whole {
		err = fmt.Errorf("%w: a short link that leads nowhere", record.ErrDamaged)
	}
	l.Message = wholeID(l.Message, &l.Origin)
	return l, err
}
