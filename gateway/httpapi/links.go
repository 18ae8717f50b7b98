package httpapi

import (
	"context"
	"time"

	"trunkline/flowengine/runtime"
)

func (s *Server) linkRoutes() {
	operate(s, route{id: "message-links", method: get, path: "/v1/messages/{id}/links", tag: "messages", scope: Messages, summary: "Read the short links of a message, and who followed them",
		about: "The slashes of the id are written as %2F."}, s.messageLinks)
	operate(s, route{id: "list-links", method: get, path: "/v1/links", tag: "messages", scope: Messages, summary: "List the short links of a flow's messages, in no particular order",
		about: "A page may be empty and yet have a cursor: then the next page goes on looking."}, s.listLinks)
}

// ShortLink is a short link of a message.
type ShortLink struct {
	Token    string         `json:"token" doc:"What follows base_url in the link."`
	Kind     string         `json:"kind" enum:"link,mail" doc:"mail: it stands for a whole e-mail, and its clicks are opens."`
	URL      string         `json:"url,omitempty" doc:"Where it leads."`
	Message  string         `json:"message" doc:"Id of the message."`
	Person   string         `json:"person" doc:"Id of the person to whom the message went."`
	Flow     string         `json:"flow" doc:"Id of the flow."`
	Version  uint32         `json:"version" doc:"Version of the flow."`
	Element  string         `json:"element" doc:"Id of the element that sent it."`
	Expires  time.Time      `json:"expires" doc:"Until when it leads somewhere."`
	Tracked  bool           `json:"tracked" doc:"Whether clicks are counted."`
	Clicks   uint32         `json:"clicks" doc:"How often the person followed it; 1000 at most."`
	Previews uint32         `json:"previews" doc:"How often a program looked at it, which is no click; 1000 at most."`
	First    *time.Time     `json:"first_click,omitempty" doc:"When it was followed first."`
	Last     *time.Time     `json:"last_click,omitempty" doc:"When it was followed last."`
	Data     map[string]any `json:"data,omitempty" doc:"The data of the message."`
}

// ViewLinks makes the plain form of short links.
func ViewLinks(all []runtime.Link) []ShortLink {
	views := []ShortLink{}
	for i := range all {
		l := &all[i]
		v := ShortLink{
			Token: l.Token.String(), Kind: "link", URL: l.URL, Message: l.Message, Person: l.Origin.Person.String(), Flow: l.Origin.Flow, Version: l.Origin.Version,
			Element: l.Origin.Element, Expires: l.Expires, Tracked: l.Tracked, Clicks: l.Clicks, Previews: l.Previews,
		}
		if l.Whole {
			v.Kind = "mail"
		}
		if l.Clicks > 0 {
			v.First, v.Last = &l.First, &l.Last
		}
		for _, d := range l.Data {
			if v.Data == nil {
				v.Data = map[string]any{}
			}
			v.Data[d.Name] = viewValue(d.Value)
		}
		views = append(views, v)
	}
	return views
}

type messageLinksOutput struct {
	Body struct {
		Links []ShortLink `json:"links" nullable:"false" doc:"The links; none when the message is not known."`
	}
}

func (s *Server) messageLinks(_ context.Context, in *messageRef) (*messageLinksOutput, error) {
	links, err := s.rt.LinksOf(in.ID)
	out := new(messageLinksOutput)
	out.Body.Links = ViewLinks(links)
	return out, err
}

type listLinksInput struct {
	Flow    string `query:"flow" maxLength:"64" doc:"Only those of this flow."`
	Element string `query:"element" maxLength:"64" doc:"Only those of this element."`
	Limit   int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"Links on a page at most."`
	Cursor  string `query:"cursor" maxLength:"200" doc:"Cursor of the page before."`
}

type listLinksOutput struct {
	Body struct {
		Links  []ShortLink `json:"links" nullable:"false" doc:"The links."`
		Cursor string      `json:"cursor,omitempty" doc:"Cursor of the next page; none at the end."`
	}
}

// ListLinks answers a page of short links in the form of the API, for the tools too.
func ListLinks(rt *runtime.Runtime, f runtime.LinkFilter, mark string, limit int) (page []ShortLink, next string, err error) {
	after, err := place(mark, 'u', runtime.LinkMark)
	if err != nil {
		return nil, "", err
	}
	links, last, err := rt.Links(f, after, limit)
	if err == nil && last != nil {
		next = cursor('u', last)
	}
	return ViewLinks(links), next, err
}

func (s *Server) listLinks(_ context.Context, in *listLinksInput) (out *listLinksOutput, err error) {
	out = new(listLinksOutput)
	out.Body.Links, out.Body.Cursor, err = ListLinks(s.rt, runtime.LinkFilter{Flow: in.Flow, Element: in.Element}, in.Cursor, in.Limit)
	return out, err
}
