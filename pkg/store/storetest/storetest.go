// Package storetest is the suite that every store must pass.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/store"
	"github.com/stretchr/testify/require"
)

var errReader = errors.New("the reader cannot take it")

// claimMany claims shard 0 under the version v1 and commits more publishers than are read at once, under v2.
func claimMany(t *testing.T, s store.Store) map[string][]byte {
	_, err := s.Claim(context.Background(), 0, 1, "v1")
	require.NoError(t, err)
	want := make(map[string][]byte)
	c := &store.Commit{Shard: 0, Old: "v1", New: "v2", Position: store.Position{Epoch: 1, Seq: 1, Time: time.Unix(1, 0)}}
	for i := range 5000 {
		p := store.Pair{Key: fmt.Sprintf("%032x", i), Value: []byte(fmt.Sprint(i))}
		want[p.Key] = p.Value
		c.Dedup = append(c.Dedup, p)
	}
	require.NoError(t, s.Commit(context.Background(), c))
	return want
}

// Kept is one store, and what may become of it.
type Kept struct {
	At   func(topology string) store.Store // as a worker of that topology sees it
	Wipe func()                            // empties it
	Lose func(shard int)                   // removes a shard's record by hand
}

// Publishers are a shard's, as its owner reads them.
func Publishers(s store.Store, shard int, version store.Version) (map[string][]byte, error) {
	out := make(map[string][]byte)
	err := s.Publishers(context.Background(), shard, version, func(id string, encoded []byte) (bool, error) {
		_, known := out[id]
		out[id] = encoded
		return !known, nil
	})
	return out, err
}

// Run runs the suite. open makes a fresh store.
func Run(t *testing.T, open func(t *testing.T) Kept) {
	ctx := context.Background()
	for name, test := range map[string]func(*testing.T, Kept){
		"claim raises the fence and draws a version": func(t *testing.T, k Kept) {
			s := k.At("one")
			r, err := s.Claim(ctx, 3, 7, "v1")
			require.NoError(t, err)
			require.Equal(t, uint64(7), r.Fence, "the revision")
			require.Equal(t, store.Version("v1"), r.Version)
			require.Equal(t, store.Position{}, r.Position)
			r, err = s.Claim(ctx, 3, 2, "v2")
			require.NoError(t, err)
			require.Equal(t, uint64(8), r.Fence, "the fence before + 1: revisions went back")
			r, err = s.Claim(ctx, 3, 1<<50, "v3")
			require.NoError(t, err)
			require.Equal(t, uint64(1<<50), r.Fence)
			r, err = s.Claim(ctx, 3, 1, "v4")
			require.NoError(t, err)
			require.Equal(t, uint64(1<<50+1), r.Fence, "large fences stay exact")
		},
		"commit writes all": func(t *testing.T, k Kept) {
			s := k.At("one")
			_, err := s.Claim(ctx, 0, 1, "v1")
			require.NoError(t, err)
			pos := store.Position{Epoch: 1, Seq: 9, Time: time.Unix(5, 123456789)}
			require.NoError(t, s.Commit(ctx, &store.Commit{Shard: 0, Old: "v1", New: "v2", Position: pos, RoundStart: 4, Late: 2, LateLast: "x",
				Dedup: []store.Pair{{Key: "p1", Value: []byte{0, 1}}, {Key: "p2", Value: []byte{2}}}, States: []store.Pair{{Key: "a b:c", Value: []byte("\x00state")}}}))
			require.NoError(t, s.Commit(ctx, &store.Commit{Shard: 0, Old: "v2", New: "v3", Position: pos, RoundStart: 4, Late: 2, LateLast: "x",
				Dedup: []store.Pair{{Key: "p2", Value: nil}, {Key: "p3", Value: []byte{3}}}}))
			states, err := s.States(ctx, []string{"a b:c", "none"})
			require.NoError(t, err)
			require.Equal(t, [][]byte{[]byte("\x00state"), nil}, states)
			shards, err := s.Shards(ctx, 2)
			require.NoError(t, err)
			require.True(t, shards[0].Position.Time.Equal(pos.Time))
			require.Equal(t, uint64(9), shards[0].Position.Seq)
			require.Equal(t, uint64(1), shards[0].Fence)
			require.Zero(t, shards[1].Fence)
			r, err := s.Claim(ctx, 0, 1, "v4")
			require.NoError(t, err)
			publishers, err := Publishers(s, 0, "v4")
			require.NoError(t, err)
			require.Equal(t, map[string][]byte{"p1": {0, 1}, "p3": {3}}, publishers)
			require.Equal(t, uint64(4), r.RoundStart)
			require.Equal(t, uint64(2), r.Late)
			require.Equal(t, "x", r.LateLast)
			require.True(t, r.Position.Time.Equal(pos.Time))
			require.Equal(t, uint64(1), r.Position.Epoch)
		},
		"a token is found by name": func(t *testing.T, k Kept) {
			s := k.At("one")
			require.NoError(t, s.PutToken(ctx, "a", "x"))
			for name, want := range map[string]string{"a": "x", "b": ""} {
				got, err := k.At("two").Token(ctx, name)
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
			k.Wipe()
			got, err := s.Token(ctx, "a")
			require.NoError(t, err)
			require.Empty(t, got)
		},
		"a stale commit and a stale load do nothing": func(t *testing.T, k Kept) {
			s := k.At("one")
			_, err := s.Claim(ctx, 0, 1, "v1")
			require.NoError(t, err)
			_, err = s.Claim(ctx, 0, 2, "v2")
			require.NoError(t, err)
			err = s.Commit(ctx, &store.Commit{Shard: 0, Old: "v1", New: "v9", Position: store.Position{Epoch: 1, Seq: 1, Time: time.Unix(1, 0)},
				Dedup: []store.Pair{{Key: "p", Value: []byte{1}}}, States: []store.Pair{{Key: "k", Value: []byte("zombie")}}})
			require.ErrorIs(t, err, store.ErrStale)
			_, err = s.Load(ctx, 0, "v1", []string{"k"})
			require.ErrorIs(t, err, store.ErrStale)
			_, err = s.Load(ctx, 0, "v1", nil)
			require.ErrorIs(t, err, store.ErrStale, "also without keys")
			got, err := s.Load(ctx, 0, "v2", []string{"k"})
			require.NoError(t, err)
			require.Equal(t, [][]byte{nil}, got)
			got, err = s.Load(ctx, 0, "v2", nil)
			require.NoError(t, err)
			require.Empty(t, got)
			r, err := s.Claim(ctx, 0, 3, "v3")
			require.NoError(t, err)
			require.Equal(t, store.Position{}, r.Position)
			publishers, err := Publishers(s, 0, "v3")
			require.NoError(t, err)
			require.Empty(t, publishers)
		},
		"a repeated commit is done once": func(t *testing.T, k Kept) {
			s := k.At("one")
			_, err := s.Claim(ctx, 0, 1, "v1")
			require.NoError(t, err)
			c := &store.Commit{Shard: 0, Old: "v1", New: "v2", Position: store.Position{Epoch: 1, Seq: 1, Time: time.Unix(1, 0)}, States: []store.Pair{{Key: "k", Value: []byte("x")}}}
			require.NoError(t, s.Commit(ctx, c))
			require.NoError(t, s.Commit(ctx, c))
			require.NoError(t, s.Commit(ctx, &store.Commit{Shard: 0, Old: "v2", New: "v3", Position: c.Position, States: []store.Pair{{Key: "k", Value: []byte("y")}}}))
			require.ErrorIs(t, s.Commit(ctx, c), store.ErrStale, "its successor has committed since")
			states, err := s.States(ctx, []string{"k"})
			require.NoError(t, err)
			require.Equal(t, "y", string(states[0]))
		},
		"a wiped store is stale, and claimed again is empty": func(t *testing.T, k Kept) {
			s := k.At("one")
			require.NoError(t, s.Check(ctx))
			_, err := s.Claim(ctx, 0, 1, "v1")
			require.NoError(t, err)
			k.Wipe()
			require.ErrorIs(t, s.Commit(ctx, &store.Commit{Shard: 0, Old: "v1", New: "v2"}), store.ErrStale)
			_, err = s.Load(ctx, 0, "v1", []string{"k"})
			require.ErrorIs(t, err, store.ErrStale)
			r, err := s.Claim(ctx, 0, 5, "v3")
			require.NoError(t, err)
			require.Equal(t, store.Position{}, r.Position)
			require.ErrorIs(t, k.At("two").Check(ctx), store.ErrTopology, "the claim has stamped it again")
		},
		"another topology is refused": func(t *testing.T, k Kept) {
			require.NoError(t, k.At("one").Check(ctx))
			require.NoError(t, k.At("one").Check(ctx))
			err := k.At("two").Check(ctx)
			require.ErrorIs(t, err, store.ErrTopology)
			require.ErrorContains(t, err, `"one"`)
			require.ErrorContains(t, err, `"two"`)
			_, err = k.At("two").Claim(ctx, 0, 1, "v1")
			require.ErrorIs(t, err, store.ErrTopology)
		},
		"a record that was removed by hand is missed": func(t *testing.T, k Kept) {
			s := k.At("one")
			for shard := range 2 {
				_, err := s.Claim(ctx, shard, 1, "v1")
				require.NoError(t, err)
			}
			require.NoError(t, s.Commit(ctx, &store.Commit{Shard: 0, Old: "v1", New: "v2", Position: store.Position{Epoch: 1, Seq: 1, Time: time.Unix(1, 0)}, States: []store.Pair{{Key: "k", Value: []byte("x")}}}))
			k.Lose(0)
			require.ErrorIs(t, s.Commit(ctx, &store.Commit{Shard: 0, Old: "v2", New: "v3"}), store.ErrStale)
			for range 2 {
				_, err := s.Claim(ctx, 0, 5, "v4")
				require.ErrorIs(t, err, store.ErrGone, "a replay would apply the log to states that stand")
			}
			_, err := s.Claim(ctx, 1, 5, "v4")
			require.NoError(t, err, "the others go on")
			_, err = s.Claim(ctx, 2, 5, "v4")
			require.NoError(t, err, "this one was never claimed")
			k.Wipe()
			for shard := range 3 {
				r, err := s.Claim(ctx, shard, 7, "v5")
				require.NoError(t, err, "all is gone: the store is filled from the log")
				require.Equal(t, store.Position{}, r.Position)
			}
		},
		"a record of many publishers is read whole": func(t *testing.T, k Kept) {
			s := k.At("one")
			want := claimMany(t, s)
			publishers, err := Publishers(s, 0, "v2")
			require.NoError(t, err)
			require.Equal(t, want, publishers)
			_, err = Publishers(s, 0, "v1")
			require.ErrorIs(t, err, store.ErrStale)
			_, err = Publishers(s, 3, "v2")
			require.ErrorIs(t, err, store.ErrStale, "nobody has claimed it")
		},
		"a record that changes while it is read is not mixed": func(t *testing.T, k Kept) {
			s := k.At("one")
			want := claimMany(t, s)
			remove := &store.Commit{Shard: 0, Old: "w1", New: "w2"}
			for id := range want {
				remove.Dedup = append(remove.Dedup, store.Pair{Key: id}, store.Pair{Key: "new-" + id, Value: []byte{1}})
			}
			got := make(map[string][]byte)
			err := s.Publishers(ctx, 0, "v2", func(id string, encoded []byte) (bool, error) {
				if len(got) == 0 {
					_, err := s.Claim(ctx, 0, 1, "w1")
					require.NoError(t, err)
					require.NoError(t, s.Commit(ctx, remove))
				}
				_, known := got[id]
				got[id] = encoded
				return !known, nil
			})
			if err == nil { // it had come whole before
				require.Equal(t, want, got)
			} else {
				require.ErrorIs(t, err, store.ErrStale)
			}
		},
		"reading a record ends with an error of its reader": func(t *testing.T, k Kept) {
			s := k.At("one")
			claimMany(t, s)
			calls := 0
			err := s.Publishers(ctx, 0, "v2", func(string, []byte) (bool, error) {
				calls++
				return false, errReader
			})
			require.ErrorIs(t, err, errReader)
			require.Equal(t, 1, calls)
		},
		"large rounds": func(t *testing.T, k Kept) {
			s := k.At("one")
			_, err := s.Claim(ctx, 0, 1, "v1")
			require.NoError(t, err)
			var keys []string
			c := &store.Commit{Shard: 0, Old: "v1", New: "v2", Position: store.Position{Epoch: 1, Seq: 1, Time: time.Unix(1, 0)}}
			for i := range 20_001 {
				k := fmt.Sprintf("key-%d", i)
				keys = append(keys, k)
				c.States = append(c.States, store.Pair{Key: k, Value: []byte(k)})
			}
			for i := range 3_000 {
				c.Dedup = append(c.Dedup, store.Pair{Key: fmt.Sprint(i), Value: []byte(strings.Repeat("x", 100))})
			}
			require.NoError(t, s.Commit(ctx, c))
			got, err := s.Load(ctx, 0, "v2", keys)
			require.NoError(t, err)
			for i := range keys {
				require.Equal(t, keys[i], string(got[i]))
			}
		},
		"of racing owners one wins each round": func(t *testing.T, k Kept) {
			s := k.At("one")
			_, err := s.Claim(ctx, 0, 1, "start")
			require.NoError(t, err)
			const owners, rounds = 8, 50
			wins := make([]int, owners)
			var wg sync.WaitGroup
			for o := range owners {
				wg.Go(func() {
					version := store.Version("start")
					for i := range rounds {
						next := store.NewVersion()
						err := s.Commit(ctx, &store.Commit{Shard: 0, Old: version, New: next, Position: store.Position{Epoch: 1, Seq: uint64(i + 1), Time: time.Unix(1, 0)}})
						if err == nil {
							version = next
							wins[o]++
						} else if err != store.ErrStale {
							t.Errorf("commit: %v", err)
						}
					}
				})
			}
			wg.Wait()
			winners := 0
			for _, w := range wins {
				if w > 0 {
					winners++
					require.Equal(t, rounds, w)
				}
			}
			require.Equal(t, 1, winners)
		},
	} {
		t.Run(name, func(t *testing.T) {
			test(t, open(t))
		})
	}
}
