-- What a session's place comes to: its bytes, and when to look at it again.
-- KEYS: bytes, owners, totals, expiry, the owner's sessions by when they were made.
-- ARGV: session, owner, bytes or '' where it is gone, when to look again, when it was made, and when it was to be looked
-- at, if nothing is to be done unless that still stands, or ''.

local id, owner = ARGV[1], ARGV[2]
if ARGV[6] ~= '' and redis.call('ZSCORE', KEYS[4], id) ~= ARGV[6] then return {'conflict'} end
local has = redis.call('HGET', KEYS[1], id)
local places = 0

if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], id)
  redis.call('HDEL', KEYS[2], id)
  redis.call('ZREM', KEYS[4], id)
  if redis.call('ZREM', KEYS[5], id) == 1 then redis.call('HINCRBY', KEYS[3], 'sessions', -1) end
  if has then places = -1 end
else
  redis.call('HSET', KEYS[1], id, ARGV[3])
  redis.call('ZADD', KEYS[4], ARGV[4], id)
  if redis.call('ZADD', KEYS[5], ARGV[5], id) == 1 then redis.call('HINCRBY', KEYS[3], 'sessions', 1) end
  if not has then places = 1 end
  if owner ~= '' then redis.call('HSET', KEYS[2], id, owner) end
end

local more = string.format('%.0f', tonumber(ARGV[3] == '' and 0 or ARGV[3]) - tonumber(has or 0))
redis.call('HINCRBY', KEYS[3], 'bytes', more)
if owner ~= '' then
  local bytes = redis.call('HINCRBY', KEYS[3], 'bytes:' .. owner, more)
  if redis.call('HINCRBY', KEYS[3], 'places:' .. owner, places) == 0 and bytes == 0 then
    redis.call('HDEL', KEYS[3], 'places:' .. owner, 'bytes:' .. owner)
  end
end
return {'done'}
