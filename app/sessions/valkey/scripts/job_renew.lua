-- Have jobs for another lease.
-- KEYS: jobs. ARGV: group, consumer, ids.

for index = 3, #ARGV do redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[index], 'JUSTID') end
return {'done'}
