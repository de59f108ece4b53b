-- A sign-in worked: what failed before it is forgotten.
-- KEYS: the counter of account and address together, then the counters that have these tries among others.
local tries = tonumber(redis.call('GET', KEYS[1]) or 0)
redis.call('DEL', KEYS[1])
for i = 2, #KEYS do
  if tonumber(redis.call('GET', KEYS[i]) or 0) > tries then
    redis.call('DECRBY', KEYS[i], tries)
  else
    redis.call('DEL', KEYS[i])
  end
end
return 0
