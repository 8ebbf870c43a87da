package consume

import (
	"sync"
	"sync/atomic"
	"time"
)

// hangTime is how long one call of a handler may take until the worker says that it hangs.
const hangTime = 5 * time.Second

// stint watches the time that one segment of a shard spends in the handler, at the cost of two atomic operations an event.
// A handler cannot be interrupted: after limit the segment ends with the event at hand. So the call that still runs hangTime
// later has taken all of it.
type stint struct {
	limit, hang time.Duration
	hangs       func(key string)                     // is told once of a call that does not return
	returned    func(key string, took time.Duration) // and of its end

	spent atomic.Bool
	key   atomic.Pointer[string] // of the event at hand

	mu      sync.Mutex // guards what follows
	timer   *time.Timer
	began   time.Time // of the segment; zero: none is under way
	hanging bool
}

// begin begins a segment.
func (s *stint) begin() {
	s.spent.Store(false)
	if s.limit == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = time.Now()
	if s.timer == nil {
		s.timer = time.AfterFunc(s.limit, s.ring)
	} else {
		s.timer.Reset(s.limit)
	}
}

// end ends it.
func (s *stint) end() {
	if s.limit == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer.Stop()
	if s.hanging {
		s.returned(*s.key.Load(), time.Since(s.began))
	}
	s.began, s.hanging = time.Time{}, false
	s.key.Store(nil)
}

// ring is the timer's. It may come late, in another segment.
func (s *stint) ring() {
	s.mu.Lock()
	defer s.mu.Unlock()
	took := time.Since(s.began)
	switch {
	case s.began.IsZero() || took < s.limit:
	case !s.spent.Load():
		s.spent.Store(true)
		s.timer.Reset(s.hang)
	case took >= s.limit+s.hang && !s.hanging:
		if key := s.key.Load(); key != nil {
			s.hanging = true
			s.hangs(*key)
		}
	}
}
