-- KEYS: the record, some other hashes. ARGV: version, or '' for any; then for each of these hashes the record's field that names its
-- marker, how many fields to read, and the fields, of which the first is its marker.
-- Returns the values of all fields but the markers, 'stale' if the version is another one, or 'torn'.
local names = {'version'}
local at = 2
for k = 2, #KEYS do
  names[k] = ARGV[at]
  at = at + 2 + ARGV[at + 1]
end
local named = redis.call('HMGET', KEYS[1], unpack(names))
if ARGV[1] ~= '' and named[1] ~= ARGV[1] then
  return 'stale'
end
local out = {}
local n = 0
at = 2
for k = 2, #KEYS do
  local first = at + 2
  at = first + ARGV[at + 1]
  for i = first, at - 1, 200 do -- in pieces, for Lua's stack limits unpack
    local got = redis.call('HMGET', KEYS[k], unpack(ARGV, i, math.min(i + 199, at - 1)))
    local from = 1
    if i == first then
      if got[1] ~= named[k] then
        return 'torn'
      end
      from = 2
    end
    for j = from, #got do
      n = n + 1
      out[n] = got[j]
    end
  end
end
return out
