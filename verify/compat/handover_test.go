package compat

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/servicefile"
)

// testHandedOver: the only worker is replaced by one of the other version, and back. States and the list of a parked key stay as
// they are; each version goes on with what the other has stored, and each fills an empty store from the log to the same states.
func testHandedOver(t *testing.T, s *servers, first, second version) {
	r := newRig(t, s, "handed-"+first.name)
	router := r.router(first)
	refusing := []string{"--overdraft=refuse", "--attempts=2", "--retry-min=10ms"}
	worker := r.worker(first, refusing...)
	keys := r.fill()
	parked := r.awaitState("poisoned", func(s query.State) bool { return s.Parked && s.SetAside == 2 })
	require.EqualValues(t, 1, parked.Count)
	before := r.snapshot(keys)

	r.stop(worker)
	worker = r.worker(second, refusing...)
	r.awaitWorkers(1)
	require.Equal(t, before, r.snapshot(keys))
	r.send("poisoned", "poisoned-4", `{"amount":1}`) // joins the list
	r.awaitState("poisoned", func(s query.State) bool { return s.SetAside == 3 })
	before = r.snapshot(keys)

	r.stop(worker)
	r.stop(router)
	r.router(second)
	worker = r.worker(first)
	r.awaitWorkers(1)
	require.Equal(t, before, r.snapshot(keys))
	r.retry(second, "poisoned")
	mended := r.awaitState("poisoned", func(s query.State) bool { return s.SetAside == 0 })
	require.EqualValues(t, 4, mended.Count)
	require.JSONEq(t, `{"balance":-1}`, string(mended.Data))
	before = r.snapshot(keys)

	for _, v := range []version{second, first} {
		r.stop(worker)
		r.emptyStore()
		worker = r.worker(v)
		r.awaitWorkers(1)
		r.awaitState("poisoned", func(s query.State) bool { return s.Count == mended.Count })
		for _, state := range before.States {
			r.awaitState(state.Key, func(s query.State) bool { return s.Count == state.Count })
		}
		require.Equal(t, before, r.snapshot(keys))
	}
}

// fill sends events to some keys, of which one refuses its second event, and waits until the others' are applied.
func (r *rig) fill() (keys []string) {
	r.t.Helper()
	for i := range 20 {
		keys = append(keys, fmt.Sprintf("key-%d", i))
	}
	for n := range 3 {
		for _, key := range keys {
			r.send(key, fmt.Sprintf("%s-%d", key, n), fmt.Sprintf(`{"amount":%d}`, n+1))
		}
	}
	for i, amount := range []int{5, -10, 3} {
		r.send("poisoned", fmt.Sprintf("poisoned-%d", i+1), fmt.Sprintf(`{"amount":%d}`, amount))
	}
	for _, key := range keys {
		r.awaitState(key, func(s query.State) bool { return s.Count == 3 })
	}
	return append(keys, "poisoned")
}

// snapshot is all that workers say of some keys.
type snapshot struct {
	States  []query.State
	List    *query.List
	Waiting []query.WaitingEvent
}

func (r *rig) snapshot(keys []string) (s snapshot) {
	r.t.Helper()
	s.States = r.states(keys...)
	var err error
	s.List, s.Waiting, err = r.query.Waiting(r.t.Context(), "poisoned", 10)
	require.NoError(r.t, err)
	return s
}

// retry has a version's program for operators retry a parked key.
func (r *rig) retry(v version, key string) {
	r.t.Helper()
	out, err := exec.CommandContext(r.t.Context(), v.of[servicefile.KindWorker], "parked", "retry", key, "--nats="+r.nats.URL, "--app="+r.app).CombinedOutput()
	require.NoError(r.t, err, "%s", out)
}
