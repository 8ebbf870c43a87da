-- KEYS: all of the slot. ARGV: topology, format. Removes a slot that is torn.
-- Returns 'ok', also for a slot that is not torn, or {'topology', its id} or {'needs', format} if the slot is not to be touched.
local refused = foreign(ARGV[1], ARGV[2])
if refused then
  return refused
end
if torn() then
  redis.call('UNLINK', unpack(KEYS))
end
return 'ok'
