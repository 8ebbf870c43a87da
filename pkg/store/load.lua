-- KEYS: shard. ARGV: version, then the names of states. Returns their values, or nil if the version is another one.
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then
  return nil
end
local out = {}
for i = 2, #ARGV do
  out[i - 1] = redis.call('GET', ARGV[i])
end
return out
