package sim

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/lease"
	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"
)

var background = context.Background()

// Times within which members have found their places again.
const (
	calm     = 20 * time.Second                         // after any fault: the time of a lease, of finding members and of judging them
	moved    = time.Second                              // after a crash, if the others are steady
	runsOut  = lease.DefaultTTL + 3500*time.Millisecond // after a member has been paused: its lease, and the silence before
	steady   = 6 * time.Second                          // after a connection: from then on a member judges others
	handOver = time.Second                              // after a member has begun to stop
	excused  = 3 * time.Second                          // after a fault of its own: until then others may remove the member
)

// council is a history of a group: members with leases, whose owners have no work.
type council struct {
	*World
	shards  int
	locks   []*LockServer
	members []*member
	started int

	mu     sync.Mutex               // guards what follows
	owners map[int]map[*member]bool // true: it has announced that it owns the shard
}

type member struct {
	*Process
	c       *council
	g       *group.Group
	nc      *nats.Conn
	cancel  context.CancelFunc // of its start
	up      chan struct{}      // closed when its start has ended
	leaving bool
	stopped chan struct{} // closed when its stop has ended
}

func newCouncil(w *World) (run, end func()) {
	c := &council{World: w, shards: 1 + w.Rand.IntN(6), owners: make(map[int]map[*member]bool)}
	for i := range []int{1, 1, 1, 3}[w.Rand.IntN(4)] {
		s := w.NewLockServer([]string{"lock server", "lock server 2", "lock server 3"}[i])
		c.watch(s)
		c.locks = append(c.locks, s)
	}
	w.Broker.Stored = c.stored
	return c.run, c.end
}

// watch fails the history if a member ends the lease of a healthy one, or if a lease that has run out goes on, at the server or
// at its owner.
func (c *council) watch(s *LockServer) {
	type holder struct {
		p     *Process
		value string
		ended bool // by a member, before it ran out
	}
	holders := make(map[string]holder)
	s.Took = func(p *Process, name, value string) {
		before := holders[name]
		holders[name] = holder{p: p, value: value}
		if before.p != nil && before.p != p && !before.ended && len(c.locks) == 1 && c.owns(before.p, name) {
			c.Break("%s takes %s, and %s, whose lease had run out, is still its owner", p.Name, name, before.p.Name)
		}
	}
	s.Renewed = func(p *Process, name, value string) {
		c.Break("%s hides that it had lost %s: it has taken it again by renewing it", p.Name, name)
	}
	s.Ended = func(p *Process, name, value string) {
		of := holders[name]
		of.ended = true
		holders[name] = of
		if of.p != p && of.p.Untroubled() > excused {
			c.Break("%s has ended the lease %s of %s, which is healthy", p.Name, name, of.p.Name)
		}
	}
}

// owns tells whether a living process owns the shard of a lease.
func (c *council) owns(p *Process, name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for shard, owners := range c.owners {
		for m := range owners {
			if m.Process == p && !m.Dead() && name == fmt.Sprintf("app:lease:%d", shard) {
				return true
			}
		}
	}
	return false
}

// stored fails the history if a member is removed that was healthy when the removal was sent. (The sender may have been paused
// between its judgement and the sending.)
func (c *council) stored(p *Process, sent time.Time, subject string, header []byte) {
	id, ok := strings.CutPrefix(subject, "$KV.app_members.")
	if !ok || headerOf(header, "KV-Operation") != "DEL" {
		return
	}
	for _, m := range c.members {
		if m.g != nil && m.g.ID() == id && !m.leaving && m.Untroubled() > excused && sent.Sub(m.trouble) > excused {
			c.Break("%s has removed %s, which is alive and reachable", p.Name, m.Name)
		}
	}
	c.Note("removed")
}

func (c *council) start() *member {
	c.started++
	m := &member{c: c, up: make(chan struct{}), Process: c.NewProcess("member " + string(rune('a'+c.started-1)))}
	c.members = append(c.members, m)
	var ctx context.Context
	ctx, m.cancel = context.WithCancel(background)
	clients := make([]redis.UniversalClient, len(c.locks))
	for i, s := range c.locks {
		clients[i] = s.For(m.Process)
	}
	locker, err := lease.New(lease.Config{App: "app"}, clients...)
	if err != nil {
		panic(err)
	}
	go func() {
		defer close(m.up)
		for ctx.Err() == nil && !m.begin(ctx, locker) { // as a supervisor does
			time.Sleep(time.Second)
		}
	}()
	return m
}

// begin tells whether the member has joined the group.
func (m *member) begin(ctx context.Context, locker *lease.Locker) bool {
	nc, err := m.Connect()
	if err != nil {
		return false
	}
	g, err := group.New(nc, group.Config{
		App: "app", Name: m.Name, Shards: m.c.shards, Replicas: 1, Locker: group.Leases(locker), Own: m.own, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	m.c.mu.Lock()
	m.nc, m.g = nc, g
	m.c.mu.Unlock()
	if g.Start(ctx) == nil {
		return true
	}
	nc.Close()
	return false
}

// own does a worker's part of an ownership.
func (m *member) own(ctx context.Context, o group.Ownership) {
	m.c.mu.Lock()
	if m.c.owners[o.Shard] == nil {
		m.c.owners[o.Shard] = make(map[*member]bool)
	}
	m.c.owners[o.Shard][m] = false
	m.c.mu.Unlock()
	defer func() {
		m.c.mu.Lock()
		defer m.c.mu.Unlock()
		delete(m.c.owners[o.Shard], m)
	}()
	for {
		if rev, err := o.Announce(ctx); err == nil {
			if _, err = o.Confirm(ctx, rev); err == nil {
				m.c.mu.Lock()
				m.c.owners[o.Shard][m] = true
				m.c.mu.Unlock()
				break
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-o.Stop:
			return
		case <-ctx.Done():
			return
		}
	}
	select {
	case <-o.Stop:
	case <-ctx.Done():
	}
}

// stop makes a member leave, soft or hard.
func (m *member) stop(ctx context.Context) {
	if m.leaving {
		return
	}
	m.leaving, m.stopped = true, make(chan struct{})
	m.cancel()
	go func() {
		defer close(m.stopped)
		<-m.up
		if m.g != nil {
			_ = m.g.Stop(ctx)
			m.nc.Close()
		}
	}()
}

func (m *member) kill() {
	m.Kill()
	m.stop(gone)
}

// gone is a context that has ended.
var gone = func() context.Context {
	ctx, cancel := context.WithCancel(background)
	cancel()
	return ctx
}()

// present returns the members that are alive and not leaving.
func (c *council) present() []*member {
	return slices.DeleteFunc(slices.Clone(c.members), func(m *member) bool { return m.leaving || m.Dead() })
}

// well returns those of them that are neither paused nor stalled.
func (c *council) well() []*member {
	return slices.DeleteFunc(c.present(), func(m *member) bool { return m.held() })
}

// owned tells whether each shard has exactly the owner that the assignment to these members names.
func (c *council) owned(by []*member) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := make([]string, 0, len(by))
	for _, m := range by {
		if m.g == nil {
			return false
		}
		ids = append(ids, m.g.ID())
	}
	for shard, id := range group.Assign(c.shards, ids) {
		right := false
		for m, announced := range c.owners[shard] {
			switch {
			case m.g.ID() == id:
				right = announced
			case !m.Dead() && !m.held():
				return false
			}
		}
		if !right {
			return false
		}
	}
	return true
}

// settle waits until members own all shards as they should.
func (c *council) settle(by []*member, within time.Duration, what string) {
	until := c.Elapsed() + within
	over := false
	c.RunUntil(func() bool {
		over = c.Elapsed() >= until
		return over || c.owned(by) && !slices.ContainsFunc(by, func(m *member) bool { return !m.g.Settled() })
	})
	if over {
		c.mu.Lock()
		defer c.mu.Unlock()
		for shard := range c.shards {
			for m := range c.owners[shard] {
				c.Say("shard %d: %s", shard, m.Name)
			}
		}
		broken("%s, and %s later not every shard has the one owner it should", what, within)
	}
}

// steady waits until all members have been connected for long enough to judge one another.
func (c *council) steady() {
	until := c.Elapsed() + time.Minute
	c.RunUntil(func() bool {
		return c.Elapsed() > until || !slices.ContainsFunc(c.present(), func(m *member) bool { return m.Up() < steady })
	})
	if c.Elapsed() > until {
		broken("a member that nothing troubles does not stay connected")
	}
	c.settle(c.present(), time.Second, "all have been connected for a while")
}

func (c *council) wait(d time.Duration) { c.Run(time.Duration(1 + c.Rand.Int64N(int64(d)))) }

func (c *council) run() {
	for range 2 + c.Rand.IntN(3)/2 {
		c.start()
		c.wait(time.Second)
	}
	c.settle(c.members, calm, "members have started")
	for range 1 + c.Rand.IntN(4)/3 {
		c.episode()
	}
}

// end stops all members.
func (c *council) end() {
	for _, m := range c.members {
		m.stop(gone)
	}
	for _, m := range c.members {
		c.RunUntil(func() bool { return ended(m.stopped) })
	}
	c.Run(2 * time.Second) // the client's last time-outs
}
