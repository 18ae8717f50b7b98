package flowengine

import (
	"strconv"
	"strings"
)

// messageID is the id of what a run sends at an element: person/flow/entry
// number/element/seq.step. It is the same when the step is computed again.
func messageID(o *Origin, steps uint32) string {
	b := o.AppendMessagePrefix(make([]byte, 0, 96))
	b = strconv.AppendUint(b, uint64(o.Seq), 10)
	b = strconv.AppendUint(append(b, '.'), uint64(steps), 10)
	return string(b)
}

// AppendMessagePrefix appends what the ids of all messages begin with that an
// element sends in one run.
func (o *Origin) AppendMessagePrefix(b []byte) []byte {
	b = idText.AppendEncode(b, o.Person[:])
	b = append(append(b, '/'), o.Flow...)
	b = strconv.AppendUint(append(b, '/'), uint64(o.Number), 10)
	b = append(append(b, '/'), o.Element...)
	return append(b, '/')
}

// lastOfID is what tells the messages of an element in one run apart.
func lastOfID(id string) string { return id[strings.LastIndexByte(id, '/')+1:] }

// MessageID is the id of the message that an event of a person's history is about;
// empty: it is about none.
func (e *Event) MessageID(person PersonID) string {
	switch {
	case e.Message != "":
		o := Origin{Person: person, Flow: e.Flow, Number: e.Number, Element: e.Element}
		return string(o.AppendMessagePrefix(make([]byte, 0, 96))) + e.Message
	case e.Flow == "" && (e.Kind == Queued || e.Kind == Accepted):
		return e.Detail
	}
	return ""
}

// ParseMessageID reads from the id of a message who got it, and, when a flow sent it,
// by which element of which entry. ok is false for the id of a message to nobody whom
// we know.
func ParseMessageID(id string) (o Origin, last string, ok bool) {
	who, rest, _ := strings.Cut(id, "/")
	person, err := ParsePersonID(who)
	if err != nil || rest == "" {
		return o, "", false
	}
	o.Person = person
	parts := strings.Split(rest, "/")
	if len(parts) < 4 { // an answer outside of flows
		return o, rest, true
	}
	n := len(parts)
	number, err := strconv.ParseUint(parts[n-3], 10, 32)
	if err != nil {
		return o, rest, true
	}
	o.Flow, o.Number, o.Element = strings.Join(parts[:n-3], "/"), uint32(number), parts[n-2]
	return o, parts[n-1], true
}
