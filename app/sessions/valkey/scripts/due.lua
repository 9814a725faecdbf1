-- The sessions that are to be looked at, or these ones: id, when, owner of each in turn.
-- KEYS: bytes, owners, totals, expiry.
-- ARGV: now, how many at most, ids.

local ids = {unpack(ARGV, 3)}
if #ids == 0 then ids = redis.call('ZRANGE', KEYS[4], '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[2]) end
local found = {}
for _, id in ipairs(ids) do
  local at = redis.call('ZSCORE', KEYS[4], id)
  if at then
    for _, value in ipairs({id, at, redis.call('HGET', KEYS[2], id) or ''}) do found[#found + 1] = value end
  end
end
return found
