package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// documented are the two ACL lines of docs/redis.md, of the state's user and of the leases' user, as they are typed.
func documented(t *testing.T) (state, locks []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/redis.md")
	require.NoError(t, err)
	lines := regexp.MustCompile(`(?m)^ACL SETUSER .*$`).FindAllString(string(text), -1)
	require.Len(t, lines, 2)
	for i, to := range []*[]string{&state, &locks} {
		*to = strings.Fields(strings.NewReplacer("{app}", "lockstep", "PASSWORD", "s3c,ret").Replace(lines[i]))
	}
	return state, locks
}

// commands are those that an ACL line allows.
func commands(acl []string) (allowed []string) {
	for _, word := range acl {
		if name, is := strings.CutPrefix(word, "+"); is {
			allowed = append(allowed, name)
		}
	}
	slices.Sort(allowed)
	return allowed
}

// restricted starts a Redis with a user of these rights and returns the server's client and the user's URL.
func restricted(t *testing.T, acl []string) (admin *redis.Client, url string) {
	t.Helper()
	server := testkit.RealRedis(t)
	admin = redis.NewClient(&redis.Options{Addr: server.Addr, DisableIdentity: true})
	t.Cleanup(func() { _ = admin.Close() })
	args := make([]any, len(acl))
	for i, word := range acl {
		args[i] = word
	}
	require.NoError(t, admin.Do(t.Context(), args...).Err())
	require.NoError(t, admin.Do(t.Context(), "CONFIG", "RESETSTAT").Err())
	return admin, "redis://worker:s3c,ret@" + server.Addr
}

// called are the commands that a server has run, save those of the test itself and of the handshake, which need no right.
func called(t *testing.T, admin *redis.Client) (names []string) {
	t.Helper()
	stats, err := admin.Info(t.Context(), "commandstats").Result()
	require.NoError(t, err)
	for _, found := range regexp.MustCompile(`(?m)^cmdstat_([a-z]+)(?:\|[a-z]+)?:calls=(\d+),.*rejected_calls=0,`).FindAllStringSubmatch(stats, -1) {
		if !slices.Contains([]string{"acl", "auth", "config", "hello", "client"}, found[1]) {
			names = append(names, found[1])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// inScripts are the commands of the store's scripts.
func inScripts(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("../../pkg/store/*.lua")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, found := range regexp.MustCompile(`redis\.p?call\('([A-Za-z]+)'`).FindAllStringSubmatch(string(source), -1) {
			names = append(names, strings.ToLower(found[1]))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// The user of docs/redis.md may do all that a worker does, and nothing else.
func TestRedisUser(t *testing.T) {
	stateACL, locksACL := documented(t)
	t.Run("state and leases", func(t *testing.T) {
		admin, url := restricted(t, stateACL)
		live(t, admin, "LOCKSTEP_REDIS="+url)
		requireNoneDenied(t, admin)
		scripted := inScripts(t)
		require.Subset(t, commands(stateACL), scripted, "some are run once a week only")
		used := append(called(t, admin), scripted...)
		slices.Sort(used)
		require.Equal(t, commands(stateACL), slices.Compact(used))
	})
	t.Run("leases apart", func(t *testing.T) {
		state, stateURL := restricted(t, stateACL)
		locks, locksURL := restricted(t, locksACL)
		live(t, locks, "LOCKSTEP_REDIS="+stateURL, "LOCKSTEP_LOCK_REDIS="+locksURL)
		requireNoneDenied(t, state)
		requireNoneDenied(t, locks)
		used := called(t, locks)
		require.Equal(t, commands(locksACL), slices.DeleteFunc(used, func(name string) bool { return name == "info" }), "INFO is this test's own")
	})
}

func requireNoneDenied(t *testing.T, admin *redis.Client) {
	t.Helper()
	log, err := admin.Do(t.Context(), "ACL", "LOG").Slice()
	require.NoError(t, err)
	require.Empty(t, log)
}

// Without a right the worker ends, names the command, and says where the list is.
func TestRedisUserWithoutInfo(t *testing.T) {
	acl, _ := documented(t)
	n := testkit.NATS(t)
	open(t, n)
	for command, of := range map[string]string{"info": "info", "ping": "ping", "evalsha": "evalsha"} {
		t.Run(command, func(t *testing.T) {
			_, url := restricted(t, slices.DeleteFunc(slices.Clone(acl), func(word string) bool { return word == "+"+command }))
			requireRefused(t, 1, "NOPERM", "--nats="+n.URL, "--redis="+url)
			requireRefused(t, 1, of, "--nats="+n.URL, "--redis="+url)
			requireRefused(t, 1, "docs/redis.md", "--nats="+n.URL, "--redis="+url)
		})
	}
}

// live runs two workers, one after the other, through all that workers do: they claim shards, apply an event, answer a query,
// renew their leases; one is killed and the other takes over and stops. leases is a client of the Redis that keeps them.
func live(t *testing.T, leases *redis.Client, env ...string) {
	t.Helper()
	n := testkit.NATS(t)
	epoch := open(t, n).Current()
	client := query.NewClient(n.Conn, "lockstep")
	js, err := jetstream.New(n.Conn)
	require.NoError(t, err)
	ring, err := epoch.Ring()
	require.NoError(t, err)
	for i, end := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		cmd, stderr := worker(t, "--nats="+n.URL, "--log-level=debug")
		cmd.Env = append(cmd.Env, env...)
		require.NoError(t, cmd.Start())
		m := &nats.Msg{
			Subject: topology.WorkSubject("lockstep", 1, 0, ring.Shard("alice")), Data: []byte(`{"amount":5}`),
			Header: nats.Header{"Kind": {"event"}, "Key": {"alice"}},
		}
		_, err = js.PublishMsg(t.Context(), m)
		require.NoError(t, err)
		want := `{"balance":` + []string{"5", "10"}[i]
		require.Eventually(t, func() bool {
			states, err := client.States(context.Background(), []string{"alice"})
			return err == nil && strings.HasPrefix(string(states[0].Data), want)
		}, 60*time.Second, 20*time.Millisecond, "not applied")
		require.Eventually(t, func() bool { return slices.Contains(called(t, leases), "pexpire") }, 60*time.Second, 20*time.Millisecond, "no renewal")
		require.NoError(t, cmd.Process.Signal(end))
		err := cmd.Wait()
		require.Equal(t, end == syscall.SIGTERM, err == nil, "%s", stderr)
	}
}
