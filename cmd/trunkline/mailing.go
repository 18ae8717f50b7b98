package main

import (
	"io/fs"

	"trunkline/configs/strict"
	"trunkline/flowengine"
	"trunkline/gateway/smtp/compose"
)

// mailing is as whom flows may send mail.
func (s *settings) mailing() (m flowengine.Mailing) {
	for _, i := range s.Email.Identities {
		m.Identities = append(m.Identities, flowengine.Identity{ID: i.Name, Address: i.Address, Name: i.Display, ReplyTo: i.ReplyTo})
	}
	return m
}

// needs checks what a flow needs of the rest of the configuration: short links, sending
// identities, files.
func (s *settings) needs(doc *strict.Document, v *flowengine.Version, folder fs.FS) {
	if !s.Links.Enabled() {
		for _, use := range v.Linking() {
			doc.ErrorAt(use.Path, "%s: there are no short links: say links.listen and links.base_url in trunkline.yaml", use.Option)
		}
	}
	mailing := s.mailing()
	for _, use := range v.Mailing() {
		if fault := mailing.Fault(use.Identity); fault != "" {
			doc.ErrorAt(use.Path, "%s", fault)
		}
	}
	room := int64(compose.MaxFileBytes)
	for _, use := range v.Files() {
		info, err := fs.Stat(folder, use.File)
		switch {
		case err != nil:
			doc.ErrorAt(use.Path, "%v", err)
		case !info.Mode().IsRegular() || info.Size() > room:
			doc.ErrorAt(use.Path, "%q is no file, or larger than the %d MiB that a mail may bring along", use.File, compose.MaxFileBytes>>20)
		}
	}
}
