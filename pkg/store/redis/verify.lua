-- KEYS: all of the slot. ARGV: version, or '' for any, and then topology and format.
-- Returns the shard's fence and position, {'stale'} if the version is another one, {'torn', a hash of the slot, all markers}, or for any version
-- {'topology', its id} or {'needs', format} if the slot is not to be relied on.
local refused = ARGV[1] == '' and foreign(ARGV[2], ARGV[3])
if refused then
  return refused
end
if ARGV[1] ~= '' and redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then
  return {'stale'}
end
local differs, _, _, found = torn()
if differs then
  return {'torn', differs, found}
end
return {'', unpack(redis.call('HMGET', KEYS[1], 'fence', 'position'))}
