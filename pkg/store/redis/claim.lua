-- KEYS: all of the slot. ARGV: topology, format, revision, new version.
-- Returns the shard's fence, position, owed, late, last late and caps. It writes nothing and returns {'topology', its id},
-- {'needs', format} or {'torn', a hash of the slot, all markers} if the slot cannot be claimed.
local refused = foreign(ARGV[1], ARGV[2])
if refused then
  return refused
end
local differs, names, named, found = torn()
if differs then
  return {'torn', differs, found}
end
local before = redis.call('HMGET', KEYS[1], 'fence', 'needs')
local fence = tonumber(before[1] or '0') + 1
if fence < tonumber(ARGV[3]) then
  fence = tonumber(ARGV[3])
end
redis.call('HSET', KEYS[1], 'topology', ARGV[1], 'needs', before[2] or 1, 'fence', string.format('%.0f', fence), 'version', ARGV[4])
for i = 1, #names do -- a slot in migration accepts no call that names a missing key: so each of them is made now
  if not named[i] then
    redis.call('HSET', KEYS[1], names[i], ARGV[4])
    redis.call('HSET', KEYS[i + 1], '', ARGV[4])
  end
end
return redis.call('HMGET', KEYS[1], 'fence', 'position', 'owed', 'late', 'late_last', 'caps')
