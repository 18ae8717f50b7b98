package flowengine

import (
	"time"

	"trunkline/flowengine/record"
)

// AppendPerson appends the stored form of p, without its ID, to b.
func AppendPerson(b []byte, p *Person) []byte {
	b = record.AppendTime(b, 1, p.Created)
	for _, a := range p.Addresses {
		b = record.AppendNested(b, 2, func(b []byte) []byte {
			b = record.AppendUint(b, 1, uint64(a.Kind))
			return record.AppendString(b, 2, a.Value)
		})
	}
	b = appendAttrs(b, 3, p.Attrs)
	for _, t := range p.Tags {
		b = record.AppendNested(b, 4, func(b []byte) []byte {
			b = record.AppendString(b, 1, t.Fold)
			return record.AppendString(b, 2, t.Name)
		})
	}
	for _, k := range p.DoNotContact {
		b = record.AppendUint(b, 5, uint64(k))
	}
	for i := range p.Merged {
		b = record.AppendBytes(b, 6, p.Merged[i][:])
	}
	return b
}

// FirstOtherField is the number of the first field that a host may add to the
// stored form of a person.
const FirstOtherField = 100

// DecodePerson reads what AppendPerson wrote into p, which must be empty but
// for its ID. Fields that a host added go to other, which may be nil.
func DecodePerson(b []byte, p *Person, other func(record.Field) error) error {
	return record.Decode(b, "person", func(f record.Field) error {
		if f.Num >= FirstOtherField && other != nil {
			return other(f)
		}
		switch f.Num {
		case 1:
			p.Created = f.Time()
		case 2:
			var a Address
			err := record.Decode(f.Bytes, "address", func(f record.Field) error {
				switch f.Num {
				case 1:
					a.Kind = AddressKind(f.Uint)
				case 2:
					a.Value = string(f.Bytes)
				}
				return nil
			})
			p.Addresses = append(p.Addresses, a)
			return err
		case 3:
			return decodeAttr(f.Bytes, &p.Attrs)
		case 4:
			var t Tag
			err := record.Decode(f.Bytes, "tag", func(f record.Field) error {
				switch f.Num {
				case 1:
					t.Fold = string(f.Bytes)
				case 2:
					t.Name = string(f.Bytes)
				}
				return nil
			})
			p.Tags = append(p.Tags, t)
			return err
		case 5:
			p.DoNotContact = append(p.DoNotContact, AddressKind(f.Uint))
		case 6:
			id, err := decodePersonID(f.Bytes)
			p.Merged = append(p.Merged, id)
			return err
		}
		return nil
	})
}

// AppendPassages appends the stored form of p to b.
func AppendPassages(b []byte, p *Passages) []byte {
	b = record.AppendUint(b, 1, p.Waits)
	for i := range p.Runs {
		b = record.AppendNested(b, 2, func(b []byte) []byte { return appendRun(b, &p.Runs[i]) })
	}
	for i := range p.Flows {
		b = record.AppendNested(b, 3, func(b []byte) []byte { return appendMembership(b, &p.Flows[i]) })
	}
	for i := range p.Contacts {
		b = record.AppendNested(b, 5, func(b []byte) []byte {
			b = record.AppendString(b, 1, p.Contacts[i].Channel)
			return record.AppendTime(b, 2, p.Contacts[i].At)
		})
	}
	for _, h := range p.Heard {
		b = record.AppendNested(b, 4, func(b []byte) []byte {
			b = record.AppendUint(b, 1, h.Sum)
			return record.AppendTime(b, 2, h.At)
		})
	}
	for i := range p.Places {
		b = record.AppendNested(b, 6, p.Places[i].append)
	}
	return b
}

// DecodePassages reads what AppendPassages wrote into p, which must be empty.
func DecodePassages(b []byte, p *Passages) error {
	return record.Decode(b, "passages", func(f record.Field) error {
		switch f.Num {
		case 1:
			p.Waits = f.Uint
		case 2:
			p.Runs = append(p.Runs, Run{})
			return decodeRun(f.Bytes, &p.Runs[len(p.Runs)-1])
		case 3:
			p.Flows = append(p.Flows, Membership{})
			return decodeMembership(f.Bytes, &p.Flows[len(p.Flows)-1])
		case 4:
			var h Digest
			err := record.Decode(f.Bytes, "digest", func(f record.Field) error {
				switch f.Num {
				case 1:
					h.Sum = f.Uint
				case 2:
					h.At = f.Time()
				}
				return nil
			})
			p.Heard = append(p.Heard, h)
			return err
		case 5:
			var c Contact
			err := record.Decode(f.Bytes, "contact", func(f record.Field) error {
				switch f.Num {
				case 1:
					c.Channel = string(f.Bytes)
				case 2:
					c.At = f.Time()
				}
				return nil
			})
			p.Contacts = append(p.Contacts, c)
			return err
		case 6:
			p.Places = append(p.Places, Place{})
			return p.Places[len(p.Places)-1].decode(f.Bytes)
		}
		return nil
	})
}

func appendRun(b []byte, r *Run) []byte {
	b = record.AppendString(b, 1, r.Flow)
	b = record.AppendUint(b, 2, uint64(r.Version))
	b = record.AppendUint(b, 3, uint64(r.Number))
	b = record.AppendString(b, 4, r.Entry)
	b = record.AppendTime(b, 5, r.Entered)
	b = record.AppendString(b, 6, r.Element)
	b = record.AppendUint(b, 7, uint64(r.Seq))
	b = record.AppendTime(b, 8, r.Since)
	b = record.AppendTime(b, 9, r.Deadline)
	b = record.AppendUint(b, 10, r.Wait)
	b = record.AppendString(b, 11, r.Sending)
	b = record.AppendUint(b, 12, uint64(r.Steps))
	b = record.AppendUint(b, 13, uint64(r.Repeats))
	b = appendAttrs(b, 14, r.Vars)
	if h := r.Inbound; h != nil {
		b = record.AppendNested(b, 15, func(b []byte) []byte {
			b = record.AppendString(b, 1, h.Channel)
			b = record.AppendString(b, 2, h.From)
			b = record.AppendString(b, 3, h.To)
			b = record.AppendString(b, 4, h.Text)
			b = record.AppendString(b, 5, h.Keyword)
			b = record.AppendTime(b, 6, h.At)
			b = record.AppendString(b, 7, h.Subject)
			return h.Append(b)
		})
	}
	b = record.AppendUint(b, 17, uint64(r.Attempt))
	b = record.AppendString(b, 18, r.Branch)
	b = record.AppendTime(b, 20, r.Held)
	for i := range r.Messages {
		m := &r.Messages[i]
		b = record.AppendNested(b, 19, func(b []byte) []byte {
			b = record.AppendString(b, 1, m.Element)
			b = record.AppendString(b, 2, m.ID)
			return record.AppendUint(b, 3, m.bits())
		})
	}
	if r.Call != nil {
		b = record.AppendNested(b, 30, r.Call.append)
	}
	if r.Event != nil {
		b = record.AppendNested(b, 16, func(b []byte) []byte { return AppendHappened(b, r.Event) })
	}
	return b
}

// AppendHappened appends the stored form of a People event.
func AppendHappened(b []byte, e *Happened) []byte {
	b = record.AppendString(b, 1, e.ID)
	b = record.AppendString(b, 2, e.Name)
	b = appendAttrs(b, 3, e.Props)
	return record.AppendTime(b, 4, e.At)
}

// DecodeHappened reads what AppendHappened wrote into e, which must be empty.
func DecodeHappened(b []byte, e *Happened) error {
	return record.Decode(b, "event", func(f record.Field) error {
		switch f.Num {
		case 1:
			e.ID = string(f.Bytes)
		case 2:
			e.Name = string(f.Bytes)
		case 3:
			return decodeAttr(f.Bytes, &e.Props)
		case 4:
			e.At = f.Time()
		}
		return nil
	})
}

func decodeRun(b []byte, r *Run) error {
	return record.Decode(b, "run", func(f record.Field) error {
		switch f.Num {
		case 1:
			r.Flow = string(f.Bytes)
		case 2:
			r.Version = uint32(f.Uint)
		case 3:
			r.Number = uint32(f.Uint)
		case 4:
			r.Entry = string(f.Bytes)
		case 5:
			r.Entered = f.Time()
		case 6:
			r.Element = string(f.Bytes)
		case 7:
			r.Seq = uint32(f.Uint)
		case 8:
			r.Since = f.Time()
		case 9:
			r.Deadline = f.Time()
		case 10:
			r.Wait = f.Uint
		case 11:
			r.Sending = string(f.Bytes)
		case 12:
			r.Steps = uint32(f.Uint)
		case 13:
			r.Repeats = uint32(f.Uint)
		case 14:
			return decodeAttr(f.Bytes, &r.Vars)
		case 15:
			h := new(Heard)
			r.Inbound = h
			return record.Decode(f.Bytes, "inbound", func(f record.Field) error {
				switch f.Num {
				case 1:
					h.Channel = string(f.Bytes)
				case 2:
					h.From = string(f.Bytes)
				case 3:
					h.To = string(f.Bytes)
				case 4:
					h.Text = string(f.Bytes)
				case 5:
					h.Keyword = string(f.Bytes)
				case 6:
					h.At = f.Time()
				case 7:
					h.Subject = string(f.Bytes)
				default:
					h.Decode(f)
				}
				return nil
			})
		case 17:
			r.Attempt = uint8(f.Uint)
		case 18:
			r.Branch = string(f.Bytes)
		case 20:
			r.Held = f.Time()
		case 19:
			var m MessageState
			err := record.Decode(f.Bytes, "message", func(f record.Field) error {
				switch f.Num {
				case 1:
					m.Element = string(f.Bytes)
				case 2:
					m.ID = string(f.Bytes)
				case 3:
					m.setBits(f.Uint)
				}
				return nil
			})
			r.Messages = append(r.Messages, m)
			return err
		case 30:
			var err error
			r.Call, err = decodeCallState(f.Bytes)
			return err
		case 16:
			r.Event = new(Happened)
			return DecodeHappened(f.Bytes, r.Event)
		}
		return nil
	})
}

func appendMembership(b []byte, m *Membership) []byte {
	b = record.AppendString(b, 1, m.Flow)
	b = record.AppendUint(b, 2, uint64(m.Entries))
	for _, t := range m.Recent {
		b = record.AppendTime(b, 3, t)
	}
	b = record.AppendTime(b, 4, m.LastExit)
	for _, v := range m.Visited {
		b = record.AppendFixed32(b, 5, v)
	}
	for _, v := range m.Clicked {
		b = record.AppendFixed32(b, 11, v)
	}
	for _, v := range m.Reacted {
		b = record.AppendFixed32(b, 13, v)
	}
	b = record.AppendString(b, 8, m.Fired)
	b = record.AppendTime(b, 9, m.Mustered)
	b = record.AppendBool(b, 10, m.Contacted)
	b = appendAbsorbed(b, 12, m.Absorbed)
	for i := range m.Goals {
		g := &m.Goals[i]
		b = record.AppendNested(b, 7, func(b []byte) []byte {
			b = record.AppendString(b, 1, g.Goal)
			b = record.AppendTime(b, 2, g.Anchor)
			b = record.AppendString(b, 3, g.Branch)
			b = record.AppendBool(b, 4, g.Converted)
			return record.AppendUint(b, 5, uint64(g.Mark))
		})
	}
	for i := range m.Progress {
		b = record.AppendNested(b, 6, func(b []byte) []byte {
			b = record.AppendString(b, 1, m.Progress[i].Entry)
			for _, t := range m.Progress[i].Seen {
				b = record.AppendNested(b, 2, func(b []byte) []byte { return record.AppendTime(b, 1, t) })
			}
			return b
		})
	}
	return b
}

func decodeMembership(b []byte, m *Membership) error {
	return record.Decode(b, "membership", func(f record.Field) error {
		switch f.Num {
		case 1:
			m.Flow = string(f.Bytes)
		case 2:
			m.Entries = uint32(f.Uint)
		case 3:
			m.Recent = append(m.Recent, f.Time())
		case 4:
			m.LastExit = f.Time()
		case 5:
			m.Visited = append(m.Visited, uint32(f.Uint))
		case 11:
			m.Clicked = append(m.Clicked, uint32(f.Uint))
		case 13:
			m.Reacted = append(m.Reacted, uint32(f.Uint))
		case 8:
			m.Fired = string(f.Bytes)
		case 9:
			m.Mustered = f.Time()
		case 10:
			m.Contacted = f.Bool()
		case 12:
			a, err := decodeAbsorbed(f.Bytes)
			m.Absorbed = append(m.Absorbed, a)
			return err
		case 7:
			m.Goals = append(m.Goals, GoalState{})
			return decodeGoalState(f.Bytes, &m.Goals[len(m.Goals)-1])
		case 6:
			m.Progress = append(m.Progress, Progress{})
			return decodeProgress(f.Bytes, &m.Progress[len(m.Progress)-1])
		}
		return nil
	})
}

func decodeGoalState(b []byte, g *GoalState) error {
	return record.Decode(b, "goal", func(f record.Field) error {
		switch f.Num {
		case 1:
			g.Goal = string(f.Bytes)
		case 2:
			g.Anchor = f.Time()
		case 3:
			g.Branch = string(f.Bytes)
		case 4:
			g.Converted = f.Bool()
		case 5:
			g.Mark = uint32(f.Uint)
		}
		return nil
	})
}

func decodeProgress(b []byte, p *Progress) error {
	return record.Decode(b, "progress", func(f record.Field) error {
		switch f.Num {
		case 1:
			p.Entry = string(f.Bytes)
		case 2:
			p.Seen = append(p.Seen, time.Time{})
			return record.Decode(f.Bytes, "moment", func(f record.Field) error {
				p.Seen[len(p.Seen)-1] = f.Time()
				return nil
			})
		}
		return nil
	})
}

// AppendData appends the stored form of a message's data as fields num.
func AppendData(b []byte, num int, data Attrs) []byte { return appendAttrs(b, num, data) }

// DecodeData adds to data what one field of AppendData says.
func DecodeData(b []byte, data *Attrs) error { return decodeAttr(b, data) }

func appendAttrs(b []byte, num int, attrs Attrs) []byte {
	for i := range attrs {
		a := &attrs[i]
		b = record.AppendNested(b, num, func(b []byte) []byte {
			b = record.AppendString(b, 1, a.Name)
			b = record.AppendUint(b, 2, uint64(a.Value.Type))
			b = record.AppendString(b, 3, a.Value.Str)
			return record.AppendInt(b, 4, a.Value.Num)
		})
	}
	return b
}

func decodeAttr(b []byte, attrs *Attrs) error {
	var a Attr
	err := record.Decode(b, "attribute", func(f record.Field) error {
		switch f.Num {
		case 1:
			a.Name = string(f.Bytes)
		case 2:
			a.Value.Type = Type(f.Uint)
		case 3:
			a.Value.Str = string(f.Bytes)
		case 4:
			a.Value.Num = f.Int()
		}
		return nil
	})
	if err != nil {
		return err
	}
	attrs.Set(a.Name, a.Value)
	return nil
}

// Numbers of MailFacts in the stored form of what they are a part of.
const (
	factSPF = 60 + iota
	factDKIM
	factDMARC
	factFile
)

// Append appends the stored form, as fields of the record that f is a part of.
func (f *MailFacts) Append(b []byte) []byte {
	b = record.AppendString(b, factSPF, f.SPF)
	b = record.AppendString(b, factDKIM, f.DKIM)
	b = record.AppendString(b, factDMARC, f.DMARC)
	for _, name := range f.Files {
		b = record.AppendString(b, factFile, name)
	}
	return b
}

// Decode takes a field, if it is one that Append wrote.
func (f *MailFacts) Decode(r record.Field) {
	switch r.Num {
	case factSPF:
		f.SPF = string(r.Bytes)
	case factDKIM:
		f.DKIM = string(r.Bytes)
	case factDMARC:
		f.DMARC = string(r.Bytes)
	case factFile:
		f.Files = append(f.Files, string(r.Bytes))
	}
}
