-- KEYS: shard, stamp, claimed shards. ARGV: topology, revision, new version, the shard's number.
-- Returns the shard's fence, position, since, late and last late. It writes nothing and returns {'topology', stamp} if the store
-- belongs to another topology, or {'gone'} if the shard was claimed before and its record is missing.
local stamp = redis.call('GET', KEYS[2])
if stamp and stamp ~= ARGV[1] then
  return {'topology', stamp}
end
local known = redis.call('SISMEMBER', KEYS[3], ARGV[4])
local before = redis.call('HGET', KEYS[1], 'fence')
if known == 1 and not before then
  return {'gone'}
end
local fence = tonumber(before or '0') + 1
if fence < tonumber(ARGV[2]) then
  fence = tonumber(ARGV[2])
end
if not stamp then
  redis.call('SET', KEYS[2], ARGV[1])
end
redis.call('SADD', KEYS[3], ARGV[4])
redis.call('HSET', KEYS[1], 'fence', string.format('%.0f', fence), 'version', ARGV[3])
return redis.call('HMGET', KEYS[1], 'fence', 'position', 'since', 'late', 'late_last')
