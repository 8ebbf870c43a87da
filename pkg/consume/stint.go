package consume

import (
	"sync"
	"sync/atomic"
	"time"
)

// hangTime is how long one call of a handler may take until the worker says that it hangs.
const hangTime = 5 * time.Second

// stint watches the time that a shard spends in the handler, at the cost of two atomic operations an event. A commit covers
// at most limit of it, and the event at hand: a handler cannot be interrupted. So a call that still runs hang after the
// limit has taken that long by itself.
type stint struct {
	limit, hang time.Duration
	hangs       func(key string)                     // is told once of a call that does not return
	returned    func(key string, took time.Duration) // and of its end

	spent atomic.Bool            // nothing more is to be begun
	key   atomic.Pointer[string] // of the event at hand

	mu      sync.Mutex // guards what follows
	timer   *time.Timer
	used    time.Duration // by earlier passes whose outcomes are not all committed
	began   time.Time     // of the pass; zero: none is under way
	rang    time.Time     // when the limit was reached in it; zero: not yet
	hanging bool
}

// begin begins a pass.
func (s *stint) begin() {
	if s.limit == 0 {
		s.spent.Store(false)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began, s.rang = time.Now(), time.Time{}
	wait := s.limit - s.used
	if wait <= 0 {
		s.rang, wait = s.began, s.hang
	}
	s.spent.Store(!s.rang.IsZero())
	if s.timer == nil {
		s.timer = time.AfterFunc(wait, s.ring)
	} else {
		s.timer.Reset(wait)
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
	took := time.Since(s.began)
	if s.hanging {
		s.returned(*s.key.Load(), took)
	}
	s.used += took
	s.began, s.hanging = time.Time{}, false
	s.key.Store(nil)
}

// settle says that all that was applied is committed.
func (s *stint) settle() {
	if s.limit == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = 0
}

// ring is the timer's. It may come late, in another pass.
func (s *stint) ring() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch now := time.Now(); {
	case s.began.IsZero() || s.rang.IsZero() && s.used+now.Sub(s.began) < s.limit:
	case s.rang.IsZero():
		s.rang = now
		s.spent.Store(true)
		s.timer.Reset(s.hang)
	case now.Sub(s.rang) >= s.hang && !s.hanging:
		if key := s.key.Load(); key != nil {
			s.hanging = true
			s.hangs(*key)
		}
	}
}
