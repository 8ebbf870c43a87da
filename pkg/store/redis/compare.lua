-- Before the scripts that look at all of a slot. KEYS: the record, the 16 hashes of states, the 16 of lists.
-- torn returns a hash whose marker is not the one that the record names, or that exists unnamed; nil if there is none. It looks at
-- all of them first, and so fails on a key that is no hash. Then it returns the fields that name the markers, the markers, and for a
-- torn slot its version and markers as they were found, in one string.
local function torn()
  local names = {}
  for i = 0, 15 do
    names[i + 1] = 'm:state:' .. i
    names[i + 17] = 'm:aside:' .. i
  end
  local named = redis.call('HMGET', KEYS[1], unpack(names))
  local differs
  local found = {redis.call('HGET', KEYS[1], 'version') or '-'}
  for i = 1, #names do
    local marker = redis.call('HGET', KEYS[i + 1], '')
    if marker ~= named[i] or (not named[i] and redis.call('EXISTS', KEYS[i + 1]) == 1) then
      differs = differs or KEYS[i + 1]
    end
    found[i + 1] = (named[i] or '-') .. ' ' .. (marker or '-')
  end
  return differs, names, named, differs and table.concat(found, ' ')
end

-- foreign returns an answer if the record is of another topology, or needs a later format; else nil.
local function foreign(topology, format)
  local of = redis.call('HMGET', KEYS[1], 'topology', 'needs')
  if of[1] and of[1] ~= topology then
    return {'topology', of[1]}
  end
  if of[2] and tonumber(of[2]) > tonumber(format) then
    return {'needs', of[2]}
  end
end

