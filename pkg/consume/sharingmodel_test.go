package consume

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// sharingModel is a log, shards that follow it by feeds of their own and by a shared one, and consumers that deliver when they
// like to.
type sharingModel struct {
	t       *rapid.T
	plan    *sharing
	log     []message
	of      []string // the subjects of log
	shards  []*sharer
	feeds   []*consumer
	retired int // feeds that delivered after another had taken their place
	shared  int // messages that shards took from the shared feed alone
}

// sharer is a shard.
type sharer struct {
	subject string
	own     int // what its own feed delivers next, as an index of the log; -1: it has none
	seat    *seat
	last    mark
	taken   []uint64
}

// consumer delivers the messages of a span.
type consumer struct {
	span *span
	at   int
}

func mess(seq int) message {
	return message{seq: uint64(seq), time: time.Unix(int64(seq), 0), data: make([]byte, 10)}
}

func newSharingModel(t *rapid.T) *sharingModel {
	m := &sharingModel{t: t, plan: newSharing(3, 1000)}
	for n := range rapid.IntRange(1, 4).Draw(t, "shards") {
		m.shards = append(m.shards, &sharer{subject: fmt.Sprint(n)})
	}
	return m
}

func (m *sharingModel) any() *sharer { return rapid.SampledFrom(m.shards).Draw(m.t, "shard") }

func (m *sharingModel) store() {
	m.of = append(m.of, m.any().subject)
	m.log = append(m.log, mess(len(m.of)))
}

// take is what owner.add does.
func (m *sharingModel) take(s *sharer, msg message) {
	if msg.seq <= s.last.seq {
		return
	}
	for i := int(s.last.seq); i < int(msg.seq)-1; i++ {
		if m.of[i] == s.subject {
			m.t.Fatalf("shard %s takes %d, and has not taken %d", s.subject, msg.seq, i+1)
		}
	}
	s.last, s.taken = mark{msg.seq, msg.time}, append(s.taken, msg.seq)
	if s.own < 0 {
		m.shared++
	}
}

func (m *sharingModel) deliverOwn(s *sharer) bool {
	for s.own >= 0 && s.own < len(m.log) {
		s.own++
		if m.of[s.own-1] == s.subject {
			m.take(s, m.log[s.own-1])
			return true
		}
	}
	return false
}

// reopen gives a shard a feed of its own.
func (m *sharingModel) reopen(s *sharer) {
	if s.seat != nil {
		m.plan.leave(s.seat)
	}
	s.own, s.seat = int(s.last.seq), nil
}

func (m *sharingModel) ask(s *sharer) {
	switch {
	case s.own < 0 || s.last.seq == 0:
	case s.seat == nil:
		s.seat = m.plan.ask(s.subject, s.last)
	default:
		m.plan.refresh(s.seat, s.last)
	}
}

// takeShared is what the owner's does.
func (m *sharingModel) takeShared(s *sharer) bool {
	if s.seat == nil {
		return false
	}
	if ended := s.seat.ended; ended != nil && !errors.Is(ended, errFull) {
		m.reopen(s)
		return true
	}
	if s.seat.sits && s.seat.proven {
		s.own = -1
	}
	msg, ok := s.seat.queue.pop()
	switch {
	case ok:
		m.take(s, msg)
		return true
	case s.seat.ended != nil && s.own < 0:
		m.reopen(s)
	case s.seat.ended != nil:
		s.seat = nil
	}
	return false
}

func (m *sharingModel) open() {
	if sp := m.plan.plan(); sp != nil {
		m.feeds = append(m.feeds, &consumer{span: sp, at: int(sp.from.seq) - 1})
	}
}

func (m *sharingModel) deliver(c *consumer) bool {
	for c.at < len(m.log) {
		c.at++
		if subject := m.of[c.at-1]; c.span.subjects[subject] {
			if c.span != m.plan.now && c.span != m.plan.next {
				m.retired++
			}
			if err := m.plan.take(c.span, subject, m.log[c.at-1], 0); err != nil {
				m.t.Fatalf("the log has not changed: %v", err)
			}
			return true
		}
	}
	return false
}

// However shards join, lag, leave and lose their feed, each takes all its messages, each once and in order, and in the end all
// share one feed.
func TestSharedFeedSkipsNothing(t *testing.T) {
	t.Parallel()
	var shared, retired int
	rapid.Check(t, func(t *rapid.T) {
		m := newSharingModel(t)
		t.Repeat(map[string]func(*rapid.T){
			"store":  func(*rapid.T) { m.store() },
			"own":    func(*rapid.T) { m.deliverOwn(m.any()) },
			"ask":    func(*rapid.T) { m.ask(m.any()) },
			"shared": func(*rapid.T) { m.takeShared(m.any()) },
			"reopen": func(t *rapid.T) {
				if rapid.IntRange(0, 3).Draw(t, "really") == 0 {
					m.reopen(m.any())
				}
			},
			"open": func(*rapid.T) { m.open() },
			"deliver": func(t *rapid.T) {
				if len(m.feeds) > 0 {
					m.deliver(rapid.SampledFrom(m.feeds).Draw(t, "feed"))
				}
			},
			"break": func(t *rapid.T) {
				if len(m.feeds) > 0 && rapid.IntRange(0, 5).Draw(t, "really") == 0 {
					c := rapid.SampledFrom(m.feeds).Draw(t, "feed")
					m.plan.broke(c.span, errInterrupted)
					c.at = len(m.log)
				}
			},
			"": func(t *rapid.T) {
				for _, s := range m.shards {
					require.True(t, s.own >= 0 || s.seat != nil, "shard %s has no feed", s.subject)
					if s.seat != nil {
						require.LessOrEqual(t, s.seat.queue.len(), 3)
					}
				}
			},
		})
		m.settle()
		shared, retired = shared+m.shared, retired+m.retired
	})
	require.Positive(t, shared, "no shard shared a feed")
	require.Positive(t, retired, "no feed was followed by another under its way")
}

// settle lets everything come to rest.
func (m *sharingModel) settle() {
	for n := range 40 {
		if n < 20 {
			for _, s := range m.shards {
				m.of = append(m.of, s.subject)
				m.log = append(m.log, mess(len(m.of)))
			}
		}
		m.open()
		for busy := true; busy; {
			busy = false
			for _, c := range m.feeds {
				busy = m.deliver(c) || busy
			}
			for _, s := range m.shards {
				busy = m.deliverOwn(s) || busy
				for m.takeShared(s) {
					busy = true
				}
				m.ask(s)
			}
		}
	}
	for _, s := range m.shards {
		n := 0
		for i, subject := range m.of {
			if subject == s.subject {
				require.Equal(m.t, uint64(i+1), s.taken[n])
				n++
			}
		}
		require.Len(m.t, s.taken, n)
		if len(m.shards) >= minSharing {
			require.Negative(m.t, s.own, "shard %s does not share the feed", s.subject)
		}
	}
}
