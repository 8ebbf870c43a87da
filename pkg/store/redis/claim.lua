-- KEYS: all of the slot. ARGV: topology, format, revision, new version.
-- Returns the shard's fence, position, round start, late and last late. It writes nothing and returns {'topology', its id},
-- {'needs', format} or {'torn', a hash of the slot} if the slot cannot be claimed.
local refused = foreign(ARGV[1], ARGV[2])
if refused then
  return refused
end
local differs = torn()
if differs then
  return {'torn', differs}
end
local before = redis.call('HGET', KEYS[1], 'fence')
local fence = tonumber(before or '0') + 1
if fence < tonumber(ARGV[3]) then
  fence = tonumber(ARGV[3])
end
redis.call('HSET', KEYS[1], 'fence', string.format('%.0f', fence), 'version', ARGV[4])
if not before then -- an empty slot. All of it is made now: a slot in migration accepts no call that names a missing key
  redis.call('HSET', KEYS[1], 'topology', ARGV[1], 'needs', 1)
  for i = 0, 15 do
    redis.call('HSET', KEYS[1], 'm:state:' .. i, ARGV[4], 'm:aside:' .. i, ARGV[4])
    redis.call('HSET', KEYS[i + 2], '', ARGV[4])
    redis.call('HSET', KEYS[i + 18], '', ARGV[4])
  end
end
return redis.call('HMGET', KEYS[1], 'fence', 'position', 'round_start', 'late', 'late_last')
