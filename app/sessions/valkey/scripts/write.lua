-- The next version of a session, all of it or nothing.
-- KEYS: and the answer's, where one is kept.
-- ARGV: version that is there or '' for none, its stamp, next version, owner, now, here, when the session was made,
-- expiry, milliseconds till then, the fields for the log, answer, milliseconds to keep it, count of fields, fields and
-- values, fields to delete.

local now = tonumber(ARGV[5])
if KEYS[5] and redis.call('EXISTS', KEYS[5]) == 1 then return {'conflict'} end -- it was done, and answered, already
if ARGV[1] == '' then
  if find('', now, '') then return {'conflict'} end
  redis.call('DEL', KEYS[1], KEYS[3], KEYS[4])
else
  local version, more = find('', now, ARGV[6])
  if not version then return more end
  if version ~= ARGV[1] or more ~= ARGV[2] then return {'conflict'} end
end

local last = 13 + 2 * tonumber(ARGV[13])
redis.call('HSET', KEYS[1], 'version', ARGV[3], 'owner', ARGV[4], 'created', ARGV[7], 'expires', ARGV[8])
for first = 14, last, 1000 do
  redis.call('HSET', KEYS[1], unpack(ARGV, first, math.min(first + 999, last)))
end
for first = last + 1, #ARGV, 1000 do
  redis.call('HDEL', KEYS[1], unpack(ARGV, first, math.min(first + 999, #ARGV)))
end

local lives = tonumber(ARGV[9])
if is_held(now) then lives = math.max(lives, redis.call('PTTL', KEYS[1])) end
redis.call('PEXPIRE', KEYS[1], lives)
redis.call('HSET', KEYS[2], 'owner', ARGV[4], 'expires', ARGV[8])
redis.call('PEXPIRE', KEYS[2], lives + 1000 * DAY)
if ARGV[1] ~= '' then
  redis.call('RPUSH', KEYS[3], ARGV[3] .. '@' .. ARGV[2] .. ARGV[10])
  redis.call('LTRIM', KEYS[3], -64, -1)
  redis.call('PEXPIRE', KEYS[3], lives)
end
if KEYS[5] then redis.call('SET', KEYS[5], ARGV[11], 'PX', ARGV[12]) end
return {'done'}
