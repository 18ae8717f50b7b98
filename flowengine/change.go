package flowengine

// change writes to the profile, from outside of flows.
func (st *step) change(c *Change) {
	p := st.person
	changed := func(yes bool, what string) {
		if yes {
			st.result.PersonChanged = true
			st.log(Event{Kind: Updated, Detail: what + " by " + c.Source})
		}
	}
	for _, a := range c.Set {
		changed(p.SetAttr(a.Name, a.Value), a.Name)
	}
	for _, t := range c.AddTags {
		changed(p.AddTag(t), "tag +"+t.Name)
	}
	for _, t := range c.RemoveTags {
		changed(p.RemoveTag(t), "tag -"+t.Name)
	}
	for _, k := range c.Block {
		changed(p.Block(k), "do not contact +"+k.String())
	}
	for _, k := range c.Unblock {
		changed(p.Unblock(k), "do not contact -"+k.String())
	}
	for _, a := range c.AddAddresses {
		if p.AddAddress(a) {
			changed(true, a.Kind.String()+" added")
			st.result.AddressesAdded = append(st.result.AddressesAdded, a)
		}
	}
	for _, a := range c.DropAddresses {
		changed(p.DropAddress(a), a.Kind.String()+" removed")
	}
}
