package lease_test

import (
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"example.com/lockstep/pkg/internal/golden"
	"example.com/lockstep/pkg/lease"
	"example.com/lockstep/pkg/testkit"
)

// A lock's value names its holder, so that a worker of another version unlocks the shards of one that is gone.
func TestGoldenValue(t *testing.T) {
	ctx := context.Background()
	rdb := redis.NewClient(&redis.Options{Addr: testkit.Redis(t)})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	locker, err := lease.New(lease.Config{App: "shop"}, rdb)
	require.NoError(t, err)
	form := regexp.MustCompile(`^member-1/[A-Z2-7]{26}$`)

	held, err := locker.Try(ctx, 7, "member-1")
	require.NoError(t, err)
	value, err := rdb.Get(ctx, "shop:lease:7").Result()
	require.NoError(t, err)
	require.Regexp(t, form, value)
	require.NoError(t, held.Release(ctx))

	kept := golden.Read(t, "value.txt")
	require.Regexp(t, form, string(kept))
	require.NoError(t, rdb.Set(ctx, "shop:lease:7", kept, time.Minute).Err())
	require.NoError(t, locker.Unlock(ctx, 7, "member-2"))
	_, err = locker.Try(ctx, 7, "member-2")
	require.ErrorIs(t, err, lease.ErrTaken)
	require.NoError(t, locker.Unlock(ctx, 7, "member-1"))
	held, err = locker.Try(ctx, 7, "member-2")
	require.NoError(t, err)
	require.NoError(t, held.Release(ctx))
}
