package webhook

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestHostsTakeTurns(t *testing.T) {
	s := newSchedule(limits{total: 10, perHost: 2, queue: 100, queuePerHost: 100})
	for _, name := range []string{"a", "a", "a", "a", "b", "b", "b", "c"} {
		s.admit(&job{}, name)
	}
	var order []string
	for j := s.next(); j != nil; j = s.next() {
		order = append(order, j.host.name)
	}
	if want := []string{"a", "b", "c", "a", "b"}; !slices.Equal(order, want) { // two of a and b wait for a place
		t.Errorf("%v, want %v", order, want)
	}
}

// Whatever happens, limits hold, nothing is lost, and no place stays free while
// a request could take it.
func TestScheduleInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func() limits {
			n := func(name string) int { return rapid.IntRange(1, 4).Draw(t, name) }
			return limits{total: n("total"), perHost: n("perHost"), queue: n("queue"), queuePerHost: n("queuePerHost")}
		}
		s := newSchedule(draw())
		var ready, running, pausing []*job
		take := func(from *[]*job) *job {
			if len(*from) == 0 {
				return nil
			}
			i := rapid.IntRange(0, len(*from)-1).Draw(t, "which")
			j := (*from)[i]
			*from = slices.Delete(*from, i, i+1)
			return j
		}
		start := func() {
			for j := s.next(); j != nil; j = s.next() {
				i := slices.Index(ready, j)
				if i < 0 {
					t.Fatal("a job starts that was not ready")
				}
				for _, before := range ready[:i] {
					if before.host == j.host {
						t.Fatal("a job overtakes one of its host")
					}
				}
				ready = slices.Delete(ready, i, i+1)
				running = append(running, j)
				if s.running > s.total || j.host.running > s.perHost {
					t.Fatalf("%d run, %d of one host, within %+v", s.running, j.host.running, s.limits)
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"admit": func(t *rapid.T) {
				j := &job{}
				if s.admit(j, fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "host"))) {
					ready = append(ready, j)
				}
				if s.held > s.total+s.queue && len(ready) > 0 && ready[len(ready)-1] == j {
					t.Fatal("the queue overflows")
				}
			},
			"answer": func(*rapid.T) {
				if j := take(&running); j != nil {
					s.release(j)
					s.leave(j)
				}
			},
			"pause": func(*rapid.T) {
				if j := take(&running); j != nil {
					s.release(j)
					pausing = append(pausing, j)
				}
			},
			"resume": func(*rapid.T) {
				if j := take(&pausing); j != nil {
					s.enqueue(j)
					ready = append(ready, j)
				}
			},
			"abandon": func(*rapid.T) {
				if j := take(&ready); j != nil {
					s.leave(j)
				}
				if j := take(&pausing); j != nil {
					s.leave(j)
				}
			},
			"limit": func(*rapid.T) { s.limit(draw()) },
			"":      func(*rapid.T) { start() },
		})
		if s.held != len(ready)+len(running)+len(pausing) || s.running != len(running) {
			t.Fatalf("held %d, running %d", s.held, s.running)
		}
		for _, j := range ready {
			if s.running < s.total && j.host.running < s.perHost {
				t.Fatal("a job waits although there is a place")
			}
		}
		for _, list := range [][]*job{running, pausing, ready} {
			for _, j := range list {
				if slices.Contains(running, j) {
					s.release(j)
				}
				s.leave(j)
			}
		}
		if len(s.hosts) != 0 || s.turns.Len() != 0 || s.held != 0 || s.running != 0 {
			t.Fatalf("left over: %+v", s)
		}
	})
}
