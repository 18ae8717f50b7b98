package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
)

const (
	source       = "api" // in a person's history
	maxAddresses = 100   // of each request
	shownHistory = 20
	exportPage   = 500
	exportMost   = 100_000 // lines of history, and events
)

func (s *Server) peopleRoutes() {
	operate(s, route{id: "list-people", method: get, path: "/v1/people", tag: "people", scope: People, summary: "List people",
		about: "Lists people in the order of their ids. With a filter a page may be short, or empty, and still have a next one: go on until there is no cursor."}, s.listPeople)
	operate(s, route{id: "upsert-person", method: post, path: "/v1/people", tag: "people", scope: People, summary: "Create or update a person",
		about: "Addresses that lead to nobody make a person, those of one person update that one; those of several make them one, unless on_conflict says reject."}, s.upsertPerson)
	operate(s, route{id: "search-people", method: post, path: "/v1/people/search", tag: "people", scope: People, summary: "Search people by a condition",
		about: "Lists people for whom a condition holds, in the order of their ids. What it asks by tag, segment or day of the year is read from indexes; otherwise all people are looked at, some thousands for each page: " +
			"a page may be short, or empty, and still have a next one. Go on until there is no cursor."}, s.searchPeople)
	operate(s, route{id: "get-person", method: get, path: "/v1/people/{ref}", tag: "people", scope: People, summary: "Show a person"}, s.getPerson)
	operate(s, route{id: "update-person", method: patch, path: "/v1/people/{ref}", tag: "people", scope: People, summary: "Update a person",
		about: "Changes what is named and leaves the rest. An attribute that is null is removed."}, s.updatePerson)
	operate(s, route{id: "erase-person", method: remove, path: "/v1/people/{ref}", tag: "people", scope: People, summary: "Erase a person", status: http.StatusNoContent,
		about: "Forgets profile, addresses, passages, history, events and what was not sent yet. Counters stay."}, s.erasePerson)
	operate(s, route{id: "merge-people", method: post, path: "/v1/people/{ref}/merge", tag: "people", scope: People, summary: "Make one person of several",
		about: "The oldest of them survives. What both have stays as the survivor has it; what only another has is added. Runs, history, events, entries and goals become the survivor's; " +
			"a run in a flow that the survivor is inside of ends. The others' ids and addresses lead to the survivor."}, s.mergePeople)
	operate(s, route{id: "export-person", method: get, path: "/v1/people/{ref}/export", tag: "people", scope: People, summary: "Export all that is known of a person"}, s.exportPerson)
	operate(s, route{id: "person-history", method: get, path: "/v1/people/{ref}/history", tag: "people", scope: People, summary: "Read a person's history, oldest first"}, s.personHistory)
	operate(s, route{id: "add-tag", method: put, path: "/v1/people/{ref}/tags/{tag}", tag: "people", scope: People, summary: "Add a tag", status: http.StatusNoContent}, s.addTag)
	operate(s, route{id: "remove-tag", method: remove, path: "/v1/people/{ref}/tags/{tag}", tag: "people", scope: People, summary: "Remove a tag", status: http.StatusNoContent}, s.removeTag)
}

// RefInput names a person in a path.
type RefInput struct {
	Ref string `path:"ref" maxLength:"1100" doc:"The person: an id, phone:…, email:…, push:…, chat:… or external:…"`
}

type personOutput struct {
	Status int
	Body   *Person
}

func (s *Server) person(ctx context.Context, w runtime.Who) (*Person, error) {
	p, err := s.rt.Profile(ctx, w, shownHistory)
	if err != nil {
		return nil, err
	}
	exchangeOf(ctx).concerns(p.Person.ID)
	return ViewPerson(p), nil
}

func (s *Server) getPerson(ctx context.Context, in *RefInput) (*personOutput, error) {
	w, err := who(in.Ref)
	if err != nil {
		return nil, err
	}
	p, err := s.person(ctx, w)
	return &personOutput{http.StatusOK, p}, err
}

// personInput is a person as a caller writes it.
type personInput struct {
	Body struct {
		Addresses    []Address                  `json:"addresses" minItems:"1" maxItems:"100" doc:"Addresses: phone, email, push, chat or external. Of the first, a new person is made."`
		Attributes   map[string]json.RawMessage `json:"attributes,omitempty" doc:"Attributes to write, by name; null removes one."`
		Tags         []string                   `json:"tags,omitempty" doc:"Tags to add."`
		DoNotContact []string                   `json:"do_not_contact,omitempty" enum:"phone,email,push,chat" doc:"Kinds of addresses over which nothing is sent."`
		OnConflict   string                     `json:"on_conflict,omitempty" enum:"merge,reject" doc:"When the addresses are those of several persons: they are merged, or that is an error. Default: the setting people.on_conflict."`
	}
}

func (s *Server) upsertPerson(ctx context.Context, in *personInput) (*personOutput, error) {
	var f faults
	addresses := readAddresses(in.Body.Addresses, "/addresses", &f)
	c := &flowengine.Change{
		Source: source, Set: attributes(s.rt.Schema(), in.Body.Attributes, "/attributes", &f), AddTags: tags(in.Body.Tags, "/tags", &f),
		Block: kinds(in.Body.DoNotContact, "/do_not_contact", &f), AddAddresses: addresses,
	}
	conflict, err := runtime.ConflictNamed(in.Body.OnConflict)
	if err != nil {
		f.at("/on_conflict", err.Error())
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	id, made, err := s.rt.Upsert(ctx, c, conflict)
	exchangeOf(ctx).concerns(id)
	if err != nil {
		return nil, err
	}
	status := http.StatusOK
	if made {
		status = http.StatusCreated
	}
	p, err := s.person(ctx, runtime.Who{ID: id})
	return &personOutput{status, p}, err
}

type mergeInput struct {
	RefInput
	Body struct {
		With []string `json:"with" minItems:"1" maxItems:"100" doc:"The others: ids, phone:…, email:…, push:…, chat:… or external:…."`
	}
}

func (s *Server) mergePeople(ctx context.Context, in *mergeInput) (*personOutput, error) {
	var people []flowengine.PersonID
	for _, ref := range append([]string{in.Ref}, in.Body.With...) {
		id, err := s.found(ctx, ref)
		if err != nil {
			return nil, err
		}
		people = append(people, id)
	}
	survivor, err := s.rt.Merge(ctx, people)
	if err != nil {
		return nil, err
	}
	p, err := s.person(ctx, runtime.Who{ID: survivor})
	return &personOutput{http.StatusOK, p}, err
}

// amend writes to a profile and gives back what it is then.
func (s *Server) amend(ctx context.Context, w runtime.Who, c *flowengine.Change) (*Person, error) {
	acted, err := s.rt.Amend(ctx, w, c)
	exchangeOf(ctx).concerns(acted.Person)
	if err != nil {
		return nil, err
	}
	return s.person(ctx, runtime.Who{ID: acted.Person})
}

// Amendment is a change of a profile as callers write it.
type Amendment struct {
	Attributes   map[string]json.RawMessage `json:"attributes,omitempty" doc:"Attributes to write, by name; null removes one."`
	Tags         *TagChange                 `json:"tags,omitempty" doc:"Tags to add and remove."`
	DoNotContact *KindChange                `json:"do_not_contact,omitempty" doc:"Kinds of addresses to block and to allow again."`
	Addresses    *AddressChange             `json:"addresses,omitempty" doc:"Addresses to add and remove."`
}

// TagChange is tags to add and remove.
type TagChange struct {
	Add    []string `json:"add,omitempty" doc:"Tags to add."`
	Remove []string `json:"remove,omitempty" doc:"Tags to remove."`
}

// KindChange is kinds of addresses to block and to allow again.
type KindChange struct {
	Add    []string `json:"add,omitempty" enum:"phone,email,push,chat" doc:"Kinds over which nothing is sent any more."`
	Remove []string `json:"remove,omitempty" enum:"phone,email,push,chat" doc:"Kinds over which messages are sent again."`
}

// AddressChange is addresses to add and remove.
type AddressChange struct {
	Add    []Address `json:"add,omitempty" doc:"Addresses to add."`
	Remove []Address `json:"remove,omitempty" doc:"Addresses to remove."`
}

// Change reads an amendment by the schema of people's attributes.
func (a *Amendment) Change(schema *flowengine.Schema, from string) (*flowengine.Change, error) {
	var f faults
	c := &flowengine.Change{Source: from, Set: attributes(schema, a.Attributes, "/attributes", &f)}
	if t := a.Tags; t != nil {
		c.AddTags, c.RemoveTags = tags(t.Add, "/tags/add", &f), tags(t.Remove, "/tags/remove", &f)
	}
	if d := a.DoNotContact; d != nil {
		c.Block, c.Unblock = kinds(d.Add, "/do_not_contact/add", &f), kinds(d.Remove, "/do_not_contact/remove", &f)
	}
	if d := a.Addresses; d != nil {
		c.AddAddresses, c.DropAddresses = readAddresses(d.Add, "/addresses/add", &f), readAddresses(d.Remove, "/addresses/remove", &f)
	}
	return c, f.err()
}

type updateInput struct {
	RefInput
	Create bool `query:"create" doc:"Make the person when the reference is an address that leads to nobody."`
	Body   Amendment
}

func (s *Server) updatePerson(ctx context.Context, in *updateInput) (*personOutput, error) {
	w, err := who(in.Ref)
	if err != nil {
		return nil, err
	}
	c, err := in.Body.Change(s.rt.Schema(), source)
	if err != nil {
		return nil, err
	}
	w.Create = in.Create && w.ID.IsZero()
	p, err := s.amend(ctx, w, c)
	return &personOutput{http.StatusOK, p}, err
}

func (s *Server) erasePerson(ctx context.Context, in *RefInput) (*none, error) {
	w, err := who(in.Ref)
	if err != nil {
		return nil, err
	}
	id, err := s.rt.Erase(ctx, w)
	exchangeOf(ctx).concerns(id)
	return nil, err
}

type tagInput struct {
	RefInput
	Tag string `path:"tag" doc:"The tag."`
}

func (s *Server) addTag(ctx context.Context, in *tagInput) (*none, error) {
	return s.changeTag(ctx, in, func(t []flowengine.Tag) *flowengine.Change {
		return &flowengine.Change{Source: source, AddTags: t}
	})
}

func (s *Server) removeTag(ctx context.Context, in *tagInput) (*none, error) {
	return s.changeTag(ctx, in, func(t []flowengine.Tag) *flowengine.Change {
		return &flowengine.Change{Source: source, RemoveTags: t}
	})
}

func (s *Server) changeTag(ctx context.Context, in *tagInput, change func([]flowengine.Tag) *flowengine.Change) (*none, error) {
	w, err := who(in.Ref)
	if err != nil {
		return nil, err
	}
	var f faults
	t := tags([]string{in.Tag}, "", &f)
	if len(f) > 0 {
		return nil, newProblem(http.StatusUnprocessableEntity, "validation failed", Fault{Parameter: "tag", Detail: f[0].Detail})
	}
	acted, err := s.rt.Amend(ctx, w, change(t))
	exchangeOf(ctx).concerns(acted.Person)
	return nil, err
}

func readAddresses(given []Address, at string, f *faults) (all []flowengine.Address) {
	if len(given) > maxAddresses {
		f.at(at, fmt.Sprintf("at most %d addresses are taken at once", maxAddresses))
		return nil
	}
	for i, a := range given {
		address, err := addressOf(a.Kind, a.Value)
		if err != nil {
			f.at(at+pointer(fmt.Sprint(i)), err.Error())
			continue
		}
		all = append(all, address)
	}
	return all
}

// kinds reads kinds of addresses.
func kinds(given []string, at string, f *faults) (all []flowengine.AddressKind) {
	for i, name := range given {
		k := flowengine.AddressKindNamed(name)
		if k == 0 || k == flowengine.External {
			f.at(at+pointer(fmt.Sprint(i)), fmt.Sprintf("%q is none of phone, email, push and chat", clip(name)))
			continue
		}
		all = append(all, k)
	}
	return all
}

type listInput struct {
	Tag     string `query:"tag" maxLength:"128" doc:"Only people with this tag."`
	Segment string `query:"segment" maxLength:"64" doc:"Only people in this segment."`
	Limit   int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"Most people of a page."`
	Cursor  string `query:"cursor" maxLength:"64" doc:"Where the page begins: the cursor of the page before."`
}

type peoplePage struct {
	Body struct {
		People []Person `json:"people" nullable:"false" doc:"The people, without runs and history."`
		Cursor string   `json:"cursor,omitempty" doc:"Cursor of the next page; none at the end."`
	}
}

func (s *Server) listPeople(ctx context.Context, in *listInput) (*peoplePage, error) {
	var q runtime.Query
	if in.Tag != "" {
		q.Tags = []flowengine.Tag{flowengine.NewTag(in.Tag)}
	}
	if in.Segment != "" {
		q.Segments = []string{in.Segment}
	}
	return s.find(ctx, q, in.Cursor, in.Limit)
}

type pageInput struct {
	RefInput
	Limit  int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"Most entries of a page."`
	Cursor string `query:"cursor" maxLength:"64" doc:"Where the page begins: the cursor of the page before."`
}

type historyPage struct {
	Body struct {
		History []Line `json:"history" nullable:"false" doc:"What happened, oldest first."`
		Cursor  string `json:"cursor,omitempty" doc:"Cursor of the next page; none at the end."`
	}
}

// found is the id of the person whom a path names.
func (s *Server) found(ctx context.Context, ref string) (flowengine.PersonID, error) {
	w, err := who(ref)
	if err != nil {
		return flowengine.PersonID{}, err
	}
	p, err := s.rt.Profile(ctx, w, 0)
	if err != nil {
		return flowengine.PersonID{}, err
	}
	exchangeOf(ctx).concerns(p.Person.ID)
	return p.Person.ID, nil
}

func (s *Server) personHistory(ctx context.Context, in *pageInput) (*historyPage, error) {
	mark, err := markPlace(in.Cursor, 'h')
	if err != nil {
		return nil, err
	}
	id, err := s.found(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	page, next, err := s.rt.History(id, mark, in.Limit)
	out := new(historyPage)
	out.Body.History, out.Body.Cursor = viewHistory(page, id), markCursor('h', next)
	return out, err
}

type export struct {
	Body struct {
		Person  *Person `json:"person" doc:"The profile."`
		History []Line  `json:"history" nullable:"false" doc:"All that happened, oldest first."`
		Events  []Event `json:"events" nullable:"false" doc:"All People events, oldest first."`
	}
}

// exportPerson reads everything that is known of one person.
func (s *Server) exportPerson(ctx context.Context, in *RefInput) (*export, error) {
	w, err := who(in.Ref)
	if err != nil {
		return nil, err
	}
	p, err := s.rt.Profile(ctx, w, 0)
	if err != nil {
		return nil, err
	}
	exchangeOf(ctx).concerns(p.Person.ID)
	out := new(export)
	out.Body.Person = ViewPerson(p)
	out.Body.History, err = gather(func(m runtime.Mark) ([]Line, runtime.Mark, error) {
		page, next, err := s.rt.History(p.Person.ID, m, exportPage)
		return viewHistory(page, p.Person.ID), next, err
	})
	if err != nil {
		return nil, err
	}
	out.Body.Events, err = gather(func(m runtime.Mark) ([]Event, runtime.Mark, error) {
		page, next, err := s.rt.Events(p.Person.ID, m, exportPage)
		return viewEvents(page), next, err
	})
	return out, err
}

var errLarge = errors.New("there is more than one answer can hold; read it page by page")

// gather reads all pages of a list.
func gather[T any](read func(runtime.Mark) ([]T, runtime.Mark, error)) (all []T, err error) {
	all = []T{}
	var mark runtime.Mark
	for {
		page, next, err := read(mark)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if next == (runtime.Mark{}) {
			return all, nil
		}
		if len(all) > exportMost {
			return nil, newProblem(http.StatusUnprocessableEntity, errLarge.Error())
		}
		mark = next
	}
}
