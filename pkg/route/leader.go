package route

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"example.com/lockstep/pkg/topology"
)

const (
	silence  = 500 * time.Millisecond // without a confirmation, until the router asks for the lane's leader
	askEvery = 250 * time.Millisecond
	askLimit = time.Second // for the answer
)

var (
	errNewLeader = errors.New("the log has a new leader, which may not have the message")
	errNoLeader  = errors.New("the stream has no leader")
)

// follow fails the messages that were lost with a lane's leader. In a cluster a stream whose leader has died has no leader for
// seconds, and the next one may lack messages that were in flight. So follow asks for the leader of a lane that owes
// confirmations and is silent, until there is a new one. If a message was stored after all, its events are stored twice and
// applied once.
func (l *logWriter) follow(leaderOf func(ctx context.Context, lane string) (string, error), log *slog.Logger) {
	defer l.done.Done()
	type led struct{ lane, by string }
	answers := make(chan led)
	ctx, cancel := context.WithCancel(context.Background())
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	ask := func(lane string) {
		ctx, cancel := context.WithTimeout(ctx, askLimit)
		defer cancel()
		by, err := leaderOf(ctx, lane)
		if err != nil {
			return // the next tick asks again
		}
		select {
		case answers <- led{lane, by}:
		case <-ctx.Done():
		}
	}
	leader := make(map[string]string) // by lane
	stalls := stalls{log: log, began: make(map[string]time.Time), told: make(map[string]bool)}
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			stalls.over(l.heardAt)
			for _, lane := range l.silent(now, leader) {
				asking.Go(func() { ask(lane) })
			}
		case a := <-answers:
			if before := leader[a.lane]; before != "" && before != a.by {
				l.failWhere(func(_ uint64, s pending) bool { return s.lane == a.lane }, errNewLeader)
			}
			leader[a.lane] = a.by
			stalls.answered(a.lane, l.heardAt(a.lane), time.Now())
		case <-l.quit:
			return
		}
	}
}

// silent lists the lanes that owe confirmations and have sent none for a while, and those whose leader is not known yet.
func (l *logWriter) silent(now time.Time, leader map[string]string) (lanes []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest := make(map[string]time.Time)
	for _, s := range l.waiting {
		if at, ok := oldest[s.lane]; !ok || s.at.Before(at) {
			oldest[s.lane] = s.at
		}
	}
	for lane, at := range oldest {
		if leader[lane] == "" || now.Sub(at) >= silence && now.Sub(l.heard[lane]) >= silence {
			lanes = append(lanes, lane)
		}
	}
	return lanes
}

// heardAt returns the time of a lane's last confirmation.
func (l *logWriter) heardAt(lane string) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard[lane]
}

// leaderOf asks for the leader of a lane's stream.
func (r *Router) leaderOf(ctx context.Context, lane string) (string, error) {
	var epoch uint64
	var n int
	if _, err := fmt.Sscanf(lane, r.cfg.App+".work.%d.%d.", &epoch, &n); err != nil {
		return "", err
	}
	s, err := r.js.Stream(ctx, topology.StreamName(r.cfg.App, epoch, n))
	if err != nil {
		return "", err
	}
	cluster := s.CachedInfo().Cluster // a server that is alone leads too
	if cluster == nil || cluster.Leader == "" {
		return "", errNoLeader
	}
	return cluster.Leader, nil
}
