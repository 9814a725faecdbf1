-- How far a run is, and its events after one.
-- KEYS: run, its events. ARGV: the last event that is known, how many at most.

return {redis.call('HGET', KEYS[1], 'status'), redis.call('XRANGE', KEYS[2], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])}
