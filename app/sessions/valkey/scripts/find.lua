-- Goes before the scripts about a session, whose keys begin with: the session, ended, log, held.

local DAY = 86400

local function is_held(now)
  for _, till in ipairs(redis.call('HVALS', KEYS[4])) do
    if tonumber(till) > now then return true end
  end
  return false
end

-- The version, and its stamp; or nil, and the refusal. Another version may have the same number, of a session that has
-- the same id later, or where the last changes were lost with the store: it has another stamp. `owner` is = and the
-- owner's name, or empty for whoever's it is; `here` is '1' where the caller keeps the session from expiring.
local function find(owner, now, here)
  local found = redis.call('HMGET', KEYS[1], 'version', 'owner', 'expires', 'created')
  if not found[1] or (owner ~= '' and owner ~= '=' .. found[2]) then
    local ended = redis.call('HMGET', KEYS[2], 'owner', 'expires')
    if ended[1] and (owner == '' or owner == '=' .. ended[1]) and now < tonumber(ended[2]) + DAY then
      return nil, {'expired', ended[2]}
    end
    return nil, {'none'}
  end
  if tonumber(found[3]) <= now and here ~= '1' and not is_held(now) then return nil, {'expired', found[3]} end
  return found[1], found[4] .. '/' .. found[3]
end
