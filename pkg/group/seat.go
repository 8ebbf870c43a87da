package group

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	retryMin    = 50 * time.Millisecond // after an error
	retryMax    = 2 * time.Second
	releaseTime = 2 * time.Second
	// hardReleaseTime is the same when the time to stop is up: the lock server may be what hangs.
	hardReleaseTime = 500 * time.Millisecond
)

// seat is this member's part in one shard: whether it wants the shard, and whether it holds the lease.
type seat struct {
	shard int

	mu        sync.Mutex // guards what follows
	wanted    bool
	held      bool
	left      bool
	changedAt time.Time     // wanted or held, last
	stop      chan struct{} // of the current ownership
	changed   chan struct{} // cap 1: wanted has changed, or the lease was released
}

func newSeat(shard int) *seat { return &seat{shard: shard, changed: make(chan struct{}, 1)} }

func (s *seat) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *seat) want(wanted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wanted == wanted {
		return
	}
	s.wanted, s.changedAt = wanted, time.Now()
	if !wanted && s.stop != nil {
		close(s.stop)
		s.stop = nil
	}
	s.wake()
}

// leave makes the seat's loop end.
func (s *seat) leave() {
	s.want(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = true
	s.wake()
}

func (s *seat) state() (wanted, left bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wanted, s.left
}

// unsettled tells whether the shard is to be taken or handed over, and when that began.
func (s *seat) unsettled() (changedAt time.Time, is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changedAt, s.wanted != s.held
}

// begin notes that the lease is held, and returns the channel that is closed when the shard is to be handed over.
func (s *seat) begin() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held, s.changedAt = true, time.Now()
	stop := make(chan struct{})
	if s.wanted {
		s.stop = stop
	} else {
		close(stop)
	}
	return stop
}

func (s *seat) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held, s.stop, s.changedAt = false, nil, time.Now()
}

// sit takes the shard whenever it is wanted.
func (g *Group) sit(s *seat) {
	defer g.seated.Done()
	retry := retryMin
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wanted, left := s.state()
		if left || g.hard.Err() != nil {
			return
		}
		wait := time.Hour
		if wanted {
			err := g.occupy(s)
			var taken *lease.Taken
			switch {
			case err == nil:
				retry = retryMin
				continue
			case errors.As(err, &taken):
				// The holder announces a release; otherwise try when the lease is due to expire.
				retry, wait = retryMin, max(taken.For, retryMin)
			default:
				g.cfg.Log.Warn("could not take the lease of a shard; trying again", "shard", s.shard, "in", retry, "error", err)
				wait = retry
				retry = min(2*retry, retryMax)
			}
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-s.changed:
		case <-g.hard.Done():
		}
	}
}

// occupy takes the lease and owns the shard until it is to be handed over or is lost.
func (g *Group) occupy(s *seat) error {
	held, err := g.cfg.Locker.Try(g.hard, s.shard, g.id)
	if err != nil {
		return err
	}
	stop := s.begin()
	g.metrics.owned.Inc()
	ctx, cancel := context.WithCancelCause(g.hard)
	unhook := context.AfterFunc(held.Context(), func() { cancel(context.Cause(held.Context())) })
	g.mu.Lock()
	present := g.present
	g.mu.Unlock()
	stay := context.AfterFunc(present, func() { cancel(context.Cause(present)) })
	g.cfg.Own(ctx, Ownership{
		Shard: s.shard, Stop: stop,
		Announce: func(ctx context.Context) (uint64, error) { return g.announce(ctx, s.shard) },
		Confirm:  func(ctx context.Context, revision uint64) (uint64, error) { return g.confirm(ctx, s.shard, revision) },
	})
	stay()
	unhook()
	if cause := context.Cause(held.Context()); cause != nil {
		g.cfg.Log.Warn("lease lost", "shard", s.shard, "cause", cause)
		g.metrics.lost.Inc()
	}
	cancel(context.Canceled)
	s.end()
	g.metrics.owned.Dec()
	limit := releaseTime
	if g.hard.Err() != nil {
		limit = hardReleaseTime
	}
	release, done := context.WithTimeout(context.Background(), limit)
	defer done()
	if err := held.Release(release); err != nil {
		g.cfg.Log.Warn("could not release a lease; it expires by itself", "shard", s.shard, "error", err)
		return nil
	}
	g.announceReleased(s.shard)
	return nil
}

func (g *Group) announce(ctx context.Context, shard int) (uint64, error) {
	rev, err := g.claims.Put(ctx, claimKey(shard), g.claim())
	if errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, context.DeadlineExceeded) {
		err = topology.Unanswered(ctx, g.claims, err)
	}
	if err != nil {
		return 0, fmt.Errorf("announce the owner of shard %d: %w", shard, err)
	}
	g.ofClaims.Expect(rev)
	return rev, nil
}

func (g *Group) confirm(ctx context.Context, shard int, revision uint64) (uint64, error) {
	rev, err := g.claims.Update(ctx, claimKey(shard), g.claim(), revision)
	if err != nil && isWrongRevision(err) {
		err = ErrOutrun
	}
	if err != nil {
		return 0, fmt.Errorf("confirm the owner of shard %d: %w", shard, err)
	}
	g.ofClaims.Expect(rev)
	return rev, nil
}

func claimKey(shard int) string { return "shard." + strconv.Itoa(shard) }

func (g *Group) claim() []byte {
	b, err := json.Marshal(claim{Schema: 1, Member: g.id})
	if err != nil {
		panic(err) // a number and a string
	}
	return b
}

// announceReleased makes members that wait for these shards try at once.
func (g *Group) announceReleased(shards ...int) {
	b, err := json.Marshal(shards)
	if err == nil {
		err = g.nc.Publish(topology.ControlSubject(g.cfg.App, "released"), b)
	}
	if err != nil { // members try when the lease is due to expire
		g.cfg.Log.Debug("could not announce released shards", "shards", shards, "error", err)
	}
}

func (g *Group) released(m *nats.Msg) {
	var shards []int
	if json.Unmarshal(m.Data, &shards) != nil {
		return
	}
	for _, shard := range shards {
		if shard >= 0 && shard < len(g.seats) {
			g.seats[shard].wake()
		}
	}
}
