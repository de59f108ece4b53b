-- Says who takes over what a dead node leaves: the first who asks.
--
-- KEYS: the successor. ARGV: who asks, a successor that has died since ('' for none). Returns the successor.
local successor = redis.call('GET', KEYS[1])
if not successor or #successor ~= 32 or not string.match(successor, '^%x+$') or successor == ARGV[2] then
  successor = ARGV[1]
  redis.call('SET', KEYS[1], successor, 'EX', 3600)
end
return successor
