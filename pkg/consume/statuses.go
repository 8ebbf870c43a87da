package consume

import (
	"fmt"
	"strings"
	"sync"
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
	stateFull        = "takes nothing more from its log: "
	stateBraked      = "braked: "
	stateStopped     = "stopped: "
	stateInterrupted = "interrupted: "
)

// handoverTime is how long a shard may be on its way between two workers. A lease that is not renewed runs out before.
const handoverTime = 15 * time.Second

// shardStatus is the status of a shard that is owned here, for queries, readiness and metrics.
type shardStatus struct {
	fence    uint64
	position store.Position
	state    string
	stuck    string // the state that has kept it from running; "" once it runs
	feed     *feed
	lag      uint64 // as it was counted last while the shard does not run

	keys, parked int    // lists, and those of parked keys
	events       uint64 // in all lists
}

// begins says that the shard is on its way to run. What it was stuck in may hold it up again.
func (s *shardStatus) begins(state string) { s.state = state }

// runs says that nothing is in the shard's way.
func (s *shardStatus) runs(state string) { s.state, s.stuck, s.lag = state, "", 0 }

// sticks says that the shard cannot go on until something else changes.
func (s *shardStatus) sticks(state string) { s.state, s.stuck = state, state }

// statuses are those of a worker's shards.
type statuses struct {
	halts chan struct{} // cap 1: a shard no longer runs

	mu     sync.Mutex // guards what follows
	shards map[int]*shardStatus
}

func newStatuses() statuses {
	return statuses{halts: make(chan struct{}, 1), shards: make(map[int]*shardStatus)}
}

// note changes a shard's status.
func (s *statuses) note(n int, change func(*shardStatus)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.shards[n]
	if of == nil {
		of = new(shardStatus)
		s.shards[n] = of
	}
	running := of.state == stateRunning
	change(of)
	if running && of.state != stateRunning {
		select {
		case s.halts <- struct{}{}:
		default:
		}
	}
}

func (s *statuses) forget(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.shards, n)
}

// counted keeps the count of a backlog, unless the shard was handed over meanwhile.
func (s *statuses) counted(n int, backlog uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if of := s.shards[n]; of != nil {
		of.lag = backlog
	}
}

// halted are the positions of the shards that do not run and have been claimed.
func (s *statuses) halted() map[int]store.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[int]store.Position)
	for n, of := range s.shards {
		if of.state != stateRunning && of.fence > 0 {
			out[n] = of.position
		}
	}
	return out
}

// stopped is how many shards wait for an operator.
func (s *statuses) stopped() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.shards {
		if strings.HasPrefix(of.stuck, stateStopped) {
			n++
		}
	}
	return n
}

// aside is how much all shards have set aside.
func (s *statuses) aside() (keys, parked int, events uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.shards {
		keys, parked, events = keys+of.keys, parked+of.parked, events+of.events
	}
	return keys, parked, events
}

// braked is how many shards are braked.
func (s *statuses) braked() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.shards {
		if strings.HasPrefix(of.stuck, stateBraked) {
			n++
		}
	}
	return n
}

// onTheirWay returns an error if a shard neither runs, nor is paused, nor is stuck.
func (s *statuses) onTheirWay() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, of := range s.shards {
		if of.stuck == "" && of.state != stateRunning && of.state != statePaused {
			return fmt.Errorf("shard %d: %s", n, of.state)
		}
	}
	return nil
}

// stuck tells why shards are stuck.
func (s *statuses) stuck() map[int]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	why := make(map[int]string)
	for n, of := range s.shards {
		if of.stuck != "" {
			why[n] = of.stuck
		}
	}
	return why
}

// all are the statuses as others are told of them.
func (s *statuses) all() (out []query.ShardStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, of := range s.shards {
		st := query.ShardStatus{
			Shard: n, Fence: of.fence, Epoch: of.position.Epoch, Seq: of.position.Seq,
			State: of.state, AtCap: strings.HasPrefix(of.state, stateFull),
		}
		if of.feed != nil {
			st.Lag = of.feed.lag()
		}
		if of.state != stateRunning {
			st.Lag = max(st.Lag, of.lag)
		}
		out = append(out, st)
	}
	return out
}
