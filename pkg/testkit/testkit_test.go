package testkit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"example.com/lockstep/pkg/testkit/redisnodes"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func client(t *testing.T, addr string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestNATSKeepsItsStreamsOverARestart(t *testing.T) {
	n := NATS(t)
	js, err := jetstream.New(n.Conn)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "s", Subjects: []string{"s.>"}})
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), "s.a", []byte("x"))
	require.NoError(t, err)

	n.Stop()
	n.Start(t)

	js, err = jetstream.New(n.Connect(t))
	require.NoError(t, err)
	s, err := js.Stream(t.Context(), "s")
	require.NoError(t, err)
	require.EqualValues(t, 1, s.CachedInfo().State.Msgs)
}

func TestNATSOptions(t *testing.T) {
	n := NATS(t, func(o *server.Options) { o.Username, o.Password, o.MaxPayload = "u", "p", 1000 })
	require.EqualValues(t, 1000, n.Conn.MaxPayload())
}

func TestRedisExpiresKeys(t *testing.T) {
	for _, kind := range []string{"miniredis", "auto"} {
		t.Run(kind, func(t *testing.T) {
			t.Setenv(RedisVariable, kind)
			c := client(t, Redis(t))
			require.NoError(t, c.Set(t.Context(), "k", "v", 50*time.Millisecond).Err())
			require.Eventually(t, func() bool {
				return c.Exists(context.Background(), "k").Val() == 0
			}, 10*time.Second, 5*time.Millisecond)
		})
	}
}

func TestRedisProcessWithAOFKeepsItsKeys(t *testing.T) {
	r := RedisProcess(t, WithAOF())
	require.NoError(t, client(t, r.Addr).Set(t.Context(), "k", "v", 0).Err())
	r.Stop()
	r.Start(t)
	require.Equal(t, "v", client(t, r.Addr).Get(t.Context(), "k").Val())
}

func TestRedisProcessWithoutAOFForgets(t *testing.T) {
	r := RedisProcess(t)
	require.NoError(t, client(t, r.Addr).Set(t.Context(), "k", "v", 0).Err())
	r.Kill()
	r.Start(t)
	require.Zero(t, client(t, r.Addr).Exists(t.Context(), "k").Val())
}

func TestRedisProcessSaysWhyItDidNotStart(t *testing.T) {
	path := RedisProcess(t).path
	r := &RedisServer{path: path, setUp: redisnodes.Node.MasterArgs, args: []string{"--no-such-setting", "1"}}
	require.ErrorContains(t, r.run(), "redis-server ended: exit status 1")
}

func TestManyRedisSideBySide(t *testing.T) {
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			c := client(t, RedisProcess(t).Addr)
			require.Zero(t, c.DBSize(t.Context()).Val())
			require.NoError(t, c.Set(t.Context(), "k", i, 0).Err())
		})
	}
}

func TestFindRedis(t *testing.T) {
	empty, full := t.TempDir(), t.TempDir()
	fake := filepath.Join(full, "redis-server")
	require.NoError(t, os.WriteFile(fake, nil, 0o755))
	for _, c := range []struct {
		choice, ci, dir string
		path, missing   string
		err             error
	}{
		{choice: "", dir: full, path: fake},
		{choice: "auto", dir: full, path: fake},
		{choice: "redis-server", dir: full, path: fake},
		{choice: "miniredis", dir: full, missing: RedisVariable + "=miniredis"},
		{choice: "miniredis", ci: "true", dir: empty, missing: RedisVariable + "=miniredis"},
		{choice: "auto", dir: empty, missing: "none on PATH"},
		{choice: "auto", ci: "true", dir: empty, err: exec.ErrNotFound},
		{choice: "redis-server", dir: empty, err: exec.ErrNotFound},
	} {
		t.Run(fmt.Sprintf("%s,CI=%s,%v", c.choice, c.ci, c.dir == full), func(t *testing.T) {
			t.Setenv(RedisVariable, c.choice)
			t.Setenv("CI", c.ci)
			t.Setenv("PATH", c.dir)
			path, missing, err := findRedis()
			require.ErrorIs(t, err, c.err)
			require.Equal(t, []string{c.path, c.missing}, []string{path, missing})
		})
	}
	t.Setenv(RedisVariable, "valkey")
	_, _, err := findRedis()
	require.ErrorContains(t, err, `"valkey": want redis-server, miniredis or auto`)
}
