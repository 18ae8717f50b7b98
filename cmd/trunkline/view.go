package main

import (
	"trunkline/flowengine/runtime"
	"trunkline/gateway/httpapi"
)

// The control socket speaks the plain forms of the HTTP API: they are what --json
// prints, and scripts may rely on them.

type (
	personView  = httpapi.Person
	addressView = httpapi.Address
	elementView = httpapi.Element
	flowView    httpapi.Flow
)

func viewPerson(p *runtime.Profile) *personView { return httpapi.ViewPerson(p) }

func viewFlows(all []runtime.FlowStatus, entries func(flow string) []httpapi.Entry) []flowView {
	views := []flowView{}
	for _, f := range httpapi.ViewFlows(all, entries) {
		views = append(views, flowView(f))
	}
	return views
}
