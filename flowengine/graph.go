package flowengine

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"trunkline/configs/strict"
)

// Graph is a flow as a picture shows it: what lets people in, the elements, the
// ways between them, and where runs end. It is the same for the same Version.
type Graph struct {
	Flow, Name string
	Nodes      []GraphNode // entry points, then elements, each followed by its ends
	Edges      []GraphEdge
}

// GraphKind groups the nodes of a Graph by what they are to a person.
type GraphKind string

// The kinds of nodes.
const (
	GraphEntry  GraphKind = "entry"
	GraphSend   GraphKind = "send"   // something goes out
	GraphWait   GraphKind = "wait"   // a run can stand here
	GraphBranch GraphKind = "branch" // chooses a way
	GraphChange GraphKind = "change" // writes to the profile or to variables
	GraphEnd    GraphKind = "end"    // a run ends
)

// GraphNode is one box of the picture.
type GraphNode struct {
	ID    string // entry:ID, element:ID or end:ID, unique in the graph
	Kind  GraphKind
	Type  string   // as in the file; "" for an end that has no element
	Title string   // id of the entry point or element
	Lines []string // what it does, in words; may be empty
}

// GraphEdge leads from one node to another.
type GraphEdge struct {
	From, To string // ids of nodes
	Label    string // port, keyword, share or condition; may be ""
}

// Graph makes the picture of the version. Outcomes that end the run are drawn
// where they are the usual way on: the first port, a timeout that is set, and
// branches. Others without a target, such as a message that could not be sent,
// would only hide the flow.
func (v *Version) Graph() *Graph {
	g := &Graph{Flow: v.Flow, Name: v.Name}
	for _, e := range v.Entries {
		g.Nodes = append(g.Nodes, GraphNode{"entry:" + e.ID, GraphEntry, e.Type, e.ID, linesOf(triggerWords(e))})
		g.Edges = append(g.Edges, GraphEdge{From: "entry:" + e.ID, To: "element:" + e.Next})
	}
	for _, n := range v.Nodes() {
		g.Nodes = append(g.Nodes, GraphNode{"element:" + n.ID, kindOfElement(n.Element), n.Type, n.ID, linesOf(elementWords(n.Element))})
		g.ways(n)
	}
	return g
}

// ways adds what leads away from an element.
func (g *Graph) ways(n *Node) {
	from, end := "element:"+n.ID, "end:"+n.ID
	ends := false
	add := func(label, target string) {
		to := "element:" + target
		if target == "" {
			to, ends = end, true
		}
		g.Edges = append(g.Edges, GraphEdge{from, to, label})
	}
	for _, b := range branchesOf(n.Element) {
		add(b.label, b.next)
	}
	_, branches := n.Element.(brancher)
	for i, port := range n.Element.Ports() {
		target := n.Targets[port]
		limit := timeoutOf(n.Element)
		usual := i == 0 && !branches || port == portTimeout && limit > 0
		if target == "" && !usual {
			continue
		}
		label := strings.ReplaceAll(port, "_", " ")
		if port == portTimeout && limit > 0 {
			label = "after " + span(limit)
		}
		add(label, target)
	}
	if ends {
		g.Nodes = append(g.Nodes, GraphNode{ID: end, Kind: GraphEnd, Title: "end"})
	}
}

// way is one branch of an element.
type way struct{ label, next string }

func branchesOf(e Element) (ways []way) {
	switch e := e.(type) {
	case *EvaluateInboundMessage:
		for _, b := range e.Branches {
			ways = append(ways, way{keywordWords(b.Match, b.Mode), b.Next})
		}
	case *SplitAudience:
		for _, b := range e.Branches {
			ways = append(ways, way{b.Share.String() + " %", b.Next})
		}
	case *Menu:
		for _, b := range e.Branches {
			ways = append(ways, way{"key " + b.Key, b.Next})
		}
	case *Segment:
		for i := range e.Branches {
			ways = append(ways, way{e.Branches[i].When.Words(), e.Branches[i].Next})
		}
	}
	return ways
}

func timeoutOf(e Element) time.Duration {
	switch e := e.(type) {
	case *EvaluateInboundMessage:
		return e.Timeout
	case *WaitForEvent:
		return e.Timeout
	case *WaitForChange:
		return e.Timeout
	}
	return 0
}

func kindOfElement(e Element) GraphKind {
	switch e.(type) {
	case *SendSMS, *Failover, *CallAPI, *Notify, *StartCall, *SendVoice, *Play, *Say, *ForwardCall, *HangUp:
		return GraphSend
	case *Pause, *EvaluateInboundMessage, *WaitForEvent, *WaitForDate, *WaitForChange, *Answer, *Collect, *Menu, *Record, *DetectMachine:
		return GraphWait
	case *Segment, *SplitAudience, *GoTo:
		return GraphBranch
	case *Exit:
		return GraphEnd
	}
	return GraphChange
}

// triggerWords says what lets people in.
func triggerWords(e *Entry) string {
	words := ""
	switch t := e.Trigger.(type) {
	case *InboundMessage:
		words = keywordWords(t.Keywords, t.Match)
		if t.Number != "" {
			words += " to " + t.Number
		}
	case *InboundCall:
		words = "a call to " + t.Number
	case *PeopleEvent:
		words = eventWords(t)
	case *Audience:
		words = t.Condition.Words()
		if n := len(t.Persons); n > 0 {
			words = strings.TrimSuffix(fmt.Sprintf("%d named persons, %s", n, words), ", ")
		}
		if words == "" {
			words = "everybody"
		}
	case *ProfileChange:
		words = t.Condition.Words()
	}
	if o := e.Trigger.entry(); o.When != "" {
		words = strings.TrimPrefix(words+"\nwhen "+o.When, "\n")
	}
	return words
}

func eventWords(t *PeopleEvent) string {
	joint := " and "
	if len(t.Sequence) > 0 {
		joint = ", then "
	}
	var names []string
	for _, f := range t.events {
		names = append(names, filterWords(&f))
	}
	words := strings.Join(names, joint)
	if t.Within > 0 {
		words += " within " + span(t.Within)
	}
	return words
}

func filterWords(f *EventFilter) string {
	if f.Where == "" {
		return f.Event
	}
	return f.Event + " where " + f.Where
}

// elementWords says what an element does, beyond its type.
func elementWords(e Element) string {
	switch e := e.(type) {
	case *SendSMS:
		return "“" + e.words() + "”"
	case *SendEmail:
		return "“" + e.words() + "”"
	case *Failover:
		var texts []string
		for _, ch := range e.Channels {
			texts = append(texts, ch.send+" “"+ch.message.words()+"”")
		}
		return strings.Join(texts, "\n")
	case *CallAPI:
		return e.Method + " " + e.URL
	case *WaitForEvent:
		return filterWords(&e.EventFilter)
	case *WaitForDate:
		return dateWords(e)
	case *WaitForChange:
		return e.Condition.Words()
	case *Pause:
		return pauseWords(e)
	case *TransferToFlow:
		return strings.TrimSuffix("to "+e.Flow+"/"+e.Entry, "/")
	case *Notify:
		return strings.Join(e.To, "\n") + "\n“" + e.Text + e.Body + "”"
	case *UpdatePerson:
		return settingWords(e.Set)
	case *UpdateVariable:
		return settingWords(e.Set)
	case *AddTag:
		return e.Tag
	case *RemoveTag:
		return e.Tag
	case *AddToDoNotContact:
		return e.Channel
	case *RemoveFromDoNotContact:
		return e.Channel
	case *Play:
		return e.Sounds.words()
	case *Say:
		return "“" + e.Text + "”"
	case *Collect:
		return e.Prompt.words()
	case *Menu:
		return e.Prompt.words()
	case *Record:
		return e.Prompt.words()
	case *SendVoice:
		return e.Sounds.words()
	case *ForwardCall:
		return strings.Join(e.To, "\n")
	case *GoTo:
		return strconv.Itoa(e.Limit) + " times at most"
	case *SplitAudience:
		if e.Assign == "per_entry" {
			return "drawn anew at every entry"
		}
	}
	return ""
}

func dateWords(e *WaitForDate) string {
	words := e.Date
	switch {
	case e.Before > 0:
		words = span(e.Before) + " before " + words
	case e.After > 0:
		words = span(e.After) + " after " + words
	}
	if !e.At.IsZero() {
		words += " at " + e.At.String()
	}
	return words
}

func settingWords(set map[string]Setting) string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		s := set[name]
		value := fmt.Sprint(s.Constant)
		switch {
		case s.Source != "":
			value = s.Source
		case s.Constant == nil:
			value = "nothing"
		}
		lines = append(lines, name+" = "+value)
	}
	return strings.Join(lines, "\n")
}

func keywordWords(k Keywords, mode string) string {
	if k.Any {
		return "any message"
	}
	words := strings.Join(k.Words, ", ")
	if mode == "first_word" {
		words += " …"
	}
	return words
}

// span writes a duration as flow files do: 1d12h, 90s.
func span(d time.Duration) string {
	var b strings.Builder
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if n := d / u.unit; n > 0 {
			b.WriteString(strconv.Itoa(int(n)) + u.name)
			d %= u.unit
		}
	}
	if b.Len() == 0 {
		return d.String()
	}
	return b.String()
}

// Words is the condition as a reader of the flow would say it; "" when none was
// written.
func (p *Predicate) Words() string {
	switch f := p.form.(type) {
	case *attrForm:
		return f.Attr + " " + f.words()
	case *varForm:
		return "vars." + f.Var + " " + f.words()
	case *propForm:
		return "event." + f.Prop + " " + f.words()
	case *contactForm:
		return strings.TrimSpace("last " + f.Contact + " " + operatorWords(f.Op) + " " + f.Value.words())
	case *tagForm:
		return operatorWords(f.Op) + " tag " + f.Tag
	case *tagsForm:
		return operatorWords(f.Op) + " of tags " + strings.Join(f.Tags, ", ")
	case *eventForm:
		return f.words()
	case *messageForm:
		return "message " + f.Message + " " + operatorWords(f.Op)
	case *allForm:
		return joinWords(f.All, " and ")
	case *anyForm:
		return joinWords(f.Any, " or ")
	case *notForm:
		return "not (" + f.Not.Words() + ")"
	case *exprForm:
		return f.Expr
	}
	return ""
}

func joinWords(all []Predicate, joint string) string {
	parts := make([]string, len(all))
	for i := range all {
		parts[i] = all[i].Words()
		switch all[i].form.(type) {
		case *allForm, *anyForm:
			parts[i] = "(" + parts[i] + ")"
		}
	}
	return strings.Join(parts, joint)
}

func (f *eventForm) words() string {
	words := f.Event + " " + operatorWords(f.Op)
	if f.Count != nil {
		words += " " + operatorWords(f.Count.Op) + " " + f.Count.Value.words() + " times"
	}
	if f.Within > 0 {
		words += " within " + span(f.Within)
	}
	if f.Where != nil && !f.Where.IsZero() {
		words += " where " + f.Where.Words()
	}
	return words
}

func (c *comparison) words() string {
	return strings.TrimSpace(operatorWords(c.Op) + " " + c.Value.words())
}

// signs are the operators that a reader knows by their sign.
var signs = map[string]string{"is": "=", "is_not": "≠", "lt": "<", "lte": "≤", "gt": ">", "gte": "≥"}

func operatorWords(op string) string {
	if sign := signs[op]; sign != "" {
		return sign
	}
	return strings.ReplaceAll(op, "_", " ")
}

func (l *literal) words() string {
	switch l.kind {
	case strict.Broken:
		return ""
	case strict.List:
		parts := make([]string, len(l.items))
		for i := range l.items {
			parts[i] = l.items[i].words()
		}
		return strings.Join(parts, ", ")
	}
	return l.text
}

func linesOf(words string) []string {
	if words == "" {
		return nil
	}
	return strings.Split(words, "\n")
}
