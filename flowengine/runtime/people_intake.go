package runtime

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"trunkline/flowengine/record"
)

// Intake is an import that comes in several pieces, over days if need be: what the
// file looks like, and how far it is. It can be asked for 30 days long after it began.
type Intake struct {
	ID         OperationID
	Format     string // see roster.Format
	Columns    []string
	Comma      rune              // between the cells of CSV
	Map        map[string]string // see roster.NewColumns
	OnConflict string            // see ConflictNamed
	DryRun     bool
	Size       int64 // octets of the whole file; 0: not said
	Begun      time.Time

	Count IntakeCount
	Ended bool
}

// IntakeCount is how far an intake is: where in the file the next row begins, and
// what became of the rows before.
type IntakeCount struct {
	Offset int64 // octets
	Line   int   // from 1

	Rows, Created, Updated, Unchanged int
	Checked                           int // of a dry run: rows without a mistake
	Bad                               int // rows that are wrong
}

// IntakeFault says what is wrong with a row.
type IntakeFault struct {
	Line           int
	Column, Reason string
}

// Add counts what became of rows, and calls wrong for each that was not imported.
func (c *IntakeCount) Add(done []Imported, wrong func(i int, reason string)) {
	for i := range done {
		switch done[i].Status {
		case Created:
			c.Created++
		case Updated:
			c.Updated++
		case Unchanged:
			c.Unchanged++
		default:
			c.Bad++
			wrong(i, done[i].Err.Error())
		}
	}
}

// MaxFaults is of how many faults of an intake it is kept what is wrong.
const MaxFaults = 100_000

// ErrElsewhere is that an intake goes on at another place than was said.
var ErrElsewhere = errors.New("the import does not go on there")

// BeginIntake keeps a new intake; with once, a repeated request gets the id of the first.
func (rt *Runtime) BeginIntake(ctx context.Context, in *Intake, once *Once) (id OperationID, err error) {
	if id, err = rt.newOperationID(once); err != nil {
		return id, err
	}
	err = rt.do(ctx, rt.owner(id.shard()), "intake", func(tx *txn) error {
		if known, err := tx.answer(once); err != nil || known != nil {
			copy(id[:], known)
			return err
		}
		in.Begun, in.Count.Line = tx.now, 1
		tx.put(intakeKey(id), in.append(nil), in.expires())
		tx.remember(once, id[:])
		return nil
	})
	return id, err
}

// Intake reads how far an intake is, as it is durable.
func (rt *Runtime) Intake(id OperationID) (*Intake, error) {
	value, err := rt.store.Get(intakeKey(id), nil)
	if isNotFound(err) {
		return nil, noIntake(id)
	}
	if err != nil {
		return nil, err
	}
	return decodeIntake(id, value)
}

func noIntake(id OperationID) error { return fmt.Errorf("%w: there is no import %s", ErrNotFound, id) }

// AdvanceIntake notes what became of the rows from one place on: next is the intake
// after them. It returns ErrElsewhere when the intake is not at that place, because
// somebody else went on with it.
func (rt *Runtime) AdvanceIntake(ctx context.Context, from int64, next *Intake, faults []IntakeFault) error {
	return rt.do(ctx, rt.owner(next.ID.shard()), "intake", func(tx *txn) error {
		value, err := tx.get(intakeKey(next.ID))
		if isNotFound(err) {
			return noIntake(next.ID)
		}
		if err != nil {
			return err
		}
		in, err := decodeIntake(next.ID, value)
		if err != nil {
			return err
		}
		if err := in.GoesOnAt(from); err != nil {
			return err
		}
		for i := range faults {
			if in.Count.Bad+i >= MaxFaults {
				break
			}
			tx.put(intakeFaultKey(next.ID, faults[i].Line, i), faults[i].append(nil), in.expires())
		}
		tx.put(intakeKey(next.ID), next.append(nil), in.expires())
		return nil
	})
}

// IntakeFaults reads what is wrong with rows, in the order of the file, beginning
// after a mark; the zero mark means from the start. next goes on there; it is zero
// at the end.
func (rt *Runtime) IntakeFaults(id OperationID, after Mark, limit int) (page []IntakeFault, next Mark, err error) {
	next, err = readPage(rt.store, intakeFaults(id), after, limit, func(_ time.Time, value []byte) error {
		f, err := decodeIntakeFault(value)
		page = append(page, f)
		return err
	})
	return page, next, err
}

// GoesOnAt returns ErrElsewhere unless the next row begins at that octet.
func (in *Intake) GoesOnAt(offset int64) error {
	switch {
	case in.Ended:
		return fmt.Errorf("%w: it has come to its end", ErrElsewhere)
	case in.Count.Offset != offset:
		return fmt.Errorf("%w: octet %d is the next one", ErrElsewhere, in.Count.Offset)
	}
	return nil
}

func (in *Intake) expires() time.Time { return in.Begun.Add(operationTime) }

func intakeKey(id OperationID) []byte    { return operationPart(kindIntake, id) }
func intakeFaults(id OperationID) []byte { return append(operationPart(kindIntake, id), 'f') }

func intakeFaultKey(id OperationID, line, i int) []byte {
	b := binary.BigEndian.AppendUint64(intakeFaults(id), uint64(line))
	return binary.BigEndian.AppendUint32(b, uint32(i))
}

// append gives the stored form. The numbers are stored.
func (in *Intake) append(b []byte) []byte {
	b = record.AppendString(b, 1, in.Format)
	for _, c := range in.Columns {
		b = record.AppendBytes(b, 2, []byte(c))
	}
	b = record.AppendUint(b, 3, uint64(in.Comma))
	for _, name := range slices.Sorted(maps.Keys(in.Map)) {
		b = record.AppendNested(b, 4, func(b []byte) []byte {
			return record.AppendString(record.AppendString(b, 1, name), 2, in.Map[name])
		})
	}
	b = record.AppendString(b, 5, in.OnConflict)
	b = record.AppendBool(b, 6, in.DryRun)
	b = record.AppendUint(b, 7, uint64(in.Size))
	b = record.AppendTime(b, 8, in.Begun)
	b = record.AppendBool(b, 9, in.Ended)
	for i, n := range in.Count.numbers() {
		b = record.AppendUint(b, 10+i, uint64(*n))
	}
	return record.AppendUint(b, 20, uint64(in.Count.Offset))
}

func (c *IntakeCount) numbers() []*int {
	return []*int{&c.Line, &c.Rows, &c.Created, &c.Updated, &c.Unchanged, &c.Checked, &c.Bad}
}

func decodeIntake(id OperationID, b []byte) (*Intake, error) {
	in := &Intake{ID: id}
	numbers := in.Count.numbers()
	return in, record.Decode(b, "import", func(f record.Field) error {
		switch f.Num {
		case 1:
			in.Format = string(f.Bytes)
		case 2:
			in.Columns = append(in.Columns, string(f.Bytes))
		case 3:
			in.Comma = rune(f.Uint)
		case 4:
			return in.decodeMap(f.Bytes)
		case 5:
			in.OnConflict = string(f.Bytes)
		case 6:
			in.DryRun = f.Bool()
		case 7:
			in.Size = int64(f.Uint)
		case 8:
			in.Begun = f.Time()
		case 9:
			in.Ended = f.Bool()
		case 20:
			in.Count.Offset = int64(f.Uint)
		default:
			if i := f.Num - 10; i >= 0 && i < len(numbers) {
				*numbers[i] = int(f.Uint)
			}
		}
		return nil
	})
}

func (in *Intake) decodeMap(b []byte) error {
	var name, means string
	err := record.Decode(b, "column of an import", func(f record.Field) error {
		switch f.Num {
		case 1:
			name = string(f.Bytes)
		case 2:
			means = string(f.Bytes)
		}
		return nil
	})
	if in.Map == nil {
		in.Map = map[string]string{}
	}
	in.Map[name] = means
	return err
}

func (f *IntakeFault) append(b []byte) []byte {
	b = record.AppendUint(b, 1, uint64(f.Line))
	return record.AppendString(record.AppendString(b, 2, f.Column), 3, f.Reason)
}

func decodeIntakeFault(b []byte) (x IntakeFault, err error) {
	return x, record.Decode(b, "fault of an import", func(f record.Field) error {
		switch f.Num {
		case 1:
			x.Line = int(f.Uint)
		case 2:
			x.Column = string(f.Bytes)
		case 3:
			x.Reason = string(f.Bytes)
		}
		return nil
	})
}
