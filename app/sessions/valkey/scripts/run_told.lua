-- Put in what a run tells.
-- KEYS: run, its events.
-- ARGV: token, how many entries there were before these, how many these are, these, milliseconds to keep it, '1' where
-- it is over, fields and values.

local found = redis.call('HMGET', KEYS[1], 'token', 'entries')
if found[1] ~= ARGV[1] then return {'lost'} end
if ARGV[3] ~= '0' and found[2] == ARGV[2] then  -- otherwise they are there: the answer was lost
  local entries = string.format('%.0f', ARGV[2] + ARGV[3])
  redis.call('XADD', KEYS[2], entries .. '-0', 'entries', ARGV[4])
  redis.call('HSET', KEYS[1], 'entries', entries)
end
redis.call('HSET', KEYS[1], unpack(ARGV, 7))
if ARGV[6] == '1' then
  redis.call('HSET', KEYS[1], 'over', 1)
  redis.call('HDEL', KEYS[1], 'token', 'state', 'parameters', 'slots', 'end')
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
redis.call('PUBLISH', KEYS[1] .. ':told', '')
return {'done'}
