package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/lockstep/pkg/testkit"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// A worker that may not run a command of docs/rights.md ends, names the command, and says where the list is. That the list
// suffices is held by deployments/local/internal/rights.
func TestRedisUserWithoutARight(t *testing.T) {
	text, err := os.ReadFile("../../docs/rights.md")
	require.NoError(t, err)
	acl := strings.Fields(regexp.MustCompile(`(?m)^ACL SETUSER worker .*$`).FindString(string(text)))
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
