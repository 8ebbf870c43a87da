package redisconn

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit"
	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 20*time.Second, 5*time.Millisecond)
}

func TestConnect(t *testing.T) {
	plain := testkit.Redis(t)
	locked := miniredis.RunT(t)
	locked.RequireAuth("right")
	for _, address := range []string{plain, "redis://" + plain + "/0", "redis://:right@" + locked.Addr()} {
		client, err := Connect("redis", address, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		require.NoError(t, Ready(client)(t.Context()))
		require.NoError(t, client.Close())
	}
}

func TestConnectWithoutServer(t *testing.T) {
	locked := miniredis.RunT(t)
	locked.RequireAuth("right")
	for name, c := range map[string]struct{ address, want string }{
		"absent":             {"redis://:secret@" + testkit.Refusing, "cannot reach Redis at redis://:***@127.0.0.1:"},
		"mute":               {testkit.Mute(t), "cannot reach Redis at 127.0.0.1:"},
		"wrong password":     {"redis://:secret@" + locked.Addr(), "refuses the login: WRONGPASS invalid username-password pair: check user and password in --"},
		"wrong, no password": {locked.Addr(), "refuses the login: NOAUTH"},
		"bad url":            {"redis://:secret%@h:1", "bad --lock-redis=redis://:***@h:1: not a valid URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			_, err := Connect("lock-redis", c.address, slog.New(slog.DiscardHandler))
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "--lock-redis")
			require.Equal(t, strings.HasPrefix(c.want, "cannot reach"), strings.Contains(err.Error(), "is it running?"), "%v", err)
			require.NotContains(t, err.Error(), "secret")
			require.Less(t, time.Since(began), 5*time.Second)
		})
	}
}

// A Redis that loads its data is waited for, and the log says so.
func TestConnectWaitsWhileItLoads(t *testing.T) {
	server := testkit.RedisProcess(t, testkit.WithAOF(), testkit.WithArgs("--key-load-delay", "100")) // microseconds for each command of the file
	client := redis.NewClient(&redis.Options{Addr: server.Addr, MaxRetries: -1})
	defer client.Close()
	pipe := client.Pipeline()
	for i := range 50_000 { // it answers only after each 1,024 of them
		pipe.Set(t.Context(), strconv.Itoa(i), "x", 0)
	}
	_, err := pipe.Exec(t.Context())
	require.NoError(t, err)
	server.Stop()
	var started sync.WaitGroup
	defer started.Wait()
	started.Go(func() { server.Start(t) }) // returns once it has loaded
	eventually(t, func() bool { return redis.IsLoadingError(client.Ping(context.Background()).Err()) })

	var book testkit.Log
	connected := make(chan error, 1)
	go func() {
		c, err := Connect("redis", server.Addr, book.Logger())
		if err == nil {
			err = c.Close()
		}
		connected <- err
	}()
	eventually(t, func() bool { return strings.Contains(book.String(), "Redis is loading its data; waiting for it") })
	require.NoError(t, client.ConfigSet(t.Context(), "key-load-delay", "0").Err())
	require.NoError(t, <-connected)
	require.Equal(t, 1, strings.Count(book.String(), "loading"))
}

func TestReadyNoticesItsEnd(t *testing.T) {
	m := miniredis.RunT(t)
	client, err := Connect("redis", m.Addr(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer client.Close()
	m.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.ErrorContains(t, Ready(client)(ctx), "no answer from Redis")
}
