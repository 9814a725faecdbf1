-- Whether a session is still there, for its place: when to look again, and what it has a place for. One that is over
-- its time ends.
-- ARGV: now, here, who holds it no more or ''.

local now = tonumber(ARGV[1])
if ARGV[3] ~= '' then redis.call('HDEL', KEYS[4], ARGV[3]) end
local version, refusal = find('', now, ARGV[2])
if not version then
  redis.call('DEL', KEYS[1], KEYS[3], KEYS[4])
  return refusal
end
local again = tonumber(redis.call('HGET', KEYS[1], 'expires'))
for _, till in ipairs(redis.call('HVALS', KEYS[4])) do again = math.max(again, tonumber(till)) end
local found = redis.call('HMGET', KEYS[1], 'owner', 'created', 'room')
return {'there', string.format('%.17g', math.max(again, now + 1)), found[1], found[2], found[3]}
