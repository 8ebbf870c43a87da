package worker_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/lockstep/pkg/appname"
	"example.com/lockstep/pkg/testkit"
	"example.com/lockstep/pkg/testkit/redisnodes"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// rightsDocument returns docs/rights.md, about this app instead of the document's.
func rightsDocument(t *testing.T) string {
	text, err := os.ReadFile("../../docs/rights.md")
	require.NoError(t, err)
	return strings.ReplaceAll(string(text), "shop:", appname.Default+":")
}

// A worker that may not run a command of docs/rights.md ends, names the command, and says where the list is. That the list
// suffices is held by deployments/local/internal/rights.
func TestRedisUserWithoutARight(t *testing.T) {
	text := rightsDocument(t)
	acl := strings.Fields(regexp.MustCompile(`(?m)^ACL SETUSER worker .*$`).FindString(text))
	require.NotEmpty(t, acl)
	n := testkit.NATS(t)
	open(t, n)
	for _, command := range []string{"ping", "info", "evalsha"} {
		t.Run(command, func(t *testing.T) {
			server := testkit.RedisProcess(t)
			admin := redis.NewClient(&redis.Options{Addr: server.Addr})
			defer admin.Close()
			var words []any
			for _, word := range acl {
				if word != "+"+command {
					words = append(words, word)
				}
			}
			require.Len(t, words, len(acl)-1)
			require.NoError(t, admin.Do(t.Context(), words...).Err())
			password := acl[slices.IndexFunc(acl, func(word string) bool { return word[0] == '>' })][1:]
			at := []string{"--nats=" + n.URL, "--redis=redis://worker:" + password + "@" + server.Addr}
			requireRefused(t, 1, "NOPERM this user has no permissions to run the '"+command+"' command", at...)
			requireRefused(t, 1, "docs/rights.md lists the commands that a worker needs", at...)
		})
	}
}

// The rights of docs/rights.md suffice in a cluster, while a slot is being moved too, and at Sentinels: no command is denied.
func TestRightsInAClusterAndAtSentinels(t *testing.T) {
	text := rightsDocument(t)
	rights := func(language string) (words []any) {
		found := regexp.MustCompile("(?s)\n```" + language + "\n(.*?)\n```\n").FindStringSubmatch(text)
		require.NotNil(t, found, language)
		for _, word := range strings.Fields(found[1]) {
			words = append(words, word)
		}
		return words
	}
	cluster, sentinel := testkit.StartRedisCluster(t, 3, 0), testkit.StartRedisSentinel(t, 1, 3)
	restrict := func(servers []*testkit.RedisServer, languages ...string) (denied func()) {
		for _, language := range languages {
			for _, server := range servers {
				require.NoError(t, admin(t, server).Do(t.Context(), rights(language)...).Err())
			}
		}
		return func() {
			for _, server := range servers {
				log, err := admin(t, server).ACLLog(t.Context(), 10).Result()
				require.NoError(t, err)
				require.Empty(t, log)
			}
		}
	}
	t.Run("cluster", func(t *testing.T) {
		denied := restrict(cluster.Masters, "acl", "acl-cluster")
		move, err := redisnodes.NewMove(t.Context(), cluster.Masters[0].Addr, "{"+appname.Default+":0}:record",
			func(others []redisnodes.Master) redisnodes.Master { return others[0] })
		require.NoError(t, err)
		moves := func() {
			require.NoError(t, move.Begin(t.Context()))
			keys, err := move.Keys(t.Context())
			require.NoError(t, err)
			require.NotEmpty(t, keys)
			require.NoError(t, move.Migrate(t.Context(), keys...))
		}
		applies(t, nil, moves, "--redis="+strings.Replace(cluster.URL(), "redis://", "redis://worker:w@", 1))
		require.NoError(t, move.End(t.Context()))
		denied()
	})
	t.Run("Sentinel", func(t *testing.T) {
		denied := restrict(append(sentinel.Replicas, sentinel.Master), "acl")
		deniedThere := restrict(sentinel.Sentinels, "acl-sentinel")
		applies(t, nil, nil, "--redis="+strings.Replace(sentinel.URL(), "redis://", "redis://worker:s@", 1)+"&username=worker&password=w")
		denied()
		deniedThere()
	})
}

func admin(t *testing.T, server *testkit.RedisServer) *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { _ = client.Close() })
	return client
}
