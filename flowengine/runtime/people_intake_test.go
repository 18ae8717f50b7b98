package runtime

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/storage/memory"
)

func TestIntakeIsStored(t *testing.T) {
	in := &Intake{
		ID: OperationID{0, 1, 2}, Format: "csv", Columns: []string{"phone", "", "Name"}, Comma: ';', Map: map[string]string{"Name": "firstName", "Notes": "-"},
		OnConflict: "reject", DryRun: true, Size: 1 << 40, Begun: time.UnixMilli(1e12).UTC(), Ended: true,
		Count: IntakeCount{Offset: 1 << 39, Line: 1, Rows: 2, Created: 3, Updated: 4, Unchanged: 5, Checked: 6, Bad: 7},
	}
	got, err := decodeIntake(in.ID, in.append(nil))
	if err != nil || !reflect.DeepEqual(got, in) {
		t.Errorf("%v\n%+v\n%+v", err, got, in)
	}
}

// An intake goes on where it is and nowhere else, also after a restart.
func TestIntakeAdvances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{})
		id, err := w.rt.BeginIntake(t.Context(), &Intake{Format: "csv"}, nil)
		w.must(err)
		in, err := w.rt.Intake(id)
		w.must(err)
		next := *in
		next.Count.Offset, next.Count.Line, next.Count.Bad = 100, 7, 2
		w.must(w.rt.AdvanceIntake(t.Context(), 0, &next, []IntakeFault{{3, "phone", "none"}, {5, "", "short"}}))
		if err := w.rt.AdvanceIntake(t.Context(), 0, &next, nil); !errors.Is(err, ErrElsewhere) {
			t.Errorf("a second time: %v", err)
		}
		w.must(w.stop())
		w = start(t, store, Options{})
		in, err = w.rt.Intake(id)
		w.must(err)
		expect(t, "offset", in.Count.Offset, 100)
		page, mark, err := w.rt.IntakeFaults(id, Mark{}, 1)
		w.must(err)
		rest, _, err := w.rt.IntakeFaults(id, mark, 10)
		w.must(err)
		expect(t, "faults", fmt.Sprint(page, rest), "[{3 phone none}] [{5  short}]")
		next.Ended = true
		w.must(w.rt.AdvanceIntake(t.Context(), 100, &next, nil))
		if err := w.rt.AdvanceIntake(t.Context(), 100, &next, nil); !errors.Is(err, ErrElsewhere) {
			t.Errorf("after the end: %v", err)
		}
		store.Expire(time.Now().Add(operationTime))
		if _, err := w.rt.Intake(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("after 30 days: %v", err)
		}
	})
}
