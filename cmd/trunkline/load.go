package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"trunkline/configs/strict"
	"trunkline/flowengine"
	"trunkline/flowengine/tariff"
	"trunkline/gateway"
	"trunkline/gateway/links"
	"trunkline/gateway/sip"
	"trunkline/gateway/smpp"
	"trunkline/gateway/smtp"
	"trunkline/gateway/smtp/outbound"
	"trunkline/gateway/webhook"
	"trunkline/keyword"
)

// load reads a whole configuration and checks it as one. All mistakes of all
// files come back in one strict.Errors; only when a file cannot be read at all
// the error is another.
func load(src source) (*configuration, error) {
	l := &loader{src: src, config: &configuration{files: src.folder()}, first: map[string]string{}}
	if err := l.files(); err != nil {
		return nil, err
	}
	if len(l.errs) > 0 {
		return nil, l.errs
	}
	_, warnings, err := flowengine.NewSet(l.config.schema, l.config.numbers, l.launchable())
	if err != nil {
		return nil, err
	}
	l.config.warnings = append(l.config.warnings, warnings...)
	return l.config, nil
}

type loader struct {
	src    source
	config *configuration
	errs   strict.Errors
	first  map[string]string // where a name was used first: "flow x" → file:line

	attributes []flowengine.Attribute
	eventTypes []flowengine.EventType
	unsound    bool // a flow has mistakes, so it can't be told what there is of it
	written    []writtenSegments
	unreadable bool // a file that says what flows may refer to is not even YAML
}

func (l *loader) files() error {
	f, err := l.src.main()
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	s := &l.config.settings
	doc := l.parse(f, s)
	l.unreadable = doc.Root() == nil
	if s.HTTP.CA != "" {
		s.HTTP.CA = l.src.resolve(s.HTTP.CA)
	}
	l.fieldErrors(doc, []any{"smpp"}, s.SMPP.Validate())
	l.certificates(&s.SMTP)
	l.fieldErrors(doc, []any{"smtp"}, s.SMTP.Validate())
	l.emailFiles(&s.Email)
	l.fieldErrors(doc, []any{"email"}, s.Email.Validate())
	l.fieldErrors(doc, []any{"http"}, s.HTTP.Validate())
	l.fieldErrors(doc, []any{"links"}, s.Links.Validate())
	l.webhooks(doc, s.Webhooks)
	l.api(doc, &s.API)
	policy := &s.Policy
	policy.Check(func(path []any, message string) { doc.ErrorAt(path, "%s: %s", strict.PathText(path), message) })
	l.people(doc, s.People.Attributes)
	l.events(doc, s.People.Events)
	l.numbers(doc, s.Numbers)
	l.named(doc, s.Segments)
	l.each(doc, "include", s.Include, l.include)
	if l.config.schema, err = flowengine.NewSchema(l.attributes...); err != nil {
		return errors.Join(asError(l.errs), err) // each attribute was checked: not reached
	}
	if l.config.schema, err = l.config.schema.WithEvents(l.eventTypes...); err != nil {
		return errors.Join(asError(l.errs), err) // likewise
	}
	l.segments()
	l.each(doc, "carriers", orDefault(s.Carriers, "carriers/*.yaml"), l.carrier)
	l.listeners(doc)
	l.mail(doc)
	l.voice(doc)
	if !l.unreadable { // else what flows refer to is not known
		l.each(doc, "flows", orDefault(s.Flows, "flows/*.yaml"), l.flow)
		l.errs = append(l.errs, l.transfers()...)
	}
	l.tariffs(doc, s.Tariffs)
	l.webhookFlows(doc, s.Webhooks)
	others := l.errs
	l.errs = nil
	l.done(doc)
	l.errs = append(l.errs, others...)
	return nil
}

func asError(errs strict.Errors) error {
	if len(errs) == 0 {
		return nil
	}
	return errs
}

func orDefault(patterns []string, usual string) []string {
	if patterns == nil {
		return []string{usual}
	}
	return patterns
}

// each reads the files that some patterns stand for. A pattern without * names
// a file that has to be there.
func (l *loader) each(doc *strict.Document, key string, patterns []string, read func(file)) {
	seen := map[string]bool{}
	for i, p := range patterns {
		names, err := l.src.glob(p)
		if err != nil {
			doc.ErrorAt([]any{key, i}, "%s: %q is not a pattern for files: %v", key, p, err)
			continue
		}
		if len(names) == 0 && !strings.ContainsAny(p, "*?[") {
			names = []string{l.src.resolve(p)}
		}
		for _, name := range names {
			if seen[name] {
				continue
			}
			seen[name] = true
			f, err := l.src.read(name)
			if err != nil {
				doc.ErrorAt([]any{key, i}, "%s: %v", key, err)
				continue
			}
			read(f)
		}
	}
}

func errorsOf(err error) strict.Errors {
	var errs strict.Errors
	errors.As(err, &errs)
	return errs
}

// parse decodes a file; what is wrong with it is collected by done.
func (l *loader) parse(f file, into any) *strict.Document {
	doc, err := strict.Decode(f.name, f.text, into, strict.Options{Secrets: l.secrets(f)})
	_ = err // in doc too, with what is added later
	return doc
}

func (l *loader) secrets(f file) *strict.Secrets {
	if l.src.bundled() {
		return nil
	}
	return strict.SystemSecrets(f.name)
}

// done collects what is wrong with a file.
func (l *loader) done(doc *strict.Document) {
	l.errs = append(l.errs, errorsOf(doc.Err())...)
	for _, w := range doc.Warnings() {
		l.config.warnings = append(l.config.warnings, w.Error())
	}
}

// fieldErrors gives the findings of an edge their places in the file.
func (l *loader) fieldErrors(doc *strict.Document, at []any, err error) {
	if err == nil {
		return
	}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		for _, e := range joined.Unwrap() {
			l.fieldErrors(doc, at, e)
		}
		return
	}
	place, reason := "", ""
	var f *smpp.FieldError
	var h *webhook.FieldError
	var k *links.FieldError
	var m *smtp.FieldError
	var v *sip.FieldError
	var o *outbound.FieldError
	switch {
	case errors.As(err, &v):
		place, reason = v.Path, v.Reason
	case errors.As(err, &o):
		place, reason = o.Path, o.Reason
	case errors.As(err, &m):
		place, reason = m.Path, m.Reason
	case errors.As(err, &f):
		place, reason = f.Path, f.Reason
	case errors.As(err, &h):
		place, reason = h.Path, h.Reason
	case errors.As(err, &k):
		place, reason = k.Path, k.Reason
	default:
		doc.ErrorAt(at, "%v", err)
		return
	}
	path := append(at[:len(at):len(at)], strict.ParsePath(place)...)
	doc.ErrorAt(path, "%s: %s", strict.PathText(path), reason)
}

// once reports a name that another file or line has used already.
func (l *loader) once(doc *strict.Document, kind, name string, path ...any) bool {
	line, column := doc.Position(path)
	here := fmt.Sprintf("%s:%d:%d", doc.File, line, column)
	if before, taken := l.first[kind+" "+name]; taken {
		doc.ErrorAt(path, "%s %q is there already, at %s", kind, name, before)
		return false
	}
	l.first[kind+" "+name] = here
	return true
}

func (l *loader) include(f file) {
	var i included
	doc := l.parse(f, &i)
	l.unreadable = l.unreadable || doc.Root() == nil
	l.people(doc, i.People.Attributes)
	l.events(doc, i.People.Events)
	l.numbers(doc, i.Numbers)
	l.named(doc, i.Segments)
	l.written[len(l.written)-1].last = true
}

// writtenSegments are the segments of one file. They are checked when all
// attributes and all segments are known.
type writtenSegments struct {
	doc      *strict.Document
	segments segmentSettings
	last     bool // nothing else of the file is left to check
}

// named notes the segments of a file.
func (l *loader) named(doc *strict.Document, segments segmentSettings) {
	for i := range segments {
		if s := &segments[i]; s.ID != "" {
			l.once(doc, "segment", s.ID, "segments", i, "segment")
		}
	}
	l.written = append(l.written, writtenSegments{doc: doc, segments: segments})
}

// segments checks all segments.
func (l *loader) segments() {
	var ids []string
	for _, w := range l.written {
		for i := range w.segments {
			ids = append(ids, w.segments[i].ID)
		}
	}
	l.config.schema = l.config.schema.WithSegments(ids...)
	if len(ids) > flowengine.MaxSegments {
		l.written[0].doc.ErrorAt([]any{"segments"}, "segments: there are %d in all files; at most %d are allowed", len(ids), flowengine.MaxSegments)
	}
	for _, w := range l.written {
		for i := range w.segments {
			s := &w.segments[i]
			s.Check(w.doc.Root().Field("segments").Items[i], l.config.schema, w.doc.ErrorAt, "segments", i)
			l.config.segments = append(l.config.segments, s)
		}
		if w.last {
			l.done(w.doc)
		}
	}
}

func (l *loader) people(doc *strict.Document, attributes []attributeSettings) {
	for i, a := range attributes {
		at := []any{"people", "attributes", i}
		attribute := flowengine.Attribute{Name: a.Name, Type: flowengine.TypeNamed(a.Type)}
		if _, err := flowengine.NewSchema(attribute); err != nil {
			doc.ErrorAt(at, "%v", err)
			attribute.Type = flowengine.Text // so that flows are not blamed for using it
			if _, err := flowengine.NewSchema(attribute); err != nil {
				continue
			}
		}
		if l.once(doc, "attribute", a.Name, append(at, "name")...) {
			l.attributes = append(l.attributes, attribute)
		}
	}
}

func (l *loader) numbers(doc *strict.Document, all []numberSettings) {
	for i, n := range all {
		at := []any{"numbers", i}
		value := keyword.Number(n.Number)
		if value == "" {
			doc.ErrorAt(append(at, "number"), "%q is neither a number nor a name", n.Number)
			continue
		}
		if !l.once(doc, n.Channel+" number", value, append(at, "number")...) {
			continue
		}
		if n.Channel == string(gateway.Email) {
			l.mailbox(doc, n, value, at)
		}
		words := keyword.Reserved{Stop: n.Reserved.Stop, Start: n.Reserved.Start, Help: n.Reserved.Help}
		if err := new(keyword.Builder).Reserve(value, keyword.Channel(n.Channel), words); err != nil {
			doc.ErrorAt(append(at, "reserved"), "%v", err)
		}
		l.config.numbers = append(l.config.numbers, &flowengine.Number{
			Value: value, Channel: n.Channel, DuplicateWindow: n.DuplicateWindow, Reserved: words, Default: n.DefaultReply,
			Replies: map[string]string{keyword.Stop.String(): n.Replies.Stop, keyword.Start.String(): n.Replies.Start, keyword.Help.String(): n.Replies.Help},
		})
	}
}

// certificates are files beside the main one.
func (l *loader) certificates(c *smtp.Config) {
	for i := range c.Listen {
		if t := c.Listen[i].TLS; t != nil {
			for _, name := range []*string{&t.Cert, &t.Key} {
				if *name != "" {
					*name = l.src.resolve(*name)
				}
			}
		}
	}
}

// mail checks that what takes mail has addresses, and addresses something that
// takes their mail.
func (l *loader) mail(doc *strict.Document) {
	listens, addresses := l.config.settings.SMTP.Enabled(), false
	for _, n := range l.config.numbers {
		addresses = addresses || n.Channel == string(gateway.Email)
	}
	switch {
	case listens && !addresses:
		doc.ErrorAt([]any{"smtp", "listen"}, "smtp.listen: there is no address that mail is taken for: declare one among the numbers, {number: shop@example.com, channel: email}")
	case addresses && !listens:
		l.config.warnings = append(l.config.warnings, "numbers of channel email get no mail: smtp.listen says no address to listen at")
	}
}

// mailbox checks a number of channel email.
func (l *loader) mailbox(doc *strict.Document, n numberSettings, value string, at []any) {
	if local, domain, ok := keyword.CutMailbox(value); !ok || local != keyword.CatchAll && !smtp.ValidAddress(value) || !smtp.ValidAddress("x@"+domain) {
		doc.ErrorAt(append(at, "number"), "%q is not an e-mail address such as shop@example.com or *@example.com", n.Number)
	}
	for _, reply := range [...][2]string{{"default_reply", n.DefaultReply}, {"replies", n.Replies.Stop + n.Replies.Start + n.Replies.Help}} {
		if reply[1] != "" {
			doc.ErrorAt(append(at[:len(at):len(at)], reply[0]), "%s: mail is taken but not sent yet, so it can't be answered; remove this, or answer by SMS from a flow", reply[0])
		}
	}
}

func (l *loader) carrier(f file) {
	var c smpp.Carrier
	doc := l.parse(f, &c)
	l.fieldErrors(doc, nil, c.Validate())
	if c.Name != "" && l.once(doc, "carrier", c.Name, "carrier") && c.Accept != nil && c.SystemID != "" {
		// A bind names nothing else that would tell two carriers apart.
		l.once(doc, "system_id", c.SystemID, "system_id")
	}
	l.config.carriers = append(l.config.carriers, c)
	l.done(doc)
}

// listeners checks that those who bind in have somewhere to bind to.
func (l *loader) listeners(doc *strict.Document) {
	for i := range l.config.carriers {
		if c := &l.config.carriers[i]; c.Accept != nil && len(l.config.settings.SMPP.Listen) == 0 {
			doc.ErrorAt([]any{"smpp", "listen"}, "smpp.listen: carrier %q binds in, but there is no address to bind to", c.Name)
		}
	}
}

func (l *loader) flow(f file) {
	v, err := flowengine.ParseFlowIn(l.src.folder(), f.name, f.text, l.config.schema, l.hasNumber)
	if err != nil {
		errs := errorsOf(err)
		if errs == nil {
			errs = strict.Errors{{File: f.name, Line: 1, Column: 1, Message: err.Error()}}
		}
		l.errs = append(l.errs, errs...)
		l.unsound = true
		return
	}
	doc := strict.Parse(f.name, f.text, strict.Options{})
	if !l.once(doc, "flow", v.Flow, "flow") {
		l.done(doc)
		return
	}
	l.reach(doc, v)
	l.config.settings.needs(doc, v, l.src.folder())
	l.done(doc)
	l.config.flows = append(l.config.flows, v)
	l.config.warnings = append(l.config.warnings, v.Warnings...)
}

// transfers finds flows that lead to others which are not there. When one of the
// files has mistakes it may be the one that is missed.
func (l *loader) transfers() strict.Errors {
	if l.unsound {
		return nil
	}
	return flowengine.CheckTransfers(l.config.flows)
}

// tariffs reads all tariff files as one table: a price must not be there twice.
func (l *loader) tariffs(doc *strict.Document, patterns []string) {
	var files []tariff.File
	l.each(doc, "tariffs", orDefault(patterns, "tariffs/*.csv"), func(f file) {
		files = append(files, tariff.File{Name: f.name, Data: f.text})
	})
	table, err := tariff.Parse(files...)
	if errs := errorsOf(err); errs != nil {
		l.errs = append(l.errs, errs...)
	} else if err != nil {
		doc.ErrorAt([]any{"tariffs"}, "tariffs: %v", err)
	}
	l.config.tariffs = table
}

func (l *loader) hasNumber(channel, number string) bool {
	for _, n := range l.config.numbers {
		if n.Channel == channel && n.Value == number {
			return true
		}
	}
	return false
}

// launchable is the flows as they would run, to find those that want the same
// messages.
func (l *loader) launchable() []*flowengine.Flow {
	flows := make([]*flowengine.Flow, len(l.config.flows))
	for i, v := range l.config.flows {
		flows[i] = &flowengine.Flow{ID: v.Flow, State: flowengine.Active, Newest: v, Versions: []*flowengine.Version{v}}
		if v.Settings.Launch == flowengine.LaunchManual {
			flows[i].State = flowengine.Draft
		}
	}
	return flows
}

// encryptionKey is a key in hexadecimal digits. It is never shown.
type encryptionKey []byte

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *encryptionKey) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*k = nil
		return nil
	}
	key, err := hex.DecodeString(string(text))
	if err != nil || len(key) != 16 && len(key) != 24 && len(key) != 32 {
		return errors.New("it is not 32, 48 or 64 hexadecimal digits; `openssl rand -hex 32` makes such a key")
	}
	*k = key
	return nil
}

// settings and control serve the commands that work on a configuration or on
// its running daemon.

// settings reads the main file for the commands that work offline.
func (o *options) settings() (source, *settings, error) {
	src, err := o.source()
	if err != nil {
		return src, nil, err
	}
	c, err := load(src)
	if err != nil {
		return src, nil, err
	}
	return src, &c.settings, nil
}

// control is the client of the running daemon. Only the main file is read, and a
// mistake in it does not matter: the data folder is all that counts.
func (o *options) control() (*controlClient, error) {
	src, err := o.source()
	if err != nil {
		return nil, err
	}
	var s settings
	f, err := src.main()
	if err != nil {
		return nil, err
	}
	doc := strict.Parse(f.name, f.text, strict.Options{})
	doc.Decode(&s)
	if s.Data == "" {
		s.Data = "data"
	}
	return newControlClient(s.data(src)), nil
}

// call and open are those of the running daemon's client.
func (o *options) call(ctx context.Context, method, path string, in, out any) error {
	c, err := o.control()
	if err != nil {
		return err
	}
	return c.call(ctx, method, path, in, out)
}

func (o *options) open(ctx context.Context, method, path string, in any) (io.ReadCloser, error) {
	c, err := o.control()
	if err != nil {
		return nil, err
	}
	return c.open(ctx, method, path, in)
}
