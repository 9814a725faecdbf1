-- A place for a session, and room in it, before anything is built.
-- KEYS: bytes, owners, totals, expiry.
-- ARGV: session, its owner if it is new, bytes, more bytes if there is room, '1' where the bytes come to those it has,
-- now, till when the place is kept, the ceilings: sessions and bytes in all, and of an owner, 0 for none.

local id, owner = ARGV[1], ARGV[2]
local has = redis.call('HGET', KEYS[1], id)
if has then owner = redis.call('HGET', KEYS[2], id) or '' end
local before, wanted = tonumber(has or 0), tonumber(ARGV[3])
if ARGV[5] == '1' then wanted = wanted + before end
wanted = math.max(wanted, before)

local function total(name) return tonumber(redis.call('HGET', KEYS[3], name) or 0) end

local function refuse(which, estimate)
  local first = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')
  return {'full', which, string.format('%.0f', estimate), first[2] or ARGV[6]}
end

local sessions, bytes = tonumber(ARGV[8]), tonumber(ARGV[9])
local owner_sessions, owner_bytes = tonumber(ARGV[10]), tonumber(ARGV[11])
if owner == '' then owner_sessions, owner_bytes = 0, 0 end
if not has then
  local places = redis.call('HLEN', KEYS[1])
  if places >= sessions then return refuse('max_sessions', places + 1) end
  local own = total('places:' .. owner)
  if owner_sessions > 0 and own >= owner_sessions then return refuse('owner_sessions', own + 1) end
end
local room = bytes - total('bytes') - wanted + before
if wanted > before and room < 0 then return refuse('max_bytes', bytes - room) end
if owner_bytes > 0 then
  local own = owner_bytes - total('bytes:' .. owner) - wanted + before
  if wanted > before and own < 0 then return refuse('owner_bytes', owner_bytes - own) end
  room = math.min(room, own)
end

if wanted > before then wanted = wanted + math.max(0, math.min(room, tonumber(ARGV[4]))) end
local more = string.format('%.0f', wanted - before)
redis.call('HSET', KEYS[1], id, string.format('%.0f', wanted))
redis.call('HINCRBY', KEYS[3], 'bytes', more)
if owner ~= '' then redis.call('HINCRBY', KEYS[3], 'bytes:' .. owner, more) end
if not has then
  redis.call('ZADD', KEYS[4], ARGV[7], id)
  if owner ~= '' then
    redis.call('HSET', KEYS[2], id, owner)
    redis.call('HINCRBY', KEYS[3], 'places:' .. owner, 1)
  end
end
return {'done', string.format('%.0f', wanted)}
