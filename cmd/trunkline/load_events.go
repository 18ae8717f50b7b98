package main

import (
	"trunkline/configs/strict"
	"trunkline/flowengine"
)

type eventSettings struct {
	Event      string             `yaml:"event" required:"true" pattern:"^[A-Za-z][A-Za-z0-9_-]{0,63}$" doc:"Name of the event."`
	Properties []propertySettings `yaml:"properties" max:"100" doc:"Properties that it may have."`
}

type propertySettings struct {
	Name string `yaml:"name" required:"true" pattern:"^[A-Za-z_][A-Za-z0-9_]{0,63}$" doc:"Name of the property."`
	Type string `yaml:"type" required:"true" enum:"text,whole_number,decimal,boolean,date,date_time,list" doc:"Type of its values."`
}

// events takes up the kinds of People events of a file.
func (l *loader) events(doc *strict.Document, all []eventSettings) {
	none, _ := flowengine.NewSchema()
	for i, e := range all {
		t := flowengine.EventType{Name: e.Event}
		for _, p := range e.Properties {
			t.Properties = append(t.Properties, flowengine.Attribute{Name: p.Name, Type: flowengine.TypeNamed(p.Type)})
		}
		at := []any{"people", "events", i}
		if _, err := none.WithEvents(t); err != nil {
			doc.ErrorAt(at, "%v", err)
			continue
		}
		if l.once(doc, "event", e.Event, append(at, "event")...) {
			l.eventTypes = append(l.eventTypes, t)
		}
	}
}
