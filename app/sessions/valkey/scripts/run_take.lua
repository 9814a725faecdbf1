-- Take a run over: from now on nobody tells of it but who knows the token.
-- KEYS: run. ARGV: token.

if redis.call('HEXISTS', KEYS[1], 'about') == 0 then return {'gone'} end
if redis.call('HEXISTS', KEYS[1], 'over') == 1 then return {'over'} end
redis.call('HSET', KEYS[1], 'token', ARGV[1])
redis.call('HINCRBY', KEYS[1], 'takes', 1)
return {'taken', redis.call('HGETALL', KEYS[1])}
