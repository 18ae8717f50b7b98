package main

import (
	"time"

	"trunkline/gateway/cdr"
)

// voiceSettings is the section `voice:` of the configuration: what calls need
// besides their trunks.
type voiceSettings struct {
	Records recordSettings `yaml:"records" doc:"Records of calls: a record per leg, with its times, quality and price."`
}

type recordSettings struct {
	Retention  time.Duration `yaml:"retention" default:"400d" min:"1d" max:"3650d" doc:"How long they are kept in the store."`
	cdr.Config `yaml:",inline"`
}
