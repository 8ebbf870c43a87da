-- KEYS: the record. ARGV: version, cursor, about how many fields to read.
-- Returns the number of the record's fields, the next cursor, and some fields with their values; or nil if the version is
-- another one.
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then
  return nil
end
local page = redis.call('HSCAN', KEYS[1], ARGV[2], 'COUNT', ARGV[3])
return {redis.call('HLEN', KEYS[1]), page[1], page[2]}
