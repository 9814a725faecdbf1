-- Put a job in, which is starting no more.
-- KEYS: jobs, those that are starting. ARGV: job, and as one that is starting.

redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('XADD', KEYS[1], '*', 'job', ARGV[1])
return {'done'}
