-- KEYS: all of the slot. ARGV: version, or '' for any.
-- Returns the shard's fence and position, {'stale'} if the version is another one, or {'torn', a hash of the slot}.
if ARGV[1] ~= '' and redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then
  return {'stale'}
end
local differs = torn()
if differs then
  return {'torn', differs}
end
return {'', unpack(redis.call('HMGET', KEYS[1], 'fence', 'position'))}
