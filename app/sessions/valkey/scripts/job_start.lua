-- A job is going to be put in: should that not happen, it is when it is due. Refused where too many are waiting.
-- KEYS: jobs, those that are starting. ARGV: job, milliseconds till it is due, the most that may wait or '', group.

if ARGV[3] ~= '' then
  local pending = redis.pcall('XPENDING', KEYS[1], ARGV[4])
  if redis.call('XLEN', KEYS[1]) - (tonumber(pending[1]) or 0) >= tonumber(ARGV[3]) then return {'full'} end
end
local now = redis.call('TIME')
redis.call('ZADD', KEYS[2], now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[2], ARGV[1])
return {'done'}
