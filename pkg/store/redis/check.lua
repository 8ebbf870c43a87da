-- KEYS: stamp. ARGV: topology. Stamps a store that has no stamp. Returns the stamp.
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
