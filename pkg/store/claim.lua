-- KEYS: shard, stamp. ARGV: topology, revision, new version.
-- Returns the shard's fields and values, or {'topology', stamp} and has written nothing.
local stamp = redis.call('GET', KEYS[2])
if stamp and stamp ~= ARGV[1] then
  return {'topology', stamp}
end
local fence = tonumber(redis.call('HGET', KEYS[1], 'fence') or '0') + 1
if fence < tonumber(ARGV[2]) then
  fence = tonumber(ARGV[2])
end
if not stamp then
  redis.call('SET', KEYS[2], ARGV[1])
end
redis.call('HSET', KEYS[1], 'fence', string.format('%.0f', fence), 'version', ARGV[3])
return redis.call('HGETALL', KEYS[1])
