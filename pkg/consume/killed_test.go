package consume

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/store"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// Lists of more events than one piece of a retry, and of a drop.
const (
	manyBad  = listEvents + 44
	manyGone = droppedAtOnce + 104
)

// A worker is killed with SIGKILL just before a step of a list is committed, and the next one just after that. Another takes over:
// the same lists and states result, and a receipt for each event that is applied or dropped, and for no other.
func TestWorkerIsKilledAtAStepOfAList(t *testing.T) {
	for _, step := range []string{
		setsAside, joins, attemptFails, parks, takesRetry, retryFails, appliesAPiece, appliesTheRest, takesDrop, dropsAPiece, dropsTheRest,
	} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			k := newKills(t, step)
			k.park()
			k.retry()
			k.drop()
			k.send(0, "bad", "gone", "a")
			k.applied()
			k.ended()
		})
	}
}

// A worker is killed while it reads a list for a tool. The tool gets the list, as it is, from the next one.
func TestWorkerIsKilledWhileItsListIsExported(t *testing.T) {
	k := newKills(t, exportStep)
	k.park()
	c := query.NewClient(k.nats.Connect(t), "app")
	eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(background, 2*time.Second)
		defer cancel()
		var ids []string
		list, err := c.EachWaiting(ctx, "gone", func(e query.WaitingEvent) error {
			ids = append(ids, e.ID)
			return nil
		})
		if len(k.died) == cap(k.died) && err == nil {
			require.EqualValues(t, manyGone, list.Count)
			require.Equal(t, k.want["gone"], ids)
			return true
		}
		require.Equal(t, k.want["gone"][:len(ids)], ids, "what it had until then")
		return false
	}, "not exported")
	k.applied()
	k.ended()
}

// kills is a course of work on two lists, during which two workers die.
type kills struct {
	*rig
	told func() map[uint64]int // receipts
	died chan error            // receives after each death, and closes once the last worker works
}

func newKills(t *testing.T, step string) *kills {
	r := newRig(t, 1)
	k := &kills{rig: r, told: r.receipts(), died: make(chan error, 2)}
	last := r.worker(failingUntilMended(r.rdb))
	first, endFirst := r.victim(step, false)
	second, endSecond := r.victim(step, true)
	t.Cleanup(func() {
		endFirst()
		endSecond()
		for range k.died {
		}
	})
	require.NoError(t, first.Start())
	go func() {
		defer close(k.died)
		k.died <- first.Wait()
		k.died <- second.Run()
		if err := last.Start(background); err != nil {
			t.Error(err)
		}
	}()
	return k
}

// victim is a worker that kills itself, not started yet. end ends it if it did not.
func (r *rig) victim(step string, after bool) (cmd *exec.Cmd, end func()) {
	r.t.Helper()
	spec, err := json.Marshal(victim{NATS: r.nats.URL, Redis: r.rdb.(*redis.Client).Options().Addr, Step: step, After: after})
	require.NoError(r.t, err)
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimVariable+"="+string(spec))
	log := new(logBook)
	cmd.Stdout, cmd.Stderr = log, log
	stdin, err := cmd.StdinPipe()
	require.NoError(r.t, err)
	r.t.Cleanup(func() {
		if r.t.Failed() {
			r.t.Logf("log of the victim, after %t:\n%s", after, log)
		}
	})
	return cmd, func() { _ = stdin.Close() }
}

// park has both lists parked, and many events join them.
func (k *kills) park() {
	k.t.Helper()
	k.send(0, "a", "bad", "gone", "a", "bad", "gone", "b")
	eventually(k.t, func() bool { return k.parked("bad") && k.parked("gone") }, "not parked")
	keys := slices.Concat(slices.Repeat([]string{"bad"}, manyBad-2), slices.Repeat([]string{"gone"}, manyGone-2), []string{"a"})
	k.send(0, keys...)
	k.applied()
	require.Len(k.t, k.list("bad"), manyBad)
	require.EqualValues(k.t, 3, k.head("bad").Attempts)
	k.settled(4)
}

// retry has one list retried, first by a handler that still fails.
func (k *kills) retry() {
	k.t.Helper()
	k.command(frame.CommandRetry, "bad", k.want["bad"]...)
	eventually(k.t, func() bool { return k.parked("bad") && k.head("bad").Attempts == 1 }, "not parked again")
	k.applied()
	require.Len(k.t, k.list("bad"), manyBad)
	k.settled(4)
	require.NoError(k.t, k.rdb.Set(background, mendedKey, "", 0).Err())
	k.command(frame.CommandRetry, "bad", k.want["bad"]...)
	k.worked("bad")
	k.settled(4 + manyBad)
}

// drop has the other list dropped.
func (k *kills) drop() {
	k.t.Helper()
	k.command(frame.CommandDrop, "gone", k.want["gone"]...)
	k.want["gone"] = nil
	k.worked("gone")
	states, _, err := k.store().States(background, 0, []string{"gone"})
	require.NoError(k.t, err)
	proof, _, err := store.SplitState(states[0])
	require.NoError(k.t, err)
	require.Equal(k.t, store.Proof{Dropped: manyGone}, proof)
	k.settled(4 + manyBad + manyGone)
}

// settled waits for the receipts of so many events, and requires that no event that is set aside has one.
func (k *kills) settled(n int) {
	k.t.Helper()
	eventually(k.t, func() bool { return len(k.told()) >= n }, "receipts of %d events", n)
	told := k.told()
	require.Len(k.t, told, n)
	for _, key := range []string{"bad", "gone"} {
		for _, id := range k.list(key) {
			var seq uint64
			_, err := fmt.Sscanf(id, frame.PublisherID{1}.String()+"-%d", &seq)
			require.NoError(k.t, err)
			require.NotContains(k.t, told, seq, "it is set aside")
		}
	}
}

// ended requires that both workers died by their own hand, and that receipts were sent for all that was settled.
func (k *kills) ended() {
	k.t.Helper()
	deaths := 0
	for err := range k.died {
		deaths++
		var exit *exec.ExitError
		require.True(k.t, errors.As(err, &exit) && !exit.Exited(), "death %d: %v", deaths, err)
	}
	require.Equal(k.t, 2, deaths, "the step did not come")
	waiting := len(k.list("bad")) + len(k.list("gone"))
	k.settled(int(k.seq) - waiting)
}
