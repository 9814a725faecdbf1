-- A job is done, or given back, for others to go on with.
-- KEYS: jobs. ARGV: group, id, job or ''.

if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 1 and ARGV[3] ~= '' then
  redis.call('XADD', KEYS[1], '*', 'job', ARGV[3])
end
redis.call('XDEL', KEYS[1], ARGV[2])
return {'done'}
