package consume

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/lockstep/pkg/aside"
	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/store"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// quickly makes retries quick.
func quickly(c *Config) { c.RetryMin, c.RetryMax = time.Millisecond, 20*time.Millisecond }

// head is the head of a key's list in shard 0; nil: it has none.
func (r *rig) head(key string) *aside.Head {
	r.t.Helper()
	_, heads, err := r.store().States(background, 0, []string{key})
	require.NoError(r.t, err)
	if heads[0] == nil {
		return nil
	}
	h, err := aside.DecodeHead(heads[0])
	require.NoError(r.t, err)
	return &h
}

func (r *rig) parked(key string) bool {
	h := r.head(key)
	return h != nil && h.Status == aside.Parked && h.Mark.Op == aside.None
}

// command stores an operator's command about the first events of a key's list, as a router does.
func (r *rig) command(op, key string, ids ...string) {
	r.t.Helper()
	r.order(frame.Command{Op: op, Key: key, First: ids[0], Last: ids[len(ids)-1], Count: uint64(len(ids))})
}

func (r *rig) order(c frame.Command) {
	r.t.Helper()
	require.NoError(r.t, c.Check())
	r.put(0, c.Append(nil), nats.Header{frame.HeaderKind: {frame.KindCommand}, frame.HeaderPlace: {frame.Place{Epoch: 1, Shard: 0}.String()}})
}

// worked waits until none of these keys has a list.
func (r *rig) worked(keys ...string) {
	r.t.Helper()
	for _, key := range keys {
		eventually(r.t, func() bool { return r.head(key) == nil }, "key %s: its list is not worked off", key)
	}
	r.applied()
}

// An event that fails is tried again, while other keys go on; when it succeeds, its key's later events follow in order.
func TestFailedEventIsRetried(t *testing.T) {
	r := newRig(t, 1)
	a := failing(id(2))
	w := r.start(quickly, handler(a.handler()), func(c *Config) { c.Attempts = 1000 })
	r.send(0, "a", "bad", "a", "bad", "b", "bad")
	r.applied()
	require.Equal(t, []string{id(2), id(4), id(6)}, r.list("bad"))
	eventually(t, func() bool { return a.seen(id(2)) >= 4 }, "not tried again")
	require.Zero(t, a.seen(id(4)), "it waits for the first")
	require.Equal(t, 1.0, w.metric("keys_set_aside"))
	require.Equal(t, 3.0, w.metric("events_set_aside"))
	r.send(0, "bad", "a")
	r.applied()
	a.mend()
	r.worked("bad")
	require.Equal(t, []string{id(2), id(4), id(6), id(7)}, r.state("bad"))
	require.Equal(t, 1, a.seen(id(4)))
	eventually(t, func() bool { return w.metric("events_set_aside") == 0 }, "metric")
	require.Zero(t, w.metric("keys_set_aside"))
	require.Equal(t, 8.0, w.metric("events_applied_total"))
	r.send(0, "bad")
	r.applied()
	require.Empty(t, r.list("bad"))
}

// A key whose attempts are used up is parked, and a notice is published. After the handler is mended a retry applies its events.
func TestParkedKeyIsRetriedByCommand(t *testing.T) {
	r := newRig(t, 1)
	notices, err := r.nats.Conn.SubscribeSync(topology.NoticeSubject("app", "parked"))
	require.NoError(t, err)
	require.NoError(t, r.nats.Conn.Flush())
	a := failing(id(2))
	w := r.start(quickly, handler(a.handler()))
	r.send(0, "a", "bad", "bad", "b")
	eventually(t, func() bool { return r.parked("bad") }, "not parked")
	require.Equal(t, DefaultAttempts, a.seen(id(2)))
	h := r.head("bad")
	require.EqualValues(t, DefaultAttempts, h.Attempts)
	require.Equal(t, errRefused.Error(), h.Error)
	m, err := notices.NextMsg(5 * time.Second)
	require.NoError(t, err)
	var n notice
	require.NoError(t, json.Unmarshal(m.Data, &n))
	require.Equal(t, notice{Key: "bad", ID: id(2), Error: errRefused.Error(), Attempts: 5, Time: h.Last.UTC()}, n)
	require.Equal(t, 1.0, w.metric("keys_parked"))
	r.send(0, "bad", "b")
	r.applied()
	require.Len(t, r.list("bad"), 3)

	r.command(frame.CommandRetry, "bad", id(2), id(3))
	eventually(t, func() bool { return a.seen(id(2)) == 6 }, "not tried by command")
	eventually(t, func() bool { return r.parked("bad") }, "a retry stops at the first failure")
	require.Equal(t, 6, a.seen(id(2)))
	a.mend()
	r.command(frame.CommandRetry, "bad", id(2), id(3))
	r.worked("bad")
	require.Equal(t, []string{id(2), id(3), id(5)}, r.state("bad"))
	require.Equal(t, 0.0, w.metric("keys_parked"))
	require.Zero(t, w.metric("commands_passed_over_total"))
	_, err = notices.NextMsg(5 * time.Second)
	require.NoError(t, err, "it was parked twice")
}

// Events that an operator drops leave their list, and are counted; what joined later is tried.
func TestParkedKeyIsDroppedByCommand(t *testing.T) {
	r := newRig(t, 1)
	a := failing(id(2), id(3))
	r.start(quickly, handler(a.handler()))
	r.send(0, "bad", "bad", "bad", "bad")
	eventually(t, func() bool { return r.parked("bad") }, "not parked")
	r.command(frame.CommandDrop, "bad", id(2), id(3))
	eventually(t, func() bool { return r.head("bad") == nil }, "not worked off")
	require.Equal(t, []string{id(1), id(4)}, r.state("bad"))
	require.Zero(t, a.seen(id(3)))
	states, _, err := r.store().States(background, 0, []string{"bad"})
	require.NoError(t, err)
	proof, _, err := store.SplitState(states[0])
	require.NoError(t, err)
	require.EqualValues(t, 2, proof.Count)
	require.EqualValues(t, 2, proof.Dropped)
}

// A command that does not fit is passed over, and nothing waits for it.
func TestCommandThatDoesNotFit(t *testing.T) {
	r := newRig(t, 1)
	a := failing(id(1))
	w := r.start(quickly, handler(a.handler()))
	r.send(0, "bad", "bad")
	eventually(t, func() bool { return r.parked("bad") }, "not parked")
	r.command(frame.CommandDrop, "good", id(1))
	r.command(frame.CommandDrop, "bad", id(2))
	r.command(frame.CommandDrop, "bad", id(1), id(3))
	r.command(frame.CommandDrop, "bad", id(1), id(2), id(3))
	r.put(0, []byte("retry"), nats.Header{frame.HeaderKind: {frame.KindCommand}, frame.HeaderPlace: {"1.0"}})
	r.send(0, "a")
	r.applied()
	require.Equal(t, 5.0, w.metric("commands_passed_over_total"))
	require.Equal(t, []string{id(1), id(2)}, r.list("bad"))
}

func TestHandlerParksAndDrops(t *testing.T) {
	r := newRig(t, 1)
	var mu sync.Mutex
	seen := make(map[string]int)
	r.start(quickly, handler(collect(func(ev Event) error {
		mu.Lock()
		defer mu.Unlock()
		seen[ev.ID()]++
		switch {
		case ev.ID() == id(2):
			return Park(errRefused)
		case ev.ID() == id(4), ev.ID() == id(5) && seen[ev.ID()] > 1:
			return Drop(errRefused)
		case ev.ID() == id(5):
			return errRefused
		case ev.ID() == id(6) && seen[ev.ID()] == 1:
			panic("no such case")
		}
		return nil
	})))
	r.send(0, "a", "parks", "parks", "drops", "drops", "panics", "drops", "panics")
	eventually(t, func() bool { return r.parked("parks") && r.head("drops") == nil && r.head("panics") == nil }, "not worked off")
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, 1, seen[id(2)])
	require.Contains(t, r.head("parks").Error, errRefused.Error())
	require.Equal(t, []string{id(7)}, r.state("drops"))
	require.Equal(t, []string{id(6), id(8)}, r.state("panics"))
	require.Equal(t, []string{id(2), id(3)}, r.list("parks"))
}

// A state that the handler does not decode parks its key, and is never overwritten.
func TestUndecodableStateParksItsKey(t *testing.T) {
	r := newRig(t, 1)
	w := r.start(quickly)
	r.send(0, "bad")
	r.applied()
	require.NoError(t, w.Stop(background))
	var broken sync.Map
	broken.Store("on", true)
	r.start(quickly, handler(unreadable{collect(nil), &broken}))
	r.send(0, "bad", "a")
	eventually(t, func() bool { return r.parked("bad") }, "not parked")
	require.Contains(t, r.head("bad").Error, "does not read it")
	require.Equal(t, []string{id(1)}, r.state("bad"))
	broken.Clear()
	r.command(frame.CommandRetry, "bad", id(2))
	r.worked("bad")
	require.Equal(t, []string{id(1), id(2)}, r.state("bad"))
}

// A stored state without a readable proof parks its key, and stays as it is: also when its events are dropped. Other keys of the shard
// go on.
func TestStateWithoutAProofParksItsKey(t *testing.T) {
	r := newRig(t, 1)
	w := r.start(quickly)
	r.send(0, "bad", "a")
	r.applied()
	require.NoError(t, w.Stop(background))
	hash := ""
	for n := range 16 {
		if name := fmt.Sprintf("{app:0}:state:%d", n); r.rdb.HExists(background, name, "bad").Val() {
			hash = name
		}
	}
	require.NoError(t, r.rdb.HSet(background, hash, "bad", "\xff").Err())
	r.start(quickly)
	r.send(0, "bad", "a", "bad", "b")
	eventually(t, func() bool { return r.parked("bad") }, "not parked")
	require.Contains(t, r.head("bad").Error, "stored state of the key")
	eventually(t, func() bool { return len(r.state("a")) == 2 && len(r.state("b")) == 1 }, "the others go on")
	r.command(frame.CommandRetry, "bad", id(3))
	eventually(t, func() bool { return r.parked("bad") && r.head("bad").Attempts == 1 }, "parked again")
	require.Equal(t, []string{id(3), id(5)}, r.list("bad"))
	r.command(frame.CommandDrop, "bad", id(3), id(5))
	eventually(t, func() bool { return r.head("bad") == nil }, "not dropped")
	require.Equal(t, "\xff", r.rdb.HGet(background, hash, "bad").Val())
}

type unreadable struct {
	Handler
	broken *sync.Map
}

func (u unreadable) Decode(envelope []byte) (any, error) {
	if _, on := u.broken.Load("on"); on && envelope != nil {
		return nil, errors.New("this handler does not read it")
	}
	return u.Handler.Decode(envelope)
}

// An attempt that runs for long and then succeeds takes its event from the list.
func TestRunningAttemptSucceeds(t *testing.T) {
	r := newRig(t, 1)
	finish := make(chan struct{})
	w := r.worker(quickly, func(c *Config) {
		c.SlowTime = 20 * time.Millisecond
		c.Handler = collect(func(ev Event) error {
			if ev.ID() == id(1) {
				<-finish
			}
			return nil
		})
	})
	t.Cleanup(sync.OnceFunc(func() {
		select {
		case <-finish:
		default:
			close(finish)
		}
	}))
	require.NoError(t, w.Start(background))
	r.send(0, "slow", "a", "slow")
	r.applied()
	require.Equal(t, []string{id(1), id(3)}, r.list("slow"))
	require.Equal(t, aside.Running, r.head("slow").Status)
	close(finish)
	r.worked("slow")
	require.Equal(t, []string{id(1), id(3)}, r.state("slow"))
}

// A handler that never returns is given up when its time is up. Its key is not tried while it runs; above a limit the worker ends.
func TestHandlerThatNeverReturns(t *testing.T) {
	r := newRig(t, 1)
	finish := make(chan struct{})
	var mu sync.Mutex
	running := make(map[string]bool)
	w := r.worker(quickly, func(c *Config) {
		c.SlowTime, c.HandlerTimeout, c.MaxGivenUp = 20*time.Millisecond, 50*time.Millisecond, 1
		c.Handler = collect(func(ev Event) error {
			mu.Lock()
			hangs := ev.ID() == id(1) || ev.ID() == id(4)
			if hangs {
				require.False(t, running[ev.Key], "tried while it runs")
				running[ev.Key] = true
			}
			mu.Unlock()
			if hangs {
				<-finish
				mu.Lock()
				defer mu.Unlock()
				running[ev.Key] = false
			}
			return nil
		})
	})
	release := sync.OnceFunc(func() { close(finish) })
	t.Cleanup(release)
	require.NoError(t, w.Start(background))
	r.send(0, "hangs", "a", "hangs")
	r.applied()
	eventually(t, func() bool { return w.metric("handlers_given_up") == 1 }, "not given up")
	eventually(t, func() bool { h := r.head("hangs"); return h != nil && h.Attempts == 1 }, "no failure")
	r.command(frame.CommandDrop, "hangs", id(1))
	eventually(t, func() bool { h := r.head("hangs"); return h != nil && h.First == 1 }, "not dropped")
	require.Equal(t, []string{id(3)}, r.list("hangs"))
	r.want["hangs"] = r.want["hangs"][1:]
	r.send(0, "more", "b")
	eventually(t, func() bool {
		select {
		case err := <-w.Failed():
			require.ErrorContains(t, err, "given up")
			return true
		default:
			return false
		}
	}, "the worker goes on")
	release()
	r.worked("hangs", "more")
	eventually(t, func() bool { return w.metric("handlers_given_up") == 0 }, "metric")
}

// The lists of a shard are its next owner's too, and nothing is applied twice.
func TestListsAreHandedOver(t *testing.T) {
	r := newRig(t, 1)
	a := failing(id(1), id(2))
	w := r.start(quickly, handler(a.handler()))
	r.send(0, "x", "y", "x", "y")
	eventually(t, func() bool { return r.parked("x") && r.parked("y") }, "not parked")
	require.NoError(t, w.Stop(background))
	a.mend()
	second := r.start(quickly, handler(a.handler()))
	r.command(frame.CommandRetry, "x", id(1), id(3))
	r.worked("x")
	require.Equal(t, []string{id(1), id(3)}, r.state("x"))
	require.Equal(t, 1.0, second.metric("keys_parked"))
	require.True(t, r.parked("y"))
}

// The store loses everything: a replay comes to the same lists and states, with the commands in the log.
func TestReplayComesToTheSameLists(t *testing.T) {
	r := newRig(t, 1)
	bad := map[string]bool{id(2): true, id(3): true, id(6): true}
	r.start(quickly, handler(collect(func(ev Event) error {
		if bad[ev.ID()] {
			return errRefused
		}
		return nil
	})))
	r.send(0, "a", "x", "y", "x", "y", "x", "a")
	eventually(t, func() bool { return r.parked("x") && r.parked("y") }, "not parked")
	r.command(frame.CommandDrop, "x", id(2))
	eventually(t, func() bool { h := r.head("x"); return h != nil && h.Len() == 1 && r.parked("x") }, "not dropped up to the next that fails")
	r.command(frame.CommandRetry, "y", id(3), id(5))
	r.send(0, "x", "y", "a")
	eventually(t, func() bool { return r.parked("y") && len(r.list("y")) == 3 }, "not parked again")
	want := func() (out [][]string) {
		for _, key := range []string{"x", "y", "a"} {
			out = append(out, r.state(key), r.list(key))
		}
		return out
	}
	before := want()
	require.Equal(t, [][]string{{id(4)}, {id(6), id(8)}, nil, {id(3), id(5), id(9)}, {id(1), id(7), id(10)}, nil}, before)
	r.flush()
	eventually(t, func() bool { return fmt.Sprint(before) == fmt.Sprint(want()) && r.parked("x") && r.parked("y") }, "another end: %v", want())
}

// A shard at its cap takes nothing more; an operator's requests reach its owner beside the log.
func TestShardAtItsCap(t *testing.T) {
	r := newRig(t, 1)
	a := failing(id(1), id(2))
	w := r.start(quickly, handler(a.handler()), func(c *Config) { c.CapKeys, c.Attempts = 2, 1 })
	r.send(0, "x", "y", "x", "a", "y")
	eventually(t, func() bool { return r.parked("x") && r.parked("y") }, "not parked")
	eventually(t, func() bool { return w.shard(0).State == stateFull+"2 keys have events set aside, which is its cap" }, "state: %s", w.shard(0).State)
	require.Contains(t, w.Stuck(), "2 keys have events set aside")
	require.True(t, w.shard(0).AtCap, "it is how operators' tools know that its log is blocked")
	require.Empty(t, r.state("a"))
	r.command(frame.CommandRetry, "x", id(1)) // lies behind the blockage
	ctx, cancel := context.WithTimeout(background, 5*time.Second)
	defer cancel()
	require.ErrorContains(t, w.dropEvents(ctx, 0, frame.Command{Op: frame.CommandDrop, Key: "x", First: id(9), Last: id(9), Count: 1}), "begins with event "+id(1))
	require.NoError(t, w.dropEvents(ctx, 0, frame.Command{Op: frame.CommandDrop, Key: "x", First: id(1), Last: id(1), Count: 1}))
	eventually(t, func() bool { return len(r.state("a")) == 1 }, "the shard does not go on by itself")
	eventually(t, func() bool { return w.shard(0).State == stateRunning }, "state")
	require.False(t, w.shard(0).AtCap)

	a.mu.Lock()
	a.bad[id(6)] = true
	a.mu.Unlock()
	r.send(0, "z", "a")
	eventually(t, func() bool { return w.shard(0).State != stateRunning }, "it is not full again")
	got, err := w.raiseCaps(ctx, 0, topology.Caps{Keys: 5})
	require.NoError(t, err)
	require.Equal(t, topology.Caps{Keys: 5, Events: DefaultCapEvents}, got)
	eventually(t, func() bool { return len(r.state("a")) == 2 }, "it does not go on with raised caps")
	kept, err := topology.LoadCaps(background, r.js, r.kv, 0)
	require.NoError(t, err)
	require.Equal(t, topology.Caps{Keys: 5}, kept)
	r.flush()
	eventually(t, func() bool { return len(r.state("a")) == 2 && r.parked("z") }, "a replay does not find the raised caps")
}

// A shard whose handler fails everything brakes: it does not set aside every key. It goes on by itself when the handler is mended.
func TestShardBrakes(t *testing.T) {
	r := newRig(t, 1)
	var mended atomic.Bool
	w := r.start(quickly, func(c *Config) { c.Attempts = 1000 }, handler(collect(func(Event) error {
		if mended.Load() {
			return nil
		}
		return errRefused
	})))
	const keys = 200
	var names []string
	for i := range keys {
		names = append(names, fmt.Sprint("k", i))
	}
	r.send(0, names...)
	eventually(t, func() bool { return strings.HasPrefix(w.shard(0).State, stateBraked) }, "not braked")
	require.Equal(t, 1.0, w.metric("shards_braked"))
	require.Contains(t, w.Stuck(), stateBraked)
	require.Contains(t, w.log.String(), "shard brakes")
	require.Less(t, w.metric("keys_set_aside"), keys/2.0, "the rest waits in the log")
	mended.Store(true)
	r.worked(names...)
	eventually(t, func() bool { return w.Stuck() == "" && w.metric("shards_braked") == 0 }, "it goes on")
	require.Contains(t, w.log.String(), "its events succeed again")
}

// A handler that returns after its shard's lease is gone has changed nothing: the next owner applies its event. The attempt's context
// has said why it ended.
func TestHandlerThatReturnsAfterItsLeaseIsGone(t *testing.T) {
	r := newRig(t, 1)
	begun, finish, returned := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var first atomic.Bool
	h := Typed(func(ctx context.Context, s *ids, ev Event) error {
		*s = append(*s, ev.ID())
		if ev.Key == "slow" && first.CompareAndSwap(false, true) {
			close(begun)
			<-finish
			returned <- context.Cause(ctx)
		}
		return nil
	})
	w := r.worker(handler(h))
	release := sync.OnceFunc(func() { close(finish) })
	t.Cleanup(release)
	require.NoError(t, w.Start(background))
	r.send(0, "slow", "a")
	<-begun
	before := w.shard(0).Fence
	require.NoError(t, r.rdb.Set(background, "app:lease:0", "another's", time.Second).Err())
	eventually(t, func() bool { return w.shard(0).Fence > before && len(r.state("slow")) == 1 }, "no next owner")
	release()
	require.ErrorContains(t, <-returned, "lease")
	r.send(0, "slow")
	r.applied()
	require.Equal(t, []string{id(1), id(3)}, r.state("slow"))
}
