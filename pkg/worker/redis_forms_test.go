package worker_test

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/query"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/topology"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// applies starts a worker, sends it an event for each of some keys of different shards, before and after meanwhile, and stops it when
// all are applied.
func applies(t *testing.T, env []string, meanwhile func(), flags ...string) {
	t.Helper()
	n := testkit.NATS(t)
	epoch := open(t, n).Current()
	cmd, log := command(t, append(flags, "--nats="+n.URL)...)
	cmd.Env = append(cmd.Env, env...)
	require.NoError(t, cmd.Start())
	js, err := jetstream.New(n.Conn)
	require.NoError(t, err)
	ring, err := epoch.Ring()
	require.NoError(t, err)
	var keys []string
	for i := range 20 {
		keys = append(keys, fmt.Sprint("key-", i))
	}
	client := query.NewClient(n.Conn, appname.Default)
	for count := uint64(1); count <= 2; count++ {
		for _, key := range keys {
			shard := ring.Shard(key)
			_, err := js.PublishMsg(t.Context(), &nats.Msg{
				Subject: topology.WorkSubject(appname.Default, 1, 0, shard), Data: []byte(`{"amount":5}`),
				Header: nats.Header{"Kind": {"event"}, "Lockstep-Place": {fmt.Sprint("1.", shard)}, "Key": {key}},
			})
			require.NoError(t, err)
		}
		require.Eventually(t, func() bool {
			states, err := client.States(context.Background(), keys)
			return err == nil && !slices.ContainsFunc(states, func(s query.State) bool { return s.Count != count })
		}, 20*time.Second, 10*time.Millisecond, "not applied: %s", flags)
		if count == 1 && meanwhile != nil {
			meanwhile()
		}
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait(), "%s", log)
}

// A worker applies events with each form of Redis, with its locks there too or on a quorum of other forms.
func TestFormsOfRedis(t *testing.T) {
	var doors testkit.RedisDoors
	one := testkit.RedisProcess(t, testkit.WithDoors(t, &doors))
	sentinel := testkit.StartRedisSentinel(t, 1, 3)
	cluster := testkit.StartRedisCluster(t, 3, 0)
	for name, c := range map[string]struct{ env, flags []string }{
		"unix socket":     {nil, []string{"--redis=unix://" + doors.Socket}},
		"TLS":             {[]string{"SSL_CERT_FILE=" + doors.CAFile}, []string{"--redis=rediss://" + doors.TLSAddr}},
		"Sentinel":        {nil, []string{"--redis=" + sentinel.URL()}},
		"cluster":         {nil, []string{"--redis=" + cluster.URL()}},
		"cluster by node": {nil, []string{"--redis=" + cluster.Masters[2].Addr}},
		"other locks":     {nil, []string{"--redis=" + cluster.URL(), "--lock-redis=" + sentinel.URL(), "--lock-redis=" + one.Addr, "--lock-redis=" + cluster.URL()}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, server := range []string{one.Addr, sentinel.Master.Addr, cluster.Masters[0].Addr, cluster.Masters[1].Addr, cluster.Masters[2].Addr} {
				empty(t, server)
			}
			applies(t, c.env, nil, c.flags...)
		})
	}
}

func empty(t *testing.T, addr string) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	require.NoError(t, client.FlushAll(t.Context()).Err())
}

func TestRedisOfTheWrongForm(t *testing.T) {
	n := testkit.NATS(t)
	one := testkit.RedisProcess(t).Addr
	sentinel := testkit.StartRedisSentinel(t, 0, 1)
	at := "--nats=" + n.URL
	requireRefused(t, 2, "--redis=redis://:***@h:1?addr=i: every addr= must be HOST:PORT", at, "--redis=redis://:secret@h:1?addr=i")
	requireRefused(t, 2, "read from replicas", at, "--redis=redis://h:1?addr=i:2&read_only=true")
	requireRefused(t, 2, "--lock-redis=redis://h:1?master_name=&password=***: master_name= is empty", at, "--lock-redis=redis://h:1?master_name=&password=secret")
	requireRefused(t, 1, "these servers are none", at, "--redis=redis://"+one+"?addr="+one)
	requireRefused(t, 1, "it is a Sentinel: add ?master_name=", at, "--redis="+sentinel.Sentinels[0].Addr)
	requireRefused(t, 1, `watch no master of the name "m"`, at, "--redis=redis://"+sentinel.Sentinels[0].Addr+"?master_name=m&password=secret")
	requireRefused(t, 1, "cannot reach Redis at redis://"+nobody, at, "--redis=redis://"+nobody+"?addr="+nobody)
	requireRefused(t, 1, `cannot reach the master "m" through the Sentinels at redis://`+nobody, at, "--redis=redis://"+nobody+"?master_name=m&addr="+nobody)
}
