package smpp

// queue is a double-ended queue of jobs in a ring that grows.
type queue struct {
	ring  []*job
	start int
	n     int
}

func (q *queue) len() int { return q.n }

func (q *queue) at(i int) **job { return &q.ring[(q.start+i)%len(q.ring)] }

func (q *queue) first() *job { return *q.at(0) }

func (q *queue) grow() {
	if q.n < len(q.ring) {
		return
	}
	ring := make([]*job, max(16, 2*len(q.ring)))
	for i := range q.n {
		ring[i] = *q.at(i)
	}
	q.ring, q.start = ring, 0
}

func (q *queue) push(j *job) {
	q.grow()
	q.n++
	*q.at(q.n - 1) = j
}

func (q *queue) pushFront(j *job) {
	q.grow()
	q.start = (q.start + len(q.ring) - 1) % len(q.ring)
	q.n++
	*q.at(0) = j
}

func (q *queue) pop() {
	*q.at(0) = nil
	q.start = (q.start + 1) % len(q.ring)
	q.n--
}

// remove takes out the jobs that match and keeps the order of the others.
func (q *queue) remove(match func(*job) bool) (removed []*job) {
	kept := 0
	for i := range q.n {
		j := *q.at(i)
		if match(j) {
			removed = append(removed, j)
			continue
		}
		*q.at(kept) = j
		kept++
	}
	for i := kept; i < q.n; i++ {
		*q.at(i) = nil
	}
	q.n = kept
	return removed
}

func (q *queue) takeAll() []*job { return q.remove(func(*job) bool { return true }) }
