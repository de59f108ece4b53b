-- A try to sign in begins.
-- KEYS: the counters of failed tries that it belongs to. ARGV: the limit of each, then the window in seconds.
-- 0: it is counted and may go on. Else nothing is counted, and it may come again after so many milliseconds.
for i, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or 0) >= tonumber(ARGV[i]) then
    -- One that somebody else has made would stand for ever.
    redis.call('EXPIRE', key, ARGV[#KEYS + 1], 'NX')
    return math.max(redis.call('PTTL', key), 1)
  end
end
for _, key in ipairs(KEYS) do
  redis.call('INCR', key)
  redis.call('EXPIRE', key, ARGV[#KEYS + 1], 'NX')
end
return 0
