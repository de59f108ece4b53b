-- Says that somebody has missed the last event of a cache channel, and that this is told.
--
-- KEYS: what says so. ARGV: milliseconds for which it is told once.
-- Returns 1 for the first, 0 for others; 2 for the first after somebody else had written what would not go in that time.
local left = redis.call('PTTL', KEYS[1])
local foreign = left == -1 or left > tonumber(ARGV[1])
if left ~= -2 and not foreign then
  return 0
end
redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
return foreign and 2 or 1
