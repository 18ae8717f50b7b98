package webhook

import "container/list"

// schedule decides which request goes next. Hosts that have a request ready and
// a place free take turns, one request each, so that one with many, or a slow
// one, does not hold up the others. It has no lock and no clock of its own.
type schedule struct {
	limits
	hosts   map[string]*host // those with a request held
	turns   list.List        // of *host: ready and with a place free, each once
	held    int              // requests accepted and not answered
	running int
}

// limits bound a schedule.
type limits struct{ total, perHost, queue, queuePerHost int }

// host is one server. The name is that of the request's URL; redirects don't
// change it.
type host struct {
	name    string
	ready   list.List // of *job
	turn    *list.Element
	held    int
	running int
}

func newSchedule(l limits) *schedule { return &schedule{limits: l, hosts: make(map[string]*host)} }

// admit takes a job for a host, or says that there is no room.
func (s *schedule) admit(j *job, name string) bool {
	h := s.hosts[name]
	if s.held >= s.total+s.queue || h != nil && h.held >= s.perHost+s.queuePerHost {
		return false
	}
	if h == nil {
		h = &host{name: name}
		s.hosts[name] = h
	}
	j.host = h
	h.held++
	s.held++
	s.enqueue(j)
	return true
}

// enqueue puts an admitted job at the end of its host's queue.
func (s *schedule) enqueue(j *job) {
	j.place = j.host.ready.PushBack(j)
	s.offer(j.host)
}

// offer gives a host a turn if it can use one.
func (s *schedule) offer(h *host) {
	if h.turn == nil && h.ready.Len() > 0 && h.running < s.perHost {
		h.turn = s.turns.PushBack(h)
	}
}

// next takes the job whose turn it is, or nil.
func (s *schedule) next() *job {
	if s.running >= s.total || s.turns.Len() == 0 {
		return nil
	}
	h := s.turns.Remove(s.turns.Front()).(*host)
	h.turn = nil
	j := h.ready.Remove(h.ready.Front()).(*job)
	j.place = nil
	h.running++
	s.running++
	s.offer(h)
	return j
}

// release gives back the place of a job that ran.
func (s *schedule) release(j *job) {
	j.host.running--
	s.running--
	s.offer(j.host)
}

// leave forgets a job that is answered; one that runs was released before.
func (s *schedule) leave(j *job) {
	h := j.host
	if j.place != nil {
		h.ready.Remove(j.place)
		j.place = nil
		if h.turn != nil && h.ready.Len() == 0 {
			s.turns.Remove(h.turn)
			h.turn = nil
		}
	}
	s.held--
	if h.held--; h.held == 0 {
		delete(s.hosts, h.name)
	}
}

// limit changes the limits. What is held stays.
func (s *schedule) limit(l limits) {
	s.limits = l
	for e := s.turns.Front(); e != nil; {
		h, following := e.Value.(*host), e.Next()
		if h.running >= s.perHost {
			s.turns.Remove(e)
			h.turn = nil
		}
		e = following
	}
	for _, h := range s.hosts {
		s.offer(h)
	}
}
