-- KEYS: the record, some of the hashes of events set aside. ARGV: version, or '' for any; the key whose events are read; how many bytes
-- suffice; for each of these hashes the record's field that names its marker; then for each run of indices in one of them the number
-- of its hash among KEYS, the first seven bytes of the indices, and the first and the last value of the eighth.
-- Returns the events, up to the first that is not there; 'stale' if the version is another one; or 'torn'.
local names = {'version'}
for k = 2, #KEYS do
  names[k] = ARGV[k + 2]
end
local named = redis.call('HMGET', KEYS[1], unpack(names))
if ARGV[1] ~= '' and named[1] ~= ARGV[1] then
  return 'stale'
end
for k = 2, #KEYS do
  if redis.call('HGET', KEYS[k], '') ~= named[k] then
    return 'torn'
  end
end
local suffice = tonumber(ARGV[3])
local out = {}
local bytes = 0
for at = #KEYS + 3, #ARGV, 4 do
  local hash = KEYS[tonumber(ARGV[at])]
  for last = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]) do
    local event = redis.call('HGET', hash, ARGV[at + 1] .. string.char(last) .. ARGV[2])
    if not event then
      return out
    end
    out[#out + 1] = event
    bytes = bytes + #event
    if bytes >= suffice then
      return out
    end
  end
end
return out
