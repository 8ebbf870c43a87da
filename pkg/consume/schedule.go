package consume

import (
	"container/heap"
	"time"
)

// schedule says which keys are due next. It has no clock.
type schedule struct {
	queue dueQueue
	at    map[string]*dueKey
}

// dueKey is a key and when it is due.
type dueKey struct {
	key   string
	due   time.Time
	index int // in the queue
}

// set makes a key due at a time, in place of any time before.
func (s *schedule) set(key string, due time.Time) {
	if s.at == nil {
		s.at = make(map[string]*dueKey)
	}
	if k := s.at[key]; k != nil {
		k.due = due
		heap.Fix(&s.queue, k.index)
		return
	}
	k := &dueKey{key: key, due: due}
	s.at[key] = k
	heap.Push(&s.queue, k)
}

// remove makes a key never due.
func (s *schedule) remove(key string) {
	if k := s.at[key]; k != nil {
		heap.Remove(&s.queue, k.index)
		delete(s.at, key)
	}
}

// next returns the key that is due first, and when; false: none is ever due.
func (s *schedule) next() (key string, due time.Time, ok bool) {
	if len(s.queue) == 0 {
		return "", time.Time{}, false
	}
	return s.queue[0].key, s.queue[0].due, true
}

// dueQueue is a heap: the key that is due first is at its top.
type dueQueue []*dueKey

func (q dueQueue) Len() int           { return len(q) }
func (q dueQueue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }

func (q dueQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push is heap.Interface's.
func (q *dueQueue) Push(x any) {
	k := x.(*dueKey)
	k.index = len(*q)
	*q = append(*q, k)
}

// Pop is heap.Interface's.
func (q *dueQueue) Pop() any {
	last := len(*q) - 1
	k := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return k
}
