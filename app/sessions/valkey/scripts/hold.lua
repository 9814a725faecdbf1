-- Keep a session from expiring for a while.
-- ARGV: now, here, who, till when, milliseconds till then.

local version, refusal = find('', tonumber(ARGV[1]), ARGV[2])
if not version then return refusal end
redis.call('HSET', KEYS[4], ARGV[3], ARGV[4])
redis.call('PEXPIRE', KEYS[4], ARGV[5])
for _, key in ipairs({KEYS[1], KEYS[3]}) do
  if redis.call('PTTL', key) < tonumber(ARGV[5]) then redis.call('PEXPIRE', key, ARGV[5]) end
end
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[5]) + 1000 * DAY then
  redis.call('PEXPIRE', KEYS[2], ARGV[5] + 1000 * DAY)
end
return {'done'}
