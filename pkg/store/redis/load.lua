-- KEYS: shard. ARGV: version, then the names of states. Returns their values, or nil if the version is another one.
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then
  return nil
end
local out = {}
local n = 0
-- In pieces, for Lua's stack limits unpack.
for i = 2, #ARGV, 200 do
  local got = redis.call('MGET', unpack(ARGV, i, math.min(i + 199, #ARGV)))
  for j = 1, #got do
    n = n + 1
    out[n] = got[j]
  end
end
return out
