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

// seated makes two shards share a feed that begins at message 1. "a" has taken message 3, and "b" message 1; nothing is delivered.
func seated(t *testing.T) (s *sharing, a, b *seat, sp *span) {
	s = newSharing(3, 30)
	a, b = s.ask("a", mark{3, time.Unix(3, 0)}), s.ask("b", mark{1, time.Unix(1, 0)})
	sp = s.plan()
	require.Equal(t, uint64(1), sp.from.seq, "the feed begins where the shard is that is back furthest")
	return s, a, b, sp
}

// delivers gives a feed some messages of a shard.
func delivers(t *testing.T, s *sharing, sp *span, subject string, seqs ...int) {
	t.Helper()
	for _, seq := range seqs {
		require.NoError(t, s.take(sp, subject, mess(seq), 0))
	}
}

func queued(st *seat) (seqs []uint64) {
	for {
		m, ok := st.queue.pop()
		if !ok {
			return seqs
		}
		seqs = append(seqs, m.seq)
	}
}

func TestSharedFeedBeginsWithTheMessageThatItIsOpenedAt(t *testing.T) {
	t.Parallel()
	for what, first := range map[string]message{"later": mess(2), "of another time": {seq: 1, time: time.Unix(9, 0)}} {
		s, a, _, sp := seated(t)
		err := s.take(sp, "b", first, 0)
		require.ErrorIs(t, err, errMoved, what)
		s.broke(sp, err)
		require.False(t, a.sits)
		require.NoError(t, a.ended, "the shard goes on asking")
		require.NotNil(t, s.plan())
	}
}

func TestShardOfASharedFeedSeesItsNewestMessageAgain(t *testing.T) {
	t.Parallel()
	s, a, b, sp := seated(t)
	delivers(t, s, sp, "b", 1)
	delivers(t, s, sp, "a", 2)
	require.True(t, a.sits && !a.proven && b.proven)
	delivers(t, s, sp, "a", 3)
	require.True(t, a.proven)
	delivers(t, s, sp, "a", 5)
	require.Equal(t, []uint64{5}, queued(a))

	s, a, b, sp = seated(t)
	delivers(t, s, sp, "b", 1)
	require.NoError(t, s.take(sp, "a", message{seq: 3, time: time.Unix(8, 0)}, 0))
	require.ErrorIs(t, a.ended, errMoved)
	require.NoError(t, b.ended)

	s, a, _, sp = seated(t)
	delivers(t, s, sp, "b", 1)
	delivers(t, s, sp, "a", 4)
	require.ErrorIs(t, a.ended, errMoved)
	require.Empty(t, queued(a))
}

func TestSharedFeedThatChangesDisturbsNoShard(t *testing.T) {
	t.Parallel()
	s, a, b, sp := seated(t)
	delivers(t, s, sp, "b", 1)
	delivers(t, s, sp, "a", 3)
	c := s.ask("c", mark{4, time.Unix(4, 0)})
	delivers(t, s, sp, "b", 7)
	next := s.plan()
	require.Equal(t, uint64(4), next.from.seq)
	require.Nil(t, s.plan(), "one is being opened")
	delivers(t, s, sp, "a", 8)
	delivers(t, s, next, "c", 4)
	delivers(t, s, sp, "b", 9) // late: it comes again
	delivers(t, s, next, "c", 6)
	delivers(t, s, next, "b", 7)
	delivers(t, s, next, "a", 8)
	delivers(t, s, next, "b", 9)
	require.Equal(t, []uint64{8}, queued(a))
	require.Equal(t, []uint64{7, 9}, queued(b))
	require.Equal(t, []uint64{6}, queued(c))
	require.Nil(t, s.plan())

	s.leave(c)
	last := s.plan()
	require.Equal(t, uint64(9), last.from.seq, "it begins with a message of a shard that is left")
	s.broke(last, errInterrupted)
	delivers(t, s, next, "b", 10)
	require.Equal(t, []uint64{10}, queued(b))
	s.broke(next, errInterrupted)
	require.ErrorIs(t, a.ended, errInterrupted)
	require.ErrorIs(t, b.ended, errInterrupted)
	require.Nil(t, s.now)
	require.Nil(t, s.plan())
}

func TestSlowShardLosesItsSeatAlone(t *testing.T) {
	t.Parallel()
	for what, size := range map[string]int{"messages": 1, "bytes": 11, "one large": 31} {
		s, a, b, sp := seated(t)
		delivers(t, s, sp, "b", 1)
		delivers(t, s, sp, "a", 3)
		fits := min(3, max(30/size, 1))
		for seq := 4; seq < 4+fits; seq++ {
			require.NoError(t, s.take(sp, "a", message{seq: uint64(seq), data: make([]byte, size)}, 0))
			require.NoError(t, a.ended, what)
		}
		require.NoError(t, s.take(sp, "a", message{seq: 9, data: make([]byte, size)}, 0))
		require.ErrorIs(t, a.ended, errFull, what)
		require.Len(t, queued(a), fits)
		delivers(t, s, sp, "b", 10)
		require.Equal(t, []uint64{10}, queued(b))
		require.Equal(t, map[string]bool{"b": true}, s.plan().subjects)
	}
}

// A shard whose newest message is old waits for its next one: else all the messages from there on would be delivered again.
func TestShardThatIsFarBackWaitsForASeat(t *testing.T) {
	t.Parallel()
	s := newSharing(3, 30)
	a := s.ask("a", mark{1, time.Unix(1, 0)})
	s.ask("b", mark{maxCatchUp + 2, time.Unix(2, 0)})
	require.Nil(t, s.plan())
	s.refresh(a, mark{maxCatchUp + 9, time.Unix(9, 0)})
	require.Equal(t, uint64(maxCatchUp+2), s.plan().from.seq)
}

// A store that goes back in time takes its shard back with it, while a feed is opened for the place where it was.
func TestShardThatWentBackWaitsForAnotherFeed(t *testing.T) {
	t.Parallel()
	s := newSharing(3, 30)
	a := s.ask("a", mark{6, time.Unix(6, 0)})
	b := s.ask("b", mark{5, time.Unix(5, 0)})
	sp := s.plan()
	s.leave(a)
	a = s.ask("a", mark{2, time.Unix(2, 0)})
	delivers(t, s, sp, "b", 5)
	require.True(t, b.sits)
	require.False(t, a.sits, "it lacks messages")
	delivers(t, s, sp, "a", 6)
	require.Empty(t, queued(a))
	require.Equal(t, uint64(2), s.plan().from.seq)
}

func TestQueue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		in, out := 0, 0
		t.Repeat(map[string]func(*rapid.T){
			"push": func(*rapid.T) { in++; q.push(mess(in)) },
			"pop": func(t *rapid.T) {
				m, ok := q.pop()
				require.Equal(t, in > out, ok)
				if ok {
					out++
					require.Equal(t, uint64(out), m.seq)
				}
			},
			"": func(t *rapid.T) {
				require.Equal(t, in-out, q.len())
				require.Equal(t, 10*(in-out), q.bytes)
			},
		})
	})
}

func TestTip(t *testing.T) {
	t.Parallel()
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	tip := tip{patience: time.Second}
	require.False(t, tip.steady(0, at(10)))
	require.True(t, tip.steady(tipLag, at(11)))
	require.False(t, tip.steady(tipLag+1, at(12)))
	require.False(t, tip.steady(0, at(12)))
	require.True(t, tip.steady(0, at(13)))
	tip.fell(at(13), time.Second)
	require.False(t, tip.steady(0, at(14)))
	require.False(t, tip.steady(0, at(15)))
	require.True(t, tip.steady(0, at(16)), "it waits for longer")
	tip.fell(at(200), time.Second)
	tip.steady(0, at(201))
	require.True(t, tip.steady(0, at(203)), "it kept up for long")
}
