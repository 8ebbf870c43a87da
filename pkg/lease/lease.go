// Package lease is a worker's leases on shards: redsync locks over one Redis or a quorum of several, renewed apart from
// processing. A lease makes ownership orderly; it does not make it safe. Safety rests on the store's versions alone.
package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-redsync/redsync/v4"
	redsyncredis "github.com/go-redsync/redsync/v4/redis"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"
)

// Defaults of Config.
const (
	DefaultTTL   = 10 * time.Second
	DefaultRenew = 3 * time.Second
)

// Errors of a lease.
var (
	ErrTaken = errors.New("another owner holds the lease")
	ErrLost  = errors.New("the lease was lost") // the cause of a lost lease's context
)

// Taken is the error of Try when another owner holds the lease.
type Taken struct {
	For time.Duration // until the lease expires unless it is renewed; 0 if unknown
}

func (t *Taken) Error() string { return fmt.Sprintf("%v for at most %s", ErrTaken, t.For) }

// Is makes a Taken an ErrTaken.
func (t *Taken) Is(target error) bool { return target == ErrTaken }

// Config sets how long leases last.
type Config struct {
	App   string
	TTL   time.Duration // default 10 s
	Renew time.Duration // default 3 s; at most a third of TTL, so that two renewals may fail
}

// Locker takes leases.
type Locker struct {
	cfg     Config
	sync    *redsync.Redsync
	clients []redis.UniversalClient
}

// New makes a Locker over one Redis, or over a quorum of several independent ones. The clients must have
// ContextTimeoutEnabled, else a server that hangs blocks every call for minutes.
func New(cfg Config, clients ...redis.UniversalClient) (*Locker, error) {
	if cfg.TTL == 0 {
		cfg.TTL = DefaultTTL
	}
	if cfg.Renew == 0 {
		cfg.Renew = DefaultRenew
	}
	if cfg.Renew <= 0 || cfg.TTL < 3*cfg.Renew {
		return nil, fmt.Errorf("lease of %s renewed every %s: it must last at least three renewals", cfg.TTL, cfg.Renew)
	}
	if len(clients) == 0 {
		return nil, errors.New("no Redis for the leases")
	}
	pools := make([]redsyncredis.Pool, len(clients))
	for i, c := range clients {
		pools[i] = goredis.NewPool(c)
	}
	return &Locker{cfg: cfg, sync: redsync.New(pools...), clients: clients}, nil
}

func (l *Locker) mutex(what string, opts ...redsync.Option) *redsync.Mutex {
	return l.sync.NewMutex(l.cfg.App+":lease:"+what, append(opts, redsync.WithExpiry(l.cfg.TTL), redsync.WithTries(1))...)
}

// Try takes the lease of a shard for a holder if it is free; else its error is a *Taken. It never waits. The lock's value names
// the holder.
func (l *Locker) Try(ctx context.Context, shard int, holder string) (*Lease, error) {
	return l.try(ctx, l.mutex(strconv.Itoa(shard), redsync.WithGenValueFunc(func() (string, error) { return holder + "/" + rand.Text(), nil })))
}

// TryNamed is Try for a lease by name, such as the janitor's.
func (l *Locker) TryNamed(ctx context.Context, what string) (*Lease, error) {
	return l.try(ctx, l.mutex(what))
}

func (l *Locker) try(ctx context.Context, m *redsync.Mutex) (*Lease, error) {
	if err := m.TryLockContext(ctx); err != nil {
		if isTaken(err) {
			return nil, &Taken{For: l.remaining(ctx, m.Name())}
		}
		return nil, fmt.Errorf("take lease %s: %w", m.Name(), err)
	}
	held, lose := context.WithCancelCause(context.Background())
	lease := &Lease{mutex: m, clients: l.clients, cfg: l.cfg, held: held, lose: lose, quit: make(chan struct{}), done: make(chan struct{})}
	go lease.renew(m.Until())
	return lease, nil
}

// isTaken tells whether another owner holds the lease; after other errors the servers could not be reached.
func isTaken(err error) bool {
	var taken *redsync.ErrTaken
	return errors.As(err, &taken) || errors.Is(err, redsync.ErrFailed)
}

// bound limits a lock's remaining time to its time to live. KEYS: lock. ARGV: time to live in ms.
var bound = redis.NewScript(`
local left = redis.call('PTTL', KEYS[1])
if left == -1 or left > tonumber(ARGV[1]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
return left`)

// left is how long a server keeps a lock unless it is renewed. The holder relies on no more than the time to live after the last
// renewal. The server keeps the lock for longer if its clock has stepped back, and for ever if the expiry was removed; then, if
// the holder is gone, no other owner would get the lease for that long. So left bounds it.
func (l *Locker) left(ctx context.Context, c redis.UniversalClient, name string) time.Duration {
	left, err := c.PTTL(ctx, name).Result() // -1 without an expiry
	if err == nil && (left == -1 || left > l.cfg.TTL) {
		ms, _ := bound.Run(ctx, c, []string{name}, l.cfg.TTL.Milliseconds()).Int64()
		left = time.Duration(ms) * time.Millisecond
	}
	return left
}

// remaining is how long the lease lasts unless it is renewed: the longest time of all servers that answer in time.
func (l *Locker) remaining(ctx context.Context, name string) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.TTL/20) // as redsync does
	defer cancel()
	said := make([]time.Duration, len(l.clients))
	var servers sync.WaitGroup
	for i, c := range l.clients {
		servers.Go(func() { said[i] = l.left(ctx, c, name) })
	}
	servers.Wait()
	return min(max(0, slices.Max(said)), l.cfg.TTL)
}

// Unlock ends the lease of a shard on behalf of a holder that is proven to be gone. It leaves another holder's lease alone.
func (l *Locker) Unlock(ctx context.Context, shard int, holder string) error {
	values, err := l.valuesOf(ctx, shard, holder)
	for _, value := range values {
		_, failed := l.mutex(strconv.Itoa(shard), redsync.WithValue(value)).UnlockContext(ctx)
		if failed != nil && !isTaken(failed) && !isOver(failed) {
			err = failed
		}
	}
	if err != nil {
		return fmt.Errorf("unlock shard %d for its last owner: %w", shard, err)
	}
	return nil
}

// valuesOf returns the values of a shard's lock that name a holder. It asks all servers and waits for a majority: at least one
// of them has the lease. The error means that no majority can be reached.
func (l *Locker) valuesOf(ctx context.Context, shard int, holder string) (values []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.TTL/20) // ends the calls to servers that hang
	defer cancel()
	name := l.mutex(strconv.Itoa(shard)).Name()
	answers := make(chan *redis.StringCmd, len(l.clients))
	for _, c := range l.clients {
		go func() { answers <- c.Get(ctx, name) }()
	}
	said := 0
	for range l.clients {
		value, failed := (<-answers).Result()
		if failed != nil && !errors.Is(failed, redis.Nil) {
			err = errors.Join(err, failed)
			continue
		}
		if strings.HasPrefix(value, holder+"/") && !slices.Contains(values, value) {
			values = append(values, value)
		}
		if said++; said > len(l.clients)/2 {
			return values, nil
		}
	}
	return values, err
}

// isOver tells whether no server has the lease any more. It is false if a server was not reached, which may still have it.
func isOver(err error) bool {
	var unreached *redsync.RedisError
	return errors.Is(err, redsync.ErrLockAlreadyExpired) && !errors.As(err, &unreached)
}

// Lease is the lease of one shard, renewed until it is released or lost.
type Lease struct {
	mutex   *redsync.Mutex
	clients []redis.UniversalClient
	cfg     Config
	held    context.Context
	lose    context.CancelCauseFunc
	quit    chan struct{}
	once    sync.Once
	done    chan struct{}
}

// Value is the lock's value: the holder, and a random part of this lease.
func (l *Lease) Value() string { return l.mutex.Value() }

// Context ends when the lease is lost, with ErrLost as its cause, or released.
func (l *Lease) Context() context.Context { return l.held }

// Release ends the lease.
func (l *Lease) Release(ctx context.Context) error {
	l.once.Do(func() { close(l.quit) })
	<-l.done
	l.lose(context.Canceled)
	if _, err := l.mutex.UnlockContext(ctx); err != nil && !isTaken(err) && !isOver(err) {
		return fmt.Errorf("release %s: %w", l.mutex.Name(), err)
	}
	return nil
}

// renew extends the lease in time. A server that hangs may use up the time given to all, twice; the rest must suffice to release
// the lease. Expiry is judged on the monotonic clock: until counts from before the call that took or extended the lease.
func (l *Lease) renew(until time.Time) {
	defer close(l.done)
	next := time.NewTimer(l.cfg.Renew)
	defer next.Stop()
	expiry := time.NewTimer(time.Until(until))
	defer expiry.Stop()
	for {
		select {
		case <-l.quit:
			return
		case <-expiry.C:
			l.lose(fmt.Errorf("%w: it could not be renewed for %s", ErrLost, l.cfg.TTL))
			return
		case <-next.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), min(l.cfg.Renew/4, time.Until(until)))
		_, err := l.mutex.ExtendContext(ctx)
		cancel()
		switch {
		case err == nil || l.mutex.Until().After(until):
			until = l.mutex.Until()
			expiry.Reset(time.Until(until))
			next.Reset(l.cfg.Renew)
			l.spread()
		case isTaken(err):
			l.lose(fmt.Errorf("%w: %w", ErrLost, err))
			return
		default: // the servers cannot be reached: try again while the lease lasts
			next.Reset(l.cfg.Renew / 6)
		}
	}
}

// spread stores a lease that has just been renewed on those of several servers that lack it: a server that was down, or had
// another owner's lock when the lease was taken. The next renewal may need them for its majority.
func (l *Lease) spread() {
	if len(l.clients) == 1 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.cfg.Renew/4)
	defer cancel()
	var servers sync.WaitGroup
	for _, c := range l.clients {
		servers.Go(func() { _ = c.SetNX(ctx, l.mutex.Name(), l.mutex.Value(), l.cfg.TTL).Err() })
	}
	servers.Wait() // a call in flight after the release would store the lease again
}
