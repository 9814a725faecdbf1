-- What each run of a session is, and how far it is; those that have expired leave the list.
-- KEYS: the session's runs. ARGV: what the keys of runs begin with (they lie with the list).

local found = {}
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  local run = redis.call('HMGET', ARGV[1] .. id, 'about', 'status')
  if run[1] then
    found[#found + 1] = run[1]
    found[#found + 1] = run[2]
  else
    redis.call('LREM', KEYS[1], 1, id)
  end
end
return found
