package consume

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/store"
)

// States of a shard that is owned here. A stopped or an interrupted one has its error behind it.
const (
	stateClaiming    = "claiming"
	stateCatching    = "finding its place in the log"
	stateRunning     = "running"
	statePaused      = query.StatePaused
	stateRetrying    = "retrying an event that its handler failed"
	stateHanging     = "waiting for a handler that does not return"
	stateStopped     = "stopped: "
	stateInterrupted = "interrupted: "
)

// handoverTime is how long a shard may be on its way between two workers. A lease that nobody renews runs out before.
const handoverTime = 15 * time.Second

// shardStatus is what others may ask about a shard that is owned here.
type shardStatus struct {
	fence    uint64
	position store.Position
	state    string
	stuck    string // the state that has kept it from running; "" once it runs
	feed     *feed
	lag      uint64 // as it was counted last while the shard does not run
}

// begins says that the shard is on its way to run. What it was stuck in may hold it up again.
func (s *shardStatus) begins(state string) { s.state = state }

// runs says that nothing is in the shard's way.
func (s *shardStatus) runs(state string) { s.state, s.stuck, s.lag = state, "", 0 }

// sticks says that the shard cannot go on until something else changes.
func (s *shardStatus) sticks(state string) { s.state, s.stuck = state, state }

// note changes what others may ask about a shard.
func (w *Worker) note(n int, change func(*shardStatus)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.shards[n]
	if s == nil {
		s = new(shardStatus)
		w.shards[n] = s
	}
	running := s.state == stateRunning
	change(s)
	if running && s.state != stateRunning {
		select {
		case w.haltedOne <- struct{}{}:
		default:
		}
	}
}

func (w *Worker) forget(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.shards, n)
}

// Ready returns an error while the worker is not in the group, or a shard is on its way to it, or from it. A shard that is
// stuck makes no worker unready: the others would be stuck there too, and its neighbours here would suffer. Stuck names it.
func (w *Worker) Ready() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ready || !w.group.Joined() {
		return errors.New("not in the group")
	}
	for shard, since := range w.group.Unsettled() {
		if s := w.shards[shard]; time.Since(since) < w.waits.handover && (s == nil || s.stuck == "") {
			return errors.New("shards are being handed over")
		}
	}
	for shard, s := range w.shards {
		if s.stuck == "" && s.state != stateRunning && s.state != statePaused {
			return fmt.Errorf("shard %d: %s", shard, s.state)
		}
	}
	return nil
}

// maxStuck is how many shards Stuck names.
const maxStuck = 16

// Stuck tells which shards cannot go on, and why; "" if none.
func (w *Worker) Stuck() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	why := make(map[int]string)
	for shard, s := range w.shards {
		if s.stuck != "" {
			why[shard] = s.stuck
		}
	}
	if w.ready {
		for shard, since := range w.group.Unsettled() {
			if took := time.Since(since); took >= w.waits.handover && why[shard] == "" {
				why[shard] = fmt.Sprintf("not handed over for %s", took.Round(time.Second))
			}
		}
	}
	var out []string
	for _, shard := range slices.Sorted(maps.Keys(why)) {
		if len(out) == maxStuck {
			out = append(out, fmt.Sprintf("and %d more", len(why)-maxStuck))
			break
		}
		out = append(out, fmt.Sprintf("shard %d: %s", shard, why[shard]))
	}
	return strings.Join(out, "; ")
}

// Paused tells that no shard of this worker takes new events, for how long, and by whose request; "" while they do. A paused
// worker is ready: it keeps its shards and answers queries.
func (w *Worker) Paused() string {
	left, by := w.intake.left()
	if left == 0 {
		return ""
	}
	return fmt.Sprintf("all shards of this worker are paused for %s more by request of %s", left.Round(time.Millisecond), by)
}

// stopped is how many shards are stopped.
func (w *Worker) stopped() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.shards {
		if strings.HasPrefix(s.stuck, stateStopped) {
			n++
		}
	}
	return n
}

func (w *Worker) status() query.Worker {
	w.mu.Lock()
	defer w.mu.Unlock()
	left, by := w.intake.left()
	out := query.Worker{Name: w.cfg.Name, PausedMS: query.Milliseconds(left), PausedBy: by}
	if w.group != nil {
		out.ID = w.group.ID()
	}
	for shard, s := range w.shards {
		st := query.ShardStatus{Shard: shard, Fence: s.fence, Epoch: s.position.Epoch, Seq: s.position.Seq, State: s.state}
		if s.feed != nil {
			st.Lag = s.feed.lag()
		}
		if s.state != stateRunning {
			st.Lag = max(st.Lag, s.lag)
		}
		out.Shards = append(out.Shards, st)
	}
	return out
}

// watch makes the shard's stint tell of calls of the handler that do not return.
func (w *Worker) watch(s *shard) {
	s.stint.limit, s.stint.hang = w.cfg.RoundTime, w.waits.hang
	s.stint.hangs = func(key string) {
		w.metrics.hanging.Inc()
		w.note(s.n, func(st *shardStatus) { st.sticks(stateHanging) })
		w.cfg.Log.Error("handler does not return; its shard waits for it", "shard", s.n, keyHash(key), printableKey(key), "for", w.waits.hang)
	}
	s.stint.returned = func(key string, took time.Duration) {
		w.metrics.hanging.Dec()
		w.note(s.n, func(st *shardStatus) { st.runs(stateRunning) })
		w.cfg.Log.Warn("handler has returned", "shard", s.n, keyHash(key), printableKey(key), "after", took)
	}
}
