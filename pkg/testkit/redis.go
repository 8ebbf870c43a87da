package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"
)

// RedisVariable names the environment variable that says which Redis tests use:
// "redis-server" (a missing one is a failure), "miniredis", or "auto" (also when unset):
// redis-server if it is on PATH, else miniredis, but under CI=true a missing one is a failure.
const RedisVariable = "TESTKIT_REDIS"

// Redis starts an empty Redis for t and returns its address (host:port): a redis-server
// process, else miniredis, as RedisVariable says. Miniredis ignores the options; keys
// with a time to live expire in it as they do in the real one.
func Redis(t testing.TB, opts ...RedisOption) string {
	t.Helper()
	path, missing, err := findRedis()
	require.NoError(t, err)
	if missing != "" {
		return startMiniredis(t)
	}
	return startRedis(t, path, opts).Addr
}

// RedisProcess starts an empty redis-server process for t. If there is none, t is
// skipped, or under CI=true fails.
func RedisProcess(t testing.TB, opts ...RedisOption) *RedisServer {
	t.Helper()
	path, missing, err := findRedis()
	require.NoError(t, err)
	if missing != "" {
		t.Skipf("needs a real redis-server: %s", missing)
	}
	return startRedis(t, path, opts)
}

// findRedis returns the redis-server to use, or why miniredis is used in its place.
func findRedis() (path, missing string, err error) {
	choice := os.Getenv(RedisVariable)
	switch choice {
	case "miniredis":
		return "", RedisVariable + "=miniredis", nil
	case "", "auto", "redis-server":
	default:
		return "", "", fmt.Errorf("%s=%q: want redis-server, miniredis or auto", RedisVariable, choice)
	}
	path, err = exec.LookPath("redis-server")
	if err == nil {
		return path, "", nil
	}
	if choice == "redis-server" || os.Getenv("CI") == "true" {
		return "", "", fmt.Errorf("tests must run with redis-server (%s=%q, CI=%q): %w", RedisVariable, choice, os.Getenv("CI"), err)
	}
	return "", "none on PATH", nil
}

// startMiniredis starts one whose times to live age with the wall clock.
func startMiniredis(t testing.TB) string {
	m := miniredis.RunT(t)
	stop, stopped := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() {
		close(stop)
		<-stopped
	})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		last := time.Now()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				now := time.Now()
				m.FastForward(now.Sub(last))
				last = now
			}
		}
	}()
	return m.Addr()
}
