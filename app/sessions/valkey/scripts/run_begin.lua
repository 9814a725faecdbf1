-- A new run. Answers how many the session has.
-- KEYS: run, the session's runs. ARGV: id, what it is, how far it is, milliseconds to keep them.

if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'about', ARGV[2], 'status', ARGV[3], 'entries', 0)
  redis.call('RPUSH', KEYS[2], ARGV[1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return {redis.call('LLEN', KEYS[2])}
