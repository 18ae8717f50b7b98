package flowengine

// Mailing says as whom mail is sent. The zero Mailing sends none.
type Mailing struct {
	Identities []Identity // the first is the usual one
}

// Identity is somebody whom mail comes from.
type Identity struct {
	ID      string
	Address string
	Name    string // that people see beside the address
	ReplyTo string // empty: Address
}

// WithMailing gives the set the identities that mail is sent as. It belongs to the
// making of a set and returns s.
func (s *Set) WithMailing(m Mailing) *Set {
	s.mailing = m
	return s
}

// Enabled says whether mail can be sent at all.
func (m *Mailing) Enabled() bool { return len(m.Identities) > 0 }

// identity finds an identity by its name; "" is the usual one.
func (m *Mailing) identity(id string) (Identity, bool) {
	for _, i := range m.Identities {
		if id == "" || i.ID == id {
			return i, true
		}
	}
	return Identity{}, false
}

// Fault tells what keeps mail from being sent as an identity; "" when nothing does.
func (m *Mailing) Fault(id string) string {
	if _, ok := m.identity(id); ok {
		return ""
	}
	if !m.Enabled() {
		return "mail can't be sent: no sending identity is configured"
	}
	known := make([]string, len(m.Identities))
	for i := range m.Identities {
		known[i] = m.Identities[i].ID
	}
	return "there is no sending identity \"" + shorten(id) + "\"" + didYouMean(id, known)
}
