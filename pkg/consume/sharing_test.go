package consume

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

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

// A shard takes what its own feed has delivered already from its seat too, and what lies behind it at once: nothing rouses the shard
// again once its seat has ended.
func TestMessagesAfterCopiesInASeatAreTaken(t *testing.T) {
	plan := newSharing(10, 1<<20)
	st := plan.ask("subject", mark{seq: 1})
	for seq := uint64(2); seq <= 4; seq++ {
		st.queue.push(batchAt(seq, one(seq, "a")))
	}
	plan.end(st, errFull)
	o := &owner{shared: &shared{}, feed: new(feed), round: testRound(), last: mark{seq: 3}}
	o.seat = &taker{of: &sharedFeed{plan: plan}, seat: st}
	require.Nil(t, o.takeShared())
	require.Len(t, o.round.msgs, 1)
	require.Equal(t, uint64(4), o.round.msgs[0].seq)
}
