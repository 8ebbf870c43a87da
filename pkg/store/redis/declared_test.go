package redis_test

import (
	"context"
	"testing"

	"example.com/lockstep/pkg/store"
	redisstore "example.com/lockstep/pkg/store/redis"
	"example.com/lockstep/pkg/store/storetest"
	"example.com/lockstep/pkg/testkit"
	"github.com/stretchr/testify/require"
)

// watched comes before a script. Its redis.call asks Redis which keys a command touches, and raises unless all of them are in KEYS.
const watched = `local redis = (function()
  local server = redis
  local declared = {}
  for _, key in ipairs(KEYS) do
    declared[key] = true
  end
  local function by(call)
    return function(...)
      for _, key in ipairs(server.call('COMMAND', 'GETKEYS', ...)) do
        if not declared[key] then
          error('undeclared key ' .. key .. ' of ' .. (...))
        end
      end
      return call(...)
    end
  end
  return setmetatable({call = by(server.call), pcall = by(server.pcall)}, {__index = server})
end)()
`

// No script touches a key that it does not declare: the whole suite runs with scripts that would fail.
func TestScriptsDeclareTheirKeys(t *testing.T) {
	addr := testkit.RedisProcess(t).Addr
	storetest.Run(t, func(t *testing.T) storetest.Kept {
		rdb := client(t, addr)
		k := kept(t, rdb, func(topology string) store.Store {
			return redisstore.NewWith(rdb, "app", topology, func(source string) string { return watched + source })
		})
		k.Wipe()
		return k
	})
}

// The test above finds a script that touches another key, wherever it lies: also in the script's own slot, where a cluster lets it.
func TestUndeclaredKeyIsFound(t *testing.T) {
	ctx := context.Background()
	for _, touch := range []string{
		"redis.call('HGET', '{app:0}:record', 'fence')\n",
		"redis.call('HSET', '{app:0}:state:0', 'k', 'v')\n",
		"redis.pcall('UNLINK', KEYS[1], '{app:0}:another')\n",
		"redis.call('GET', 'app:topology')\n",
	} {
		rdb := client(t, testkit.RedisProcess(t).Addr)
		s := redisstore.NewWith(rdb, "app", "one", func(source string) string { return watched + touch + source })
		_, err := s.Claim(ctx, 1, 1, "v1")
		undeclared := func(err error) { require.ErrorContains(t, err, "undeclared key", touch) }
		undeclared(err)
		undeclared(s.Empty(ctx, 1, ""))
		undeclared(s.Verify(ctx, 1, "v1"))
		_, err = s.Intact(ctx, 1)
		undeclared(err)
		_, _, err = s.States(ctx, 1, []string{"k"})
		undeclared(err)
		_, err = s.Load(ctx, 1, "v1", []string{"k"})
		undeclared(err)
		undeclared(s.Commit(ctx, &store.Commit{Shard: 1, Old: "v1", New: "v2"}))
		_, err = storetest.Publishers(s, 1, "v1")
		undeclared(err)
		_, err = storetest.Heads(s, 1, "v1")
		undeclared(err)
		_, _, err = s.States(ctx, 1, []string{"k"})
		undeclared(err)
		_, err = s.Aside(ctx, 1, "v1", "k", 0, 10)
		undeclared(err)
		require.Zero(t, rdb.DBSize(ctx).Val())
	}
}
