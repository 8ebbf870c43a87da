-- KEYS: the record, the other hashes that are written to.
-- ARGV: old version, new version, position, owed, late, last late, number of further fields of the record to set, number to
-- remove; for each of the hashes the record's field that names its marker, how many fields to set and to remove; then the fields of
-- the record to set with their values, those to remove, and for each of the hashes the fields to set with their values, of which the
-- first is its marker, and those to remove.
-- Returns 'ok', 'done' if this commit has happened already, or 'stale', also for a slot that is torn, and then it has written
-- nothing.
local fixed = 8
local names = {'version'}
for k = 2, #KEYS do
  names[k] = ARGV[fixed + 3 * k - 5]
end
local named = redis.call('HMGET', KEYS[1], unpack(names))
if named[1] == ARGV[2] then
  return 'done'
end
if named[1] ~= ARGV[1] then
  return 'stale'
end
for k = 2, #KEYS do
  if not named[k] or redis.call('HGET', KEYS[k], '') ~= named[k] then
    return 'stale'
  end
end
local fields = {'version', ARGV[2], 'position', ARGV[3], 'owed', ARGV[4], 'late', ARGV[5], 'late_last', ARGV[6]}
for k = 2, #KEYS do
  fields[#fields + 1] = names[k]
  fields[#fields + 1] = ARGV[2]
end
redis.call('HSET', KEYS[1], unpack(fields))
local at = fixed + 3 * #KEYS - 2
local function write(command, key, values)
  local last = at + values - 1
  while at <= last do -- in pieces, for Lua's stack limits unpack
    local upto = math.min(at + 199, last)
    redis.call(command, key, unpack(ARGV, at, upto))
    at = upto + 1
  end
end
write('HSET', KEYS[1], 2 * ARGV[7])
write('HDEL', KEYS[1], tonumber(ARGV[8]))
for k = 2, #KEYS do
  write('HSET', KEYS[k], 2 * ARGV[fixed + 3 * k - 4])
  write('HDEL', KEYS[k], tonumber(ARGV[fixed + 3 * k - 3]))
end
return 'ok'
