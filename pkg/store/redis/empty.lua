-- KEYS: all of the slot. ARGV: topology, format, markers. Removes a slot that is torn and has these markers.
-- Returns {'ok'}, {'stale'} if the slot is another one by now, or {'topology', its id} or {'needs', format} if it is not to be touched.
local refused = foreign(ARGV[1], ARGV[2])
if refused then
  return refused
end
local differs, _, _, found = torn()
if not differs or found ~= ARGV[3] then
  return {'stale'}
end
redis.call('UNLINK', unpack(KEYS))
return {'ok'}
