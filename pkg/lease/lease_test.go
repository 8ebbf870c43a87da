package lease_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/testkit"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func client(t *testing.T, addr string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, DialTimeout: 200 * time.Millisecond, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func locker(t *testing.T, ttl time.Duration, clients ...redis.UniversalClient) *lease.Locker {
	l, err := lease.New(lease.Config{App: "app", TTL: ttl, Renew: ttl / 4}, clients...)
	require.NoError(t, err)
	return l
}

// three are lock servers that know nothing of one another.
func three(t *testing.T) (servers []*testkit.RedisServer, clients []redis.UniversalClient) {
	for range 3 {
		s := testkit.RedisProcess(t)
		servers, clients = append(servers, s), append(clients, client(t, s.Addr))
	}
	return servers, clients
}

func TestOneHolder(t *testing.T) {
	ctx := context.Background()
	c := client(t, testkit.Redis(t))
	l := locker(t, 10*time.Second, c)
	a, err := l.Try(ctx, 1, "a")
	require.NoError(t, err)
	_, err = l.Try(ctx, 1, "a")
	require.ErrorIs(t, err, lease.ErrTaken)
	var taken *lease.Taken
	require.ErrorAs(t, err, &taken)
	require.Positive(t, taken.For)
	require.LessOrEqual(t, taken.For, 10*time.Second)
	b, err := l.Try(ctx, 2, "a")
	require.NoError(t, err, "another shard")
	require.NoError(t, b.Release(ctx))
	require.NoError(t, a.Release(ctx))
	require.NoError(t, a.Release(ctx), "twice")
	require.Error(t, a.Context().Err())
	a, err = l.Try(ctx, 1, "a")
	require.NoError(t, err)
	require.NoError(t, a.Release(ctx))
}

// The holder of a lease hangs, and the server's clock steps back, or the expiry is removed: the lease still ends
// within its time to live. A holder that does not hang keeps it.
func TestClockOfAServerStepsBack(t *testing.T) {
	ctx := context.Background()
	const ttl = 2 * time.Second
	for name, step := range map[string]func(*redis.Client) error{
		"an hour":   func(c *redis.Client) error { return c.PExpire(ctx, "app:lease:1", time.Hour+ttl).Err() },
		"no expiry": func(c *redis.Client) error { return c.Persist(ctx, "app:lease:1").Err() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := client(t, testkit.Redis(t))
			l := locker(t, ttl, c)
			require.NoError(t, c.Set(ctx, "app:lease:1", "hung/x", ttl).Err()) // nobody renews it
			require.NoError(t, step(c))
			began := time.Now()
			var a *lease.Lease
			require.Eventually(t, func() (got bool) {
				a, _ = l.Try(ctx, 1, "a")
				return a != nil
			}, 20*time.Second, ttl/20, "nobody gets it")
			require.Greater(t, time.Since(began), ttl/2, "its holder might have renewed it just now")
			require.NoError(t, step(c))
			_, err := l.Try(ctx, 1, "b")
			require.ErrorIs(t, err, lease.ErrTaken, "its holder renews it")
			require.NoError(t, a.Release(ctx))
		})
	}
}

func TestLeaseIsRenewed(t *testing.T) {
	ctx := context.Background()
	c := client(t, testkit.RedisProcess(t).Addr)
	l := locker(t, 2*time.Second, c)
	a, err := l.Try(ctx, 1, "a")
	require.NoError(t, err)
	// Longer than its time to live: it is there only if it was renewed.
	select {
	case <-a.Context().Done():
		t.Fatal(context.Cause(a.Context()))
	case <-time.After(3 * time.Second):
	}
	require.Equal(t, a.Value(), c.Get(ctx, "app:lease:1").Val())
	require.NoError(t, a.Release(ctx))
}

func TestLostLease(t *testing.T) {
	ctx := context.Background()
	c := client(t, testkit.Redis(t))
	l := locker(t, 400*time.Millisecond, c)
	a, err := l.Try(ctx, 1, "a")
	require.NoError(t, err)
	require.NoError(t, c.Set(ctx, "app:lease:1", "another's", 0).Err())
	<-a.Context().Done()
	require.ErrorIs(t, context.Cause(a.Context()), lease.ErrLost)
	require.NoError(t, a.Release(ctx))
	require.Equal(t, "another's", c.Get(ctx, "app:lease:1").Val(), "the new holder's is left alone")
}

func TestUnlockForTheGone(t *testing.T) {
	ctx := context.Background()
	l := locker(t, 10*time.Second, client(t, testkit.Redis(t)))
	a, err := l.Try(ctx, 1, "a")
	require.NoError(t, err)
	require.NoError(t, l.Unlock(ctx, 1, "b"))
	_, err = l.Try(ctx, 1, "a")
	require.ErrorIs(t, err, lease.ErrTaken)
	require.NoError(t, l.Unlock(ctx, 1, "a"))
	b, err := l.Try(ctx, 1, "a")
	require.NoError(t, err)
	require.NoError(t, a.Release(ctx))
	require.NoError(t, b.Release(ctx))
}

func TestQuorum(t *testing.T) {
	ctx := context.Background()
	servers, clients := three(t)
	l := locker(t, 2*time.Second, clients...)
	servers[0].Kill()
	a, err := l.Try(ctx, 1, "a")
	require.NoError(t, err, "one of three is down")
	_, err = l.Try(ctx, 1, "a")
	require.ErrorIs(t, err, lease.ErrTaken)
	servers[1].Kill()
	<-a.Context().Done()
	require.ErrorIs(t, context.Cause(a.Context()), lease.ErrLost, "two of three are down")
	_ = a.Release(ctx)
	_, err = l.Try(ctx, 2, "a")
	require.Error(t, err)
	require.NotErrorIs(t, err, lease.ErrTaken, "nobody holds it; it cannot be had")
	servers[1].Start(t)
	b, err := l.Try(ctx, 2, "a")
	require.NoError(t, err, "one is back")
	require.NoError(t, b.Release(ctx))
}

// A server that was down, or empty, or had another's lock when the lease was taken, holds it after a renewal. Else the lease
// would end with the next server, though a majority is there.
func TestServerThatIsBackHoldsTheLease(t *testing.T) {
	ctx := context.Background()
	servers, clients := three(t)
	require.NoError(t, clients[0].Set(ctx, "app:lease:1", "another's, who gives it back", 0).Err())
	a, err := locker(t, 2*time.Second, clients...).Try(ctx, 1, "a")
	require.NoError(t, err, "two of three are free")
	require.NoError(t, clients[0].Del(ctx, "app:lease:1").Err())
	require.Eventually(t, func() bool { return clients[0].Get(ctx, "app:lease:1").Val() == a.Value() }, 10*time.Second, 10*time.Millisecond)
	servers[1].Kill()
	select {
	case <-a.Context().Done():
		t.Fatal(context.Cause(a.Context()))
	case <-time.After(3 * time.Second): // longer than its time to live
	}
	require.NoError(t, a.Release(ctx))
	require.Zero(t, clients[0].Exists(ctx, "app:lease:1").Val())
}

// hung is three lock servers. The last one can be made to hang: it takes requests and does not answer.
func hung(t *testing.T) (clients []redis.UniversalClient, last *testkit.Link) {
	for range 2 {
		clients = append(clients, client(t, testkit.RedisProcess(t).Addr))
	}
	last = testkit.NewLink(t, testkit.RedisProcess(t).Addr)
	return append(clients, client(t, last.Addr)), last
}

// Nobody waits long for one that hangs.
func TestServerThatHangs(t *testing.T) {
	ctx := context.Background()
	clients, last := hung(t)
	l := locker(t, 10*time.Second, clients...)
	a, err := l.Try(ctx, 1, "a")
	require.NoError(t, err)
	last.Stall()
	began := time.Now()
	_, err = l.Try(ctx, 1, "a")
	var taken *lease.Taken
	require.ErrorAs(t, err, &taken)
	require.Greater(t, taken.For, 5*time.Second, "the others say so")
	b, err := l.Try(ctx, 2, "a")
	require.NoError(t, err, "two of three do")
	bounded, cancel := context.WithTimeout(ctx, 900*time.Millisecond) // one that hangs is waited for once, for 0.5 s
	defer cancel()
	require.NoError(t, l.Unlock(bounded, 1, "a"))
	require.Less(t, time.Since(began), 4*time.Second, "go-redis alone waits for 5 s, and tries again")
	last.Resume()
	require.NoError(t, a.Release(ctx))
	require.NoError(t, b.Release(ctx))
}

// Nor does a release wait while the lease is being renewed there.
func TestReleaseWhileAServerHangs(t *testing.T) {
	ctx := context.Background()
	clients, last := hung(t)
	const ttl = 10 * time.Second // renewed every 2.5 s, and to be released within two thirds of that
	a, err := locker(t, ttl, clients...).Try(ctx, 1, "a")
	require.NoError(t, err)
	last.Stall()
	left := clients[0].PTTL(ctx, "app:lease:1").Val()
	require.Eventually(t, func() bool { // it is renewed here, and waits for the one that hangs
		was := left
		left = clients[0].PTTL(ctx, "app:lease:1").Val()
		return left > was
	}, 10*time.Second, time.Millisecond)
	release, cancel := context.WithTimeout(ctx, ttl/6)
	defer cancel()
	require.NoError(t, a.Release(release))
	require.Zero(t, clients[0].Exists(ctx, "app:lease:1").Val())
	require.Zero(t, clients[1].Exists(ctx, "app:lease:1").Val())
	last.Resume()
}

// Unlock finds a lease by its holder's name, and leaves others' alone.
func TestUnlockByTheHolderAlone(t *testing.T) {
	ctx := context.Background()
	servers, clients := three(t)
	l := locker(t, 10*time.Second, clients...)
	a, err := l.Try(ctx, 1, "a")
	require.NoError(t, err)
	aa, err := l.Try(ctx, 2, "aa")
	require.NoError(t, err)
	servers[0].Kill()
	require.NoError(t, l.Unlock(ctx, 1, "a"), "most servers do")
	require.NoError(t, l.Unlock(ctx, 2, "a"))
	require.NoError(t, l.Unlock(ctx, 3, "a"), "nobody holds it")
	require.Empty(t, clients[1].Get(ctx, "app:lease:1").Val())
	require.Equal(t, aa.Value(), clients[1].Get(ctx, "app:lease:2").Val(), "another's")
	servers[1].Kill()
	require.Error(t, l.Unlock(ctx, 2, "aa"), "one of three does not know")
	_ = a.Release(ctx)
	_ = aa.Release(ctx)
}

// A server that has forgotten a lease does not speak for those that cannot be reached.
func TestUnlockThatIsNotKnownToBeDone(t *testing.T) {
	ctx := context.Background()
	servers, clients := three(t)
	l := locker(t, 10*time.Second, clients...)
	a, err := l.Try(ctx, 1, "a")
	require.NoError(t, err)
	require.NoError(t, clients[0].Del(ctx, "app:lease:1").Err())
	servers[1].Kill()
	servers[2].Kill()
	require.Error(t, l.Unlock(ctx, 1, "a"))
	_ = a.Release(ctx)
}

func TestConfig(t *testing.T) {
	_, err := lease.New(lease.Config{App: "app", TTL: time.Second, Renew: 500 * time.Millisecond}, client(t, "127.0.0.1:1"))
	require.ErrorContains(t, err, "at least three renewals")
	_, err = lease.New(lease.Config{App: "app"})
	require.ErrorContains(t, err, "no Redis for the leases")
}

// A Lease is begun by Try: there is none that is not held. It may be released often and at once.
func TestReleaseAtOnce(t *testing.T) {
	ctx := context.Background()
	l := locker(t, 10*time.Second, client(t, testkit.Redis(t)))
	for range 20 {
		a, err := l.Try(ctx, 1, "a")
		require.NoError(t, err, "the one before is released")
		var releases sync.WaitGroup
		for range 4 {
			releases.Go(func() {
				if err := a.Release(ctx); err != nil || a.Context().Err() == nil {
					t.Errorf("released: %v, %v", err, a.Context().Err())
				}
			})
		}
		releases.Wait()
	}
}

// A Release whose context has ended leaves the lock to run out, but no goroutine.
func TestReleaseWithAnEndedContext(t *testing.T) {
	l := locker(t, 10*time.Second, client(t, testkit.Redis(t)))
	a, err := l.Try(context.Background(), 1, "a")
	require.NoError(t, err)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	require.Error(t, a.Release(ended))
	require.Error(t, a.Context().Err())
}
