-- KEYS: shard.
-- ARGV: old version, new version, position, since, late, last late, number of fields to set, number of fields to remove,
-- then the fields to set with their values, the fields to remove, and states with their values.
-- Returns 'ok', 'done' if this commit has happened already, or 'stale', and then it has written nothing.
local version = redis.call('HGET', KEYS[1], 'version')
if version == ARGV[2] then
  return 'done'
end
if version ~= ARGV[1] then
  return 'stale'
end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'position', ARGV[3], 'since', ARGV[4], 'late', ARGV[5], 'late_last', ARGV[6])
local i = 9
for _ = 1, tonumber(ARGV[7]) do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  i = i + 2
end
for _ = 1, tonumber(ARGV[8]) do
  redis.call('HDEL', KEYS[1], ARGV[i])
  i = i + 1
end
-- MSET overwrites a key of any type, and so cannot fail. In pieces, for Lua's stack limits unpack.
while i <= #ARGV do
  local last = math.min(i + 199, #ARGV)
  redis.call('MSET', unpack(ARGV, i, last))
  i = last + 1
end
return 'ok'
