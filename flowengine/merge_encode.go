package flowengine

import (
	"fmt"

	"trunkline/flowengine/record"
)

// AppendSuccession appends the stored form of s to b.
func AppendSuccession(b []byte, s *Succession) []byte {
	for i := range s.Flows {
		b = record.AppendNested(b, 1, s.Flows[i].append)
	}
	return b
}

func (f *FlowSuccession) append(b []byte) []byte {
	b = record.AppendString(b, 1, f.Flow)
	b = record.AppendUint(b, 2, uint64(f.Offset))
	for _, mark := range f.Visited {
		b = record.AppendFixed32(b, 3, mark)
	}
	b = record.AppendBool(b, 4, f.Contacted)
	for _, mark := range f.Clicked {
		b = record.AppendFixed32(b, 6, mark)
	}
	for _, mark := range f.Reacted {
		b = record.AppendFixed32(b, 7, mark)
	}
	for _, g := range f.Goals {
		b = record.AppendNested(b, 5, func(b []byte) []byte {
			b = record.AppendString(b, 1, g.Goal)
			b = record.AppendString(b, 2, g.Branch)
			b = record.AppendBool(b, 3, g.Converted)
			return record.AppendFixed32(b, 4, g.Mark)
		})
	}
	return b
}

// DecodeSuccession reads what AppendSuccession wrote.
func DecodeSuccession(b []byte) (*Succession, error) {
	s := new(Succession)
	return s, record.Decode(b, "succession", func(f record.Field) error {
		if f.Num != 1 {
			return nil
		}
		s.Flows = append(s.Flows, FlowSuccession{})
		return s.Flows[len(s.Flows)-1].decode(f.Bytes)
	})
}

func (f *FlowSuccession) decode(b []byte) error {
	return record.Decode(b, "succession", func(x record.Field) error {
		switch x.Num {
		case 1:
			f.Flow = string(x.Bytes)
		case 2:
			f.Offset = uint32(x.Uint)
		case 3:
			f.Visited = append(f.Visited, uint32(x.Uint))
		case 6:
			f.Clicked = append(f.Clicked, uint32(x.Uint))
		case 7:
			f.Reacted = append(f.Reacted, uint32(x.Uint))
		case 4:
			f.Contacted = x.Bool()
		case 5:
			var g GoalSuccession
			err := record.Decode(x.Bytes, "succession", func(x record.Field) error {
				switch x.Num {
				case 1:
					g.Goal = string(x.Bytes)
				case 2:
					g.Branch = string(x.Bytes)
				case 3:
					g.Converted = x.Bool()
				case 4:
					g.Mark = uint32(x.Uint)
				}
				return nil
			})
			f.Goals = append(f.Goals, g)
			return err
		}
		return nil
	})
}

func appendAbsorbed(b []byte, num int, all []Absorbed) []byte {
	for i := range all {
		b = record.AppendNested(b, num, func(b []byte) []byte {
			return record.AppendUint(record.AppendBytes(b, 1, all[i].Person[:]), 2, uint64(all[i].Offset))
		})
	}
	return b
}

func decodeAbsorbed(b []byte) (a Absorbed, err error) {
	err = record.Decode(b, "absorbed membership", func(f record.Field) (err error) {
		switch f.Num {
		case 1:
			a.Person, err = decodePersonID(f.Bytes)
		case 2:
			a.Offset = uint32(f.Uint)
		}
		return err
	})
	return a, err
}

func decodePersonID(b []byte) (id PersonID, err error) {
	if len(b) != len(id) {
		return id, fmt.Errorf("%w: a person id of %d bytes", record.ErrDamaged, len(b))
	}
	copy(id[:], b)
	return id, nil
}
