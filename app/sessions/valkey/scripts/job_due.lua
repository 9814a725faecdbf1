-- Put those jobs in whose beginning was broken off.
-- KEYS: those that are starting, and the streams; ARGV: the beginning of the jobs of each stream.

local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
local due = redis.call('ZRANGE', KEYS[1], '-inf', ms, 'BYSCORE', 'LIMIT', 0, 100)
for _, job in ipairs(due) do
  for index, kind in ipairs(ARGV) do
    if string.sub(job, 1, #kind) == kind then redis.call('XADD', KEYS[index + 1], '*', 'job', job) end
  end
  redis.call('ZREM', KEYS[1], job)
end
return due
