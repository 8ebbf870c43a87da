package redisconn

import (
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/address"
	"github.com/stretchr/testify/require"
)

// A piece of a password with a special character in it is not taken for a host.
func TestPiecesOfAPasswordAreNoHost(t *testing.T) {
	for _, server := range []string{
		"redis://u:12/34@h", "redis://:12?34@h:1", "rediss://u:12#34@h", "unix://u:12/34@/run/redis.sock", "redis://h:1?master_name=m&password=12@34",
	} {
		require.ErrorIs(t, Check(server), address.ErrNotURL, server)
	}
}

func TestSpecialCharactersInAPassword(t *testing.T) {
	for _, server := range []string{"redis://u:12,34@h:1", "redis://u:12%2C34@h:1"} {
		how, err := parse(server)
		require.NoError(t, err)
		require.Equal(t, []string{"u", "12,34", "h:1"}, []string{how.one.Username, how.one.Password, how.one.Addr})
	}
	how, err := parse("redis://u:p%2Fq%40r@h:1?addr=i:2")
	require.NoError(t, err)
	require.Equal(t, "p/q@r", how.cluster.Password)
	how, err = parse("unix:///run/a@b.sock")
	require.NoError(t, err)
	require.Equal(t, []string{"unix", "/run/a@b.sock"}, []string{how.one.Network, how.one.Addr})
}

func TestForms(t *testing.T) {
	how, err := parse("rediss://u:p@a:1?addr=b:2&addr=c:3&skip_verify=true&pool_size=7&db=0&idle_timeout=9")
	require.NoError(t, err)
	c := how.cluster
	require.Equal(t, []string{"a:1", "b:2", "c:3"}, c.Addrs)
	require.Equal(t, []string{"u", "p"}, []string{c.Username, c.Password})
	require.True(t, c.TLSConfig.InsecureSkipVerify)
	require.Equal(t, 7, c.PoolSize)
	require.Equal(t, 9*time.Second, c.ConnMaxIdleTime)
	require.Equal(t, nodeTimeout, c.ReadTimeout)
	require.True(t, c.ContextTimeoutEnabled)

	how, err = parse("redis://su:sp@a:1/3?master_name=m&addr=b:2&username=u&password=p%40q")
	require.NoError(t, err)
	s := how.sentinel
	require.Equal(t, []string{"a:1", "b:2"}, s.SentinelAddrs)
	require.Equal(t, []string{"m", "su", "sp", "u", "p@q"}, []string{s.MasterName, s.SentinelUsername, s.SentinelPassword, s.Username, s.Password})
	require.Equal(t, 3, s.DB)
	require.True(t, s.ContextTimeoutEnabled)

	for _, server := range []string{"h:1", "redis://h:1", "redis://h", "redis://h:1/0?dial_timeout=3", "[::1]:1"} {
		how, err = parse(server)
		require.NoError(t, err, server)
		require.NotNil(t, how.one, server)
	}
}

func TestBadForms(t *testing.T) {
	for server, want := range map[string]error{
		"redis://:secret@h:1?addr=i":                     errAddr,
		"redis://:secret@h:1?addr=i:2,j:3":               errAddr,
		"redis://:secret@h:1?addr=:2":                    errAddr,
		"redis://:secret@h:1?addr=i:port":                errAddr,
		"redis://h:1?addr=i:2&read_only=true":            errReplicas,
		"redis://h:1?addr=i:2&route_by_latency=1":        errReplicas,
		"redis://h:1?master_name=m&replica_only=true":    errReplicas,
		"redis://h:1?master_name=m&route_randomly=true":  errReplicas,
		"redis://h:1/2?addr=i:2":                         errDatabase,
		"redis://h:1?addr=i:2&db=2":                      errDatabase,
		"unix:///run/redis.sock?addr=i:2":                errSocket,
		"unix:///run/redis.sock?master_name=m":           errSocket,
		"redis://h:1?master_name=":                       errNoName,
		"redis://h:1?master_name=m&password=secret&x=1":  errNotRedisURL,
		"redis://h:1?addr=i:2&password=secret":           errNotRedisURL,
		"redis://h:1/secret?addr=i:2":                    errNotRedisURL,
		"redis://h:1/secret?master_name=m":               errNotRedisURL,
		"redis://h:1?master_name=m&max_retries=secret":   errNotRedisURL,
		"redis://h:1?addr=i:2&conn_max_idle_time=secret": errNotRedisURL,
	} {
		err := Check(server)
		require.ErrorIs(t, err, want, server)
		require.NotContains(t, err.Error(), "secret")
		require.False(t, strings.Contains(err.Error(), "\n"))
	}
}
