-- End a session.
-- KEYS: and the answer's, where one is kept.
-- ARGV: version, now, here, answer, milliseconds to keep it.

local version, refusal = find('', tonumber(ARGV[2]), ARGV[3])
if not version then return refusal end
if version ~= ARGV[1] then return {'conflict'} end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
if KEYS[5] then redis.call('SET', KEYS[5], ARGV[4], 'PX', ARGV[5]) end
return {'done'}
