package consume

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/lockstep/pkg/aside"
	"github.com/stretchr/testify/require"
)

// workOn is an attempt at a list of the events 1 to n.
func workOn(head aside.Head, n int) (*listWork, *list) {
	w := &listWork{key: "k", spent: func() bool { return false }, next: func() {}}
	for i := range n {
		w.events = append(w.events, (&aside.Event{ID: id(i + 1)}).Append(nil))
	}
	l := &list{head: head, stored: true}
	w.begin(l, nil)
	return w, l
}

// doneBy runs an attempt, and returns how many events it applied.
func (w *listWork) doneBy(t *testing.T, h Handler) uint64 {
	t.Helper()
	require.NoError(t, w.run(context.Background(), h).err)
	return w.into(new(listChange)).done
}

// An attempt ends before the event with which the first command that waits begins: the command is judged then.
func TestAttemptEndsBeforeACommandThatWaits(t *testing.T) {
	for first, want := range map[string]uint64{id(1): 4, id(3): 2, id(9): 4} {
		w, _ := workOn(aside.Head{Next: 4, Commands: []aside.Command{{Op: aside.Drop, First: first, Last: first, Count: 1}}}, 4)
		require.Equal(t, want, w.doneBy(t, collect(nil)), first)
	}
}

// A command that comes while an attempt runs stops it before its next event.
func TestCommandStopsAnAttempt(t *testing.T) {
	for name, head := range map[string]aside.Head{
		"a drop at work":       {Next: 4, Mark: aside.Mark{Op: aside.Drop, Until: 4}},
		"a command that waits": {Next: 4, Commands: []aside.Command{{Op: aside.Drop, First: id(9), Last: id(9), Count: 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			o := &owner{tending: &tending{drops: make(map[string]bool), judges: make(map[string]bool)}}
			w, l := workOn(aside.Head{Next: 4}, 4)
			l.call = &call{list: w}
			require.EqualValues(t, 2, w.doneBy(t, collect(func(ev Event) error {
				if ev.ID() == id(2) {
					l.head = head
					o.plan("k", l)
				}
				return nil
			})))
		})
	}
}

// Each event of an attempt at a list has all of the handler's time.
func TestEachEventOfAListHasAllTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(1)
		cs := &calls{
			timeout: time.Second, place: p.join(), ended: make(chan *call, 1), gone: make(chan struct{}), running: new(sync.WaitGroup),
			givenUp: &givenUp{max: 1, running: make(map[keyOfShard]int)},
		}
		require.True(t, cs.place.take())
		w, _ := workOn(aside.Head{Next: 4}, 4)
		c := &call{attempt: attempt{key: "k"}, list: w}
		w.next = func() { cs.extend(c) }
		cs.start(t.Context(), c, w.runIn(Typed(func(ctx context.Context, _ *ids, _ Event) error {
			time.Sleep(700 * time.Millisecond)
			return ctx.Err()
		})))
		require.NoError(t, (<-cs.ended).result.err)
		cs.running.Wait()
		require.EqualValues(t, 4, w.into(new(listChange)).done)
	})
}
