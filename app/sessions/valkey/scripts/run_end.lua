-- Ask a run to end.
-- KEYS: run. ARGV: how.

if redis.call('HEXISTS', KEYS[1], 'about') == 1 and redis.call('HEXISTS', KEYS[1], 'over') == 0 then
  redis.call('HSET', KEYS[1], 'ending', ARGV[1])
  redis.call('PUBLISH', KEYS[1] .. ':ending', '')
end
return {'done'}
