-- KEYS: the record, the hash of the lists' heads. ARGV: version, or '' for any; cursor, about how many fields to read.
-- Returns the number of the hash's fields, the next cursor, and some fields with their values; or 'stale' if the version is another
-- one, or 'torn'.
local named = redis.call('HMGET', KEYS[1], 'version', 'm:aside:0')
if ARGV[1] ~= '' and named[1] ~= ARGV[1] then
  return 'stale'
end
if redis.call('HGET', KEYS[2], '') ~= named[2] then
  return 'torn'
end
local page = redis.call('HSCAN', KEYS[2], ARGV[2], 'COUNT', ARGV[3])
return {redis.call('HLEN', KEYS[2]), page[1], page[2]}
