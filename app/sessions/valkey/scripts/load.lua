-- A session, whole, or what has changed since a version that is known.
-- ARGV: owner, now, here, known version or '', the bytes above which only the size is told, the known version's stamp.

local version, more = find(ARGV[1], tonumber(ARGV[2]), ARGV[3])
if not version then return more end
if version == ARGV[4] and more == ARGV[6] then return {'same'} end
local room = redis.call('HGET', KEYS[1], 'room') or '0'
if tonumber(room) > tonumber(ARGV[5]) then return {'huge', room} end

local behind = tonumber(version) - (tonumber(ARGV[4]) or math.huge)
if behind > 0 and behind <= 64 then
  local changes, next = redis.call('LRANGE', KEYS[3], -behind, -1), string.format('%.0f@', ARGV[4] + 1) .. ARGV[6]
  if #changes == behind and string.match(changes[1], '^%S+') == next then
    local there, fields, gone = {}, {}, {}
    for _, change in ipairs(changes) do
      for sign, field in string.gmatch(change, ' (-?)(%S+)') do there[field] = sign == '' end
    end
    for field, is_there in pairs(there) do
      if is_there then fields[#fields + 1] = field else gone[#gone + 1] = field end
    end
    local values = {}
    for first = 1, #fields, 1000 do
      local some = redis.call('HMGET', KEYS[1], unpack(fields, first, math.min(first + 999, #fields)))
      for _, value in ipairs(some) do values[#values + 1] = value end
    end
    return {'changed', fields, values, gone}
  end
end
return {'whole', redis.call('HGETALL', KEYS[1])}
