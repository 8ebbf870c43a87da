package dedup

import (
	"encoding/binary"
	"maps"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var (
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	pub   = frame.PublisherID{1}
)

func session(generation uint64, birth time.Time) frame.Session {
	return frame.Session{Publisher: pub, Generation: generation, Birth: birth.UnixMilli()}
}

// Whatever copies of whatever frames come, each seq is admitted at most once, and always the first time unless it lies
// below a floor that was seen; also when the record is rolled back, or
// stored and restored, at any time.
func TestRecordAgainstASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r Record
		applied, floor := map[uint64]bool{}, uint64(1)
		var fresh []uint64 // applied since the last Clean, when the floor was clean
		clean := floor
		for range rapid.IntRange(1, 60).Draw(t, "frames") {
			f := uint64(max(1, int(floor)+rapid.IntRange(-200, 300).Draw(t, "floor")))
			p, v := r.Part(session(1, start), f, start)
			require.Equal(t, Open, v)
			floor = max(floor, f)
			for range rapid.IntRange(1, 5).Draw(t, "events") {
				seq := f + uint64(rapid.IntRange(0, 400).Draw(t, "seq"))
				want := seq >= floor && !applied[seq]
				require.Equal(t, want, p.Admit(seq), "seq %d floor %d", seq, floor)
				if want {
					fresh = append(fresh, seq)
					applied[seq] = true
				}
			}
			switch rapid.IntRange(0, 5).Draw(t, "end") {
			case 0, 1:
				r.Clean()
				fresh, clean = nil, floor
			case 2:
				r.Rollback()
				for _, seq := range fresh {
					delete(applied, seq)
				}
				fresh, floor = nil, clean
			case 3:
				all := Record{}
				for id, p := range r.publishers {
					require.NoError(t, all.Restore(id, p.append(nil)))
				}
				r = all
				fresh, clean = nil, floor
			}
		}
	})
}

func TestGenerations(t *testing.T) {
	var r Record
	p, _ := r.Part(session(1, start), 1, start)
	require.True(t, p.Admit(1))
	require.True(t, p.Admit(3)) // 2 was given up, its copy is on its way
	p, v := r.Part(session(2, start), 4, start)
	require.Equal(t, Open, v)
	require.True(t, p.Admit(4))
	_, v = r.Part(session(1, start), 1, start)
	require.Equal(t, Closed, v, "the late copy of an older generation")
	require.False(t, p.Admit(3))
}

func TestForgettingUsesTheLogsTime(t *testing.T) {
	var r Record
	p, _ := r.Part(session(1, start), 1, start)
	require.True(t, p.Admit(1))
	r.Clean()

	at := start.Add(Retention)
	_, v := r.Part(session(1, start), 1, at)
	require.Equal(t, Open, v, "still remembered")
	require.False(t, p.Admit(1))

	at = at.Add(Retention + time.Second)
	_, v = r.Part(session(1, start), 1, at)
	require.Equal(t, Late, v)
	require.Zero(t, r.Len())
	forgotten := 0
	r.Changes(func(id frame.PublisherID, b []byte) {
		require.Equal(t, pub, id)
		require.Nil(t, b)
		forgotten++
	})
	require.Equal(t, 1, forgotten)

	_, v = r.Part(session(9, at.Add(-12*time.Hour)), 1, at)
	require.Equal(t, Open, v, "a session that a router would still take is never late")
}

// After a long silence very many are to be forgotten. A commit holds the store for some of them only, and what is decided
// about the others is as if they were forgotten.
func TestManyAreForgottenBitByBit(t *testing.T) {
	const many = 3*maxForgotten + 7
	of := func(n int) frame.Session {
		return frame.Session{Publisher: frame.PublisherID{1, byte(n >> 8), byte(n)}, Generation: 1, Birth: start.UnixMilli()}
	}
	var r Record
	for n := range many {
		p, _ := r.Part(of(n), 1, start)
		require.True(t, p.Admit(1))
	}
	r.Clean()
	at := start.Add(Retention + time.Second)
	young := frame.Session{Publisher: frame.PublisherID{2}, Generation: 1, Birth: at.UnixMilli()}
	left := many
	for commit := 0; left > 0; commit++ {
		require.Less(t, commit, 5)
		_, v := r.Part(young, 1, at)
		require.Equal(t, Open, v)
		for n := range many {
			_, v := r.Part(of(n), 1, at)
			require.Equal(t, Late, v, "whether it is forgotten already or not")
			if n == 50 {
				break
			}
		}
		removed := 0
		r.Changes(func(_ frame.PublisherID, b []byte) {
			if b == nil {
				removed++
			}
		})
		require.LessOrEqual(t, removed, maxForgotten+51)
		r.Clean()
		left = r.Len() - 1
	}
}

// A publisher whose clock is ahead is remembered until copies of its events are late; else they would be applied again.
func TestForgettingPublishersWhoseClockIsAhead(t *testing.T) {
	ahead := session(1, start.Add(11*time.Hour))
	var r Record
	p, _ := r.Part(ahead, 1, start)
	require.True(t, p.Admit(1))
	p, _ = r.Part(session(2, start), 2, start) // the clock was put right
	require.True(t, p.Admit(2))
	for at := start; at.Before(start.Add(Retention + 24*time.Hour)); at = at.Add(time.Hour) {
		later := r
		later.publishers, later.changed = maps.Clone(r.publishers), maps.Clone(r.changed)
		p, v := later.Part(ahead, 1, at)
		require.True(t, v != Open || !p.Admit(1), "applied again after %s", at.Sub(start))
	}
}

func TestRecordStaysSmall(t *testing.T) {
	var r Record
	for seq := uint64(1); seq < 1_000_000; seq++ {
		floor := uint64(1)
		if seq > frame.MaxSpan {
			floor = seq - frame.MaxSpan
		}
		p, _ := r.Part(session(1, start), floor, start)
		require.True(t, p.Admit(seq))
	}
	r.Changes(func(_ frame.PublisherID, b []byte) { require.Less(t, len(b), frame.MaxSpan/8+64) })
}

// The record is part of every commit. Of what a publisher has in flight, a shard out of many has few.
func TestRecordIsAsSmallAsWhatItHolds(t *testing.T) {
	const inFlight = 32_768
	for shards, most := range map[uint64]int{1: inFlight / 8, 16: inFlight / 16, 256: 2 * inFlight / 256} {
		var r Record
		p, _ := r.Part(session(1, start), 1, start)
		for seq := uint64(1); seq <= inFlight; seq += shards {
			require.True(t, p.Admit(seq))
		}
		encoded := p.append(nil)
		require.LessOrEqual(t, len(encoded), most+32, "%d shards", shards)
		back, err := decode(encoded)
		require.NoError(t, err)
		for seq := uint64(1); seq <= inFlight; seq++ {
			require.Equal(t, seq%shards != 1%shards, back.Admit(seq), "seq %d of %d shards", seq, shards)
		}
	}
}

func TestRestoreRefusesWhatItCannotRead(t *testing.T) {
	var r Record
	require.ErrorContains(t, r.Restore(pub, nil), "malformed encoding")
	require.ErrorContains(t, r.Restore(pub, []byte{9}), "encoding version 9")
	require.ErrorContains(t, r.Restore(pub, []byte{1, 1, 1}), "malformed encoding")
	require.ErrorContains(t, r.Restore(pub, []byte{1, 1, 1, 1, 1, 7}), "malformed encoding")
	require.ErrorContains(t, r.Restore(pub, []byte{2, 1, 1, 1, 1, 0x80}), "malformed encoding", "half a gap")
	far := binary.AppendUvarint([]byte{2, 1, 1, 1, 1}, 2*frame.MaxSpan)
	require.ErrorContains(t, r.Restore(pub, far), "malformed encoding", "further than any publisher goes")
}

// A publisher may give its seqs as it likes. Whatever a record holds can be read again: else its shard would have no owner
// any more.
func TestWhatIsRecordedCanBeRead(t *testing.T) {
	for _, floor := range []uint64{1, 63, 64, 1 << 40, 1<<64 - 1 - 2*frame.MaxSpan, 1<<64 - 1 - frame.MaxSpan, 1<<64 - 70, 1<<64 - 1} {
		highest := max(floor, floor+min(frame.MaxSpan, 1<<64-1-floor))
		for _, all := range []bool{false, true} {
			var r Record
			p, _ := r.Part(session(1, start), floor, start)
			for seq := floor; all && seq < highest; seq++ {
				require.True(t, p.Admit(seq))
			}
			require.True(t, p.Admit(highest))
			r.Changes(func(id frame.PublisherID, b []byte) {
				var back Record
				require.NoError(t, back.Restore(id, b), "floor %d, all %v", floor, all)
				require.False(t, back.publishers[id].Admit(highest))
			})
		}
	}
}

// A floor that rises further than a publisher can send is told of; one that rises with what it sent to other shards is not.
func TestFloorsThatJump(t *testing.T) {
	var r Record
	jump := func(floor uint64, at time.Time) uint64 {
		p, v := r.Part(session(1, start), floor, at)
		require.Equal(t, Open, v)
		from, ok := p.Jump()
		require.Equal(t, ok, from > 0)
		return from
	}
	require.Zero(t, jump(1_000_000_000, start), "a publisher that is not known may have sent for long")
	require.Zero(t, jump(1_000_000_000+frame.MaxSpan, start))
	require.Zero(t, jump(1_001_000_000, start.Add(time.Second)))
	require.Zero(t, jump(5, start.Add(time.Second)), "a copy")
	require.EqualValues(t, 1_001_000_000, jump(1_001_000_000+frame.MaxSpan+1, start), "no time has passed, whichever way the clock went")
	floor := uint64(1_001_000_000 + frame.MaxSpan + 1)
	require.Equal(t, floor, jump(1<<62, start.Add(6*24*time.Hour)))
	require.Zero(t, jump(1<<62, start.Add(6*24*time.Hour)), "once")

	r = Record{}
	require.EqualValues(t, 1, jump(1<<62, start), "no publisher is that old")
}

func TestNewestGeneration(t *testing.T) {
	var r Record
	require.Zero(t, r.Newest(pub))
	r.Part(session(7, start), 1, start)
	_, v := r.Part(session(6, start), 1, start)
	require.Equal(t, Closed, v)
	require.EqualValues(t, 7, r.Newest(pub))
}
