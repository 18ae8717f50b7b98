package runtime

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
)

// Programs that check mail follow its links before anybody has seen it, most of them
// within seconds.
const (
	// scanTime: clicks so soon after a server took the mail are judged together, at the
	// end of that time. When all links of the mail were followed, a program did it.
	scanTime = 10 * time.Second
	// blinkTime: nobody opens a mail, or follows its only link, so soon.
	blinkTime = 2 * time.Second
)

// mailOf reads the record of the mail that a link is in; nil when there is none.
func (tx *txn) mailOf(message string, person flowengine.PersonID) (*Link, error) {
	l := flowengine.Links{Secret: tx.ex.rt.linkSecret}
	token := l.MailToken(person, message)
	value, err := tx.get(linkKey(token))
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return decodeLink(token, value)
}

// mailTaken notes when a server took a mail, from which on somebody may see it.
func (tx *txn) mailTaken(m *Message) error {
	if m.Mail == nil || m.Origin.Person.IsZero() {
		return nil
	}
	whole, err := tx.mailOf(m.ID, m.Origin.Person)
	if whole == nil || err != nil || !whole.Taken.IsZero() {
		return err
	}
	whole.Taken = tx.now
	tx.putLink(whole)
	return nil
}

// within says whether t is so soon after the mail was taken. One that was not taken
// yet is looked at by programs alone.
func (l *Link) within(d time.Duration, t time.Time) bool {
	return l.Taken.IsZero() || t.Before(l.Taken.Add(d))
}

// clickMail looks at a click on a link of a mail that may be a program's. It says
// whether that is all there is to do now.
func (tx *txn) clickMail(l *Link) (done bool, err error) {
	whole, err := tx.mailOf(l.Message, l.Origin.Person)
	if whole == nil || err != nil || !whole.within(scanTime, tx.now) {
		return false, err
	}
	if slices.Contains(whole.Quick, l.Token) {
		return true, nil
	}
	whole.Quick = append(whole.Quick, l.Token) // as many as the mail has links
	tx.putLink(whole)
	due := tx.now.Add(scanTime)
	if !whole.Taken.IsZero() {
		due = whole.Taken.Add(scanTime)
	}
	body := record.AppendTime(record.AppendUint(nil, 1, uint64(l.Token)), 2, tx.now)
	tx.post(&relay{Target: l.Token.Shard(), Kind: relayJudge, Body: body}, due)
	return true, nil
}

// receiveJudge decides whether a person or a program followed a link.
func (tx *txn) receiveJudge(body []byte) error {
	var t flowengine.LinkToken
	var at time.Time
	err := record.Decode(body, "early click", func(f record.Field) error {
		switch f.Num {
		case 1:
			t = flowengine.LinkToken(f.Uint)
		case 2:
			at = f.Time()
		}
		return nil
	})
	if err != nil {
		return err
	}
	value, err := tx.get(linkKey(t))
	if isNotFound(err) { // forgotten with its person
		return nil
	}
	if err != nil {
		return err
	}
	l, err := decodeLink(t, value)
	if err != nil {
		return err
	}
	whole, err := tx.mailOf(l.Message, l.Origin.Person)
	if err != nil {
		return err
	}
	if whole != nil && whole.scanned(at) {
		return tx.scanLink(l)
	}
	return tx.followed(l, at)
}

// scanned says whether the early clicks of a mail, of which one was at that time, are a
// program's.
func (l *Link) scanned(at time.Time) bool {
	if l.Of == 1 {
		return !l.Taken.IsZero() && at.Before(l.Taken.Add(blinkTime))
	}
	return len(l.Quick) >= int(l.Of)
}

// scanLink counts what a program did with a link, or with a whole mail.
func (tx *txn) scanLink(l *Link) error {
	if l.Previews >= clicksMost {
		tx.ex.rt.metrics.clicks.WithLabelValues("excess").Inc()
		return nil
	}
	tx.ex.rt.metrics.clicks.WithLabelValues("preview").Inc()
	l.Previews++
	tx.putLink(l)
	if !l.Mail {
		return nil
	}
	return tx.tellMail(&flowengine.Scan{Origin: l.Origin, Click: !l.Whole}, l.Origin.Person, time.Time{})
}

// Mail finds a mail by the token of its pages. Other than the links in it, the pages
// work as long as the mail is remembered at all.
func (rt *Runtime) Mail(t flowengine.LinkToken) (*Link, error) {
	l, err := rt.Link(t)
	if err != nil && !errors.Is(err, ErrGone) {
		return nil, err
	}
	if !l.Whole {
		return nil, ErrNotFound
	}
	return l, nil
}

// Open notes that the picture in a mail was loaded, with machine by a program. done is
// called exactly once, with nil when it is durable.
func (rt *Runtime) Open(t flowengine.LinkToken, machine bool, done func(error)) {
	rt.about(t, "open", done, func(tx *txn) error { return tx.open(t, machine) })
}

// Choose does what a person has decided on a page of a mail; what is nil stays as it is.
func (rt *Runtime) Choose(t flowengine.LinkToken, mail, doNotTrack *bool, done func(error)) {
	rt.about(t, "choose", done, func(tx *txn) error { return tx.choose(t, mail, doNotTrack) })
}

// about runs a task in the shard of a token.
func (rt *Runtime) about(t flowengine.LinkToken, name string, done func(error), run func(*txn) error) {
	switch {
	case !rt.fires():
		done(ErrStopping)
	case rt.full():
		done(ErrOverload)
	default:
		rt.owner(t.Shard()).submit(task{name: name, done: done, run: run})
	}
}

// wholeMail reads the record of a mail by its own token.
func (tx *txn) wholeMail(t flowengine.LinkToken) (*Link, error) {
	value, err := tx.get(linkKey(t))
	if err != nil {
		return nil, notFound(err)
	}
	l, err := decodeLink(t, value)
	if err == nil && !l.Whole {
		err = ErrNotFound
	}
	return l, err
}

func (tx *txn) open(t flowengine.LinkToken, machine bool) error {
	l, err := tx.wholeMail(t)
	if err != nil {
		return err
	}
	count := tx.ex.rt.metrics.clicks
	switch {
	case !l.Tracked:
		count.WithLabelValues("untracked").Inc()
		return nil
	case machine || l.within(blinkTime, tx.now):
		return tx.scanLink(l)
	case l.Clicks >= clicksMost:
		count.WithLabelValues("excess").Inc()
		return nil
	}
	count.WithLabelValues("open").Inc()
	l.count(tx.now)
	tx.putLink(l)
	return tx.tellMail(&flowengine.Opening{Message: l.Message, Origin: l.Origin, Data: l.Data, At: tx.now}, l.Origin.Person, time.Time{})
}

func (tx *txn) choose(t flowengine.LinkToken, mail, doNotTrack *bool) error {
	l, err := tx.wholeMail(t)
	if err != nil {
		return err
	}
	return tx.tellMail(&flowengine.Choice{Message: l.Message, Origin: l.Origin, Data: l.Data, At: tx.now, Mail: mail, DoNotTrack: doNotTrack}, l.Origin.Person, time.Time{})
}

// count counts the person's.
func (l *Link) count(at time.Time) {
	l.Clicks++
	if l.First.IsZero() {
		l.First = at
	}
	if at.After(l.Last) {
		l.Last = at
	}
}

// tellMail lets a person's flows know what was done with a mail. The person may have
// been merged into the one at whom it is told.
func (tx *txn) tellMail(c flowengine.Cause, at flowengine.PersonID, until time.Time) error {
	return tx.told(at, mailOrigin(c).Person, until, c, func(at flowengine.PersonID, until time.Time) *relay {
		b := record.AppendTime(record.AppendBytes(nil, mailAt, at[:]), mailUntil, until)
		return &relay{Target: at.Shard(), Kind: relayMail, Body: appendMailCause(b, c)}
	})
}

func mailOrigin(c flowengine.Cause) *flowengine.Origin {
	switch c := c.(type) {
	case *flowengine.Opening:
		return &c.Origin
	case *flowengine.Scan:
		return &c.Origin
	case *flowengine.Choice:
		return &c.Origin
	}
	return new(flowengine.Origin) // not reached
}

// The stored form of what was done with a mail, on its way.
const (
	mailAt = iota + 1
	mailUntil
	mailDone // which cause it is
	mailOriginOf
	mailMessage
	mailTime
	mailData
	mailClick
	mailWants // 1 no, 2 yes
	mailDoNotTrack
)

const (
	mailOpened = iota + 1
	mailScanned
	mailChosen
)

func appendMailCause(b []byte, c flowengine.Cause) []byte {
	b = record.AppendNested(b, mailOriginOf, func(b []byte) []byte { return flowengine.AppendOrigin(b, mailOrigin(c)) })
	switch c := c.(type) {
	case *flowengine.Opening:
		b = record.AppendUint(b, mailDone, mailOpened)
		b = record.AppendTime(record.AppendString(b, mailMessage, c.Message), mailTime, c.At)
		return flowengine.AppendData(b, mailData, c.Data)
	case *flowengine.Scan:
		return record.AppendBool(record.AppendUint(b, mailDone, mailScanned), mailClick, c.Click)
	case *flowengine.Choice:
		b = record.AppendUint(b, mailDone, mailChosen)
		b = record.AppendTime(record.AppendString(b, mailMessage, c.Message), mailTime, c.At)
		b = record.AppendUint(b, mailWants, storedChoice(c.Mail))
		b = record.AppendUint(b, mailDoNotTrack, storedChoice(c.DoNotTrack))
		return flowengine.AppendData(b, mailData, c.Data)
	}
	return b
}

func storedChoice(b *bool) uint64 {
	switch {
	case b == nil:
		return 0
	case *b:
		return 2
	}
	return 1
}

func choiceOf(n uint64) *bool {
	if n == 0 {
		return nil
	}
	yes := n == 2
	return &yes
}

func decodeMailCause(b []byte) (c flowengine.Cause, at flowengine.PersonID, until time.Time, err error) {
	var kind uint64
	var all flowengine.Choice
	var click bool
	err = record.Decode(b, "what was done with a mail", func(f record.Field) (err error) {
		switch f.Num {
		case mailAt:
			copy(at[:], f.Bytes)
		case mailUntil:
			until = f.Time()
		case mailDone:
			kind = f.Uint
		case mailOriginOf:
			err = flowengine.DecodeOrigin(f.Bytes, &all.Origin)
		case mailMessage:
			all.Message = string(f.Bytes)
		case mailTime:
			all.At = f.Time()
		case mailData:
			err = flowengine.DecodeData(f.Bytes, &all.Data)
		case mailClick:
			click = f.Bool()
		case mailWants:
			all.Mail = choiceOf(f.Uint)
		case mailDoNotTrack:
			all.DoNotTrack = choiceOf(f.Uint)
		}
		return err
	})
	switch kind {
	case mailOpened:
		c = &flowengine.Opening{Message: all.Message, Origin: all.Origin, Data: all.Data, At: all.At}
	case mailScanned:
		c = &flowengine.Scan{Origin: all.Origin, Click: click}
	default:
		c = &all
	}
	return c, at, until, err
}

func (tx *txn) receiveMail(body []byte) error {
	c, at, until, err := decodeMailCause(body)
	if err != nil {
		return err
	}
	return tx.tellMail(c, at, until)
}

// appendTokens appends tokens, each in eight octets.
func appendTokens(b []byte, tokens []flowengine.LinkToken) []byte {
	for _, t := range tokens {
		b = binary.BigEndian.AppendUint64(b, uint64(t))
	}
	return b
}

func decodeTokens(b []byte) (tokens []flowengine.LinkToken) {
	for ; len(b) >= 8; b = b[8:] {
		tokens = append(tokens, flowengine.LinkToken(binary.BigEndian.Uint64(b)))
	}
	return tokens
}
