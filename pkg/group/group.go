// Package group decides which worker owns which shard. Workers announce themselves in a KV bucket and probe one another;
// each computes the same assignment from the same members; a lease makes each handover orderly. When a member is proven
// gone its leases are unlocked on its behalf, so that a crash costs well under a second.
package group

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/lifecycle"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	joinTime    = 5 * time.Second // for the server to take our subscriptions
	signOffTime = time.Second
)

// Lease is a lease on a shard.
type Lease interface {
	Context() context.Context // ends when the lease is lost
	Release(context.Context) error
}

// Locker takes and unlocks leases. Leases makes the usual one; with one that takes no locks at all, state is still right.
type Locker interface {
	// Try takes a lease for a member if it is free. Otherwise the error is a *lease.Taken.
	Try(ctx context.Context, shard int, member string) (Lease, error)
	// Unlock ends a dead member's lease, if the member holds it.
	Unlock(ctx context.Context, shard int, member string) error
}

// Leases makes a Locker that takes redsync leases.
func Leases(l *lease.Locker) Locker { return leases{l} }

type leases struct{ *lease.Locker }

func (r leases) Try(ctx context.Context, shard int, member string) (Lease, error) {
	l, err := r.Locker.Try(ctx, shard, member)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Ownership is the time for which this member owns a shard.
type Ownership struct {
	Shard int
	Stop  <-chan struct{} // closed when the shard is to be handed over: finish the current work, and return
	// Announce puts the member into the claims bucket and returns the entry's revision, which only grows.
	Announce func(ctx context.Context) (revision uint64, err error)
	// Confirm renews the entry and returns its new revision, or ErrOutrun if the given revision is no longer the entry's:
	// another worker has announced its ownership meanwhile.
	Confirm func(ctx context.Context, revision uint64) (uint64, error)
}

// ErrOutrun means that another worker has announced its ownership of the shard after this one.
var ErrOutrun = errors.New("another worker has announced that it owns the shard")

// Config is how a Group works.
type Config struct {
	App      string
	Name     string // shown to people; default the host's name
	Shards   int
	Replicas int // of the buckets, if they are to be created
	Locker   Locker
	// Own is called for each shard won, on a goroutine of its own. It returns when o.Stop is closed, or at once when ctx
	// ends: the lease was lost, or the group is stopped hard.
	Own func(ctx context.Context, o Ownership)
	// Admit is called at the start with the ids of the other members, before they know of this one, and again with those
	// that joined meanwhile. If it returns an error this member does not join, or leaves. nil admits this member.
	Admit func(ctx context.Context, others []string) error
	// Unanswered is called when the members bucket does not answer, as on a server that is cut off from its cluster. It may
	// be nil.
	Unanswered func()
	Log        *slog.Logger
	Metrics    prometheus.Registerer
}

// Member is a worker's entry in the members bucket.
type Member struct {
	Schema  int       `json:"schema"`
	Name    string    `json:"name"`
	Started time.Time `json:"started"`
	Proof   string    `json:"proof,omitempty"` // random; its answers to probes carry it. Older releases have none
}

// claim is a shard's entry in the claims bucket: the member that won the shard last.
type claim struct {
	Schema int    `json:"schema"`
	Member string `json:"member"`
}

// Group is this worker's membership.
type Group struct {
	cfg     Config
	id      string
	proof   string // carried by this process's answers to probes
	nc      *nats.Conn
	js      jetstream.JetStream
	metrics *metrics

	steadyBefore time.Duration

	members, claims     jetstream.KeyValue
	ofMembers, ofClaims *topology.Follower
	self                []byte
	subs                []*nats.Subscription
	listening           sync.WaitGroup
	asking              asking

	mu       sync.Mutex        // guards what follows
	revision map[string]uint64 // of each member's entry
	arriving map[string]uint64 // the same, while all of them come anew; nil: they do not
	proofs   map[string]string // of each member's entry
	claimed  map[int]claim
	seats    []*seat
	synced   bool // the members watch has delivered all members
	leaving  bool
	present  context.Context // ends, with the cause, when this member withdraws
	withdraw context.CancelCauseFunc

	once    *lifecycle.Once
	staying context.Context // ends when we leave
	leave   context.CancelFunc
	hard    context.Context // ends at a hard stop
	cancel  context.CancelFunc
	loops   sync.WaitGroup
	settles sync.WaitGroup
	seated  sync.WaitGroup
}

// New makes a Group.
func New(nc *nats.Conn, cfg Config) (*Group, error) {
	if err := appname.Check(cfg.App); err != nil {
		return nil, err
	}
	if cfg.Shards < 1 || cfg.Locker == nil || cfg.Own == nil {
		return nil, errors.New("group: Shards, Locker and Own are required")
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("group: %w", err)
	}
	g := &Group{
		cfg: cfg, id: random(8), proof: random(8), nc: nc, js: js, metrics: newMetrics(cfg.App, cfg.Metrics), steadyBefore: steadyBefore,
		revision: make(map[string]uint64), proofs: make(map[string]string), claimed: make(map[int]claim),
	}
	g.once = lifecycle.NewOnce("group member", g.start, g.stop)
	g.hard, g.cancel = context.WithCancel(context.Background())
	g.staying, g.leave = context.WithCancel(g.hard)
	g.present, g.withdraw = context.WithCancelCause(context.Background())
	for shard := range cfg.Shards {
		g.seats = append(g.seats, newSeat(shard))
	}
	return g, nil
}

// ID returns this member's random id.
func (g *Group) ID() string { return g.id }

// Start joins the group.
func (g *Group) Start(ctx context.Context) error { return g.once.Start(ctx) }

func (g *Group) start(ctx context.Context) (err error) {
	if g.members, err = topology.OpenBucket(ctx, g.js, g.cfg.App, "members", g.cfg.Replicas); err != nil {
		return err
	}
	if g.claims, err = topology.OpenBucket(ctx, g.js, g.cfg.App, "claims", g.cfg.Replicas); err != nil {
		return err
	}
	if g.self, err = json.Marshal(Member{Schema: 1, Name: g.cfg.Name, Started: time.Now().UTC(), Proof: g.proof}); err != nil {
		return fmt.Errorf("join the group: %w", err)
	}
	if err := g.join(ctx); err != nil {
		return err
	}
	for _, s := range g.seats {
		g.seated.Add(1)
		go g.sit(s)
	}
	g.loops.Add(1)
	go g.probe()
	return nil
}

func (g *Group) join(ctx context.Context) error {
	for subject, fn := range map[string]nats.MsgHandler{
		topology.ControlSubject(g.cfg.App, "presence."+g.id): g.answerProbe,
		topology.ControlSubject(g.cfg.App, "released"):       g.released,
	} {
		sub, err := g.nc.Subscribe(subject, fn)
		if err != nil {
			return fmt.Errorf("join the group: %w", err)
		}
		g.listening.Add(1)
		sub.SetClosedHandler(func(string) { g.listening.Done() })
		g.subs = append(g.subs, sub)
	}
	if err := g.nc.FlushTimeout(joinTime); err != nil {
		return fmt.Errorf("join the group: %w", err)
	}
	var err error
	if g.ofClaims, err = topology.Follow(ctx, g.nc, g.claims, g.cfg.Log, func() {}, g.claimChanged); err != nil {
		return err
	}
	known, err := g.admit(ctx)
	if err != nil {
		return err
	}
	if _, err := g.members.Put(ctx, g.id, g.self); err != nil {
		return fmt.Errorf("join the group: %w", err)
	}
	if g.ofMembers, err = topology.Follow(ctx, g.nc, g.members, g.cfg.Log, g.membersBegin, g.memberChanged); err != nil {
		return err
	}
	added := slices.DeleteFunc(g.Others(), func(id string) bool { return slices.Contains(known, id) })
	if g.cfg.Admit == nil || len(added) == 0 {
		return nil
	}
	return g.cfg.Admit(ctx, added)
}

// admit asks cfg.Admit whether this member may join the present ones, and returns their ids.
func (g *Group) admit(ctx context.Context) (ids []string, err error) {
	if g.cfg.Admit == nil {
		return nil, nil
	}
	keys, err := g.members.ListKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the members: %w", err)
	}
	for id := range keys.Keys() {
		ids = append(ids, id)
	}
	return ids, g.cfg.Admit(ctx, ids)
}

// Joined tells whether this member knows the other members, has not withdrawn, and is not leaving.
func (g *Group) Joined() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.synced && !g.leaving && !g.withdrawn()
}

// Unsettled returns the shards that this member has to take or to hand over, and from when on.
func (g *Group) Unsettled() map[int]time.Time {
	out := make(map[int]time.Time)
	for _, s := range g.seats {
		if changedAt, is := s.unsettled(); is {
			out[s.shard] = changedAt
		}
	}
	return out
}

// Settled tells whether this member holds exactly the shards that are assigned to it.
func (g *Group) Settled() bool { return g.Joined() && len(g.Unsettled()) == 0 }

// Stop leaves the group: it hands its shards over, each when its owner has finished the current work. When ctx ends it stops
// hard: the owners' contexts end.
func (g *Group) Stop(ctx context.Context) error { return g.once.Stop(ctx) }

func (g *Group) stop(ctx context.Context) error {
	g.mu.Lock()
	g.leaving = true
	g.mu.Unlock()
	g.leave()
	// The order matters: first others learn that they take over, then each shard is finished, released and announced, and
	// only then does this member no longer answer probes.
	g.signOff(ctx)
	err := g.vacate(ctx)
	g.cancel()
	for _, f := range []*topology.Follower{g.ofClaims, g.ofMembers} {
		if f != nil {
			f.Stop()
		}
	}
	for _, s := range g.subs {
		_ = s.Unsubscribe() // fails only on a closed connection, which ends it too
	}
	g.loops.Wait()
	g.asking.stop()
	g.listening.Wait()
	return err
}

// signOff removes this member's entry for good.
func (g *Group) signOff(ctx context.Context) {
	g.mu.Lock()
	g.assign()
	g.mu.Unlock()
	g.settles.Wait() // one under way could put the entry back
	if g.members == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), signOffTime)
	defer cancel()
	if err := g.members.Purge(ctx, g.id); err != nil {
		g.cfg.Log.Warn("could not remove own member entry; other workers will detect the departure", "error", err)
	}
}

// vacate waits until all shards are handed over. When ctx ends it ends the owners' contexts.
func (g *Group) vacate(ctx context.Context) error {
	for _, s := range g.seats {
		s.leave()
	}
	seated := make(chan struct{})
	go func() { g.seated.Wait(); close(seated) }()
	select {
	case <-seated:
		return nil
	case <-ctx.Done():
		g.cancel()
		<-seated
		return fmt.Errorf("group stopped before its shards were handed over: %w", ctx.Err())
	}
}
