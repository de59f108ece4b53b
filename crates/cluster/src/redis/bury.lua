-- Forgets a node whose facts are gone from all partitions. The last step: until then anybody finds it among the ended.
--
-- KEYS: nodes with the ends of their leases, connections of nodes, places promised to nodes, the node's tombstone.
-- ARGV: node, seconds the tombstone stands, '1' if somebody else shall forget it: then only its lease ends.
-- Returns 1 if it was there.
redis.call('SET', KEYS[4], '', 'EX', ARGV[2])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
if ARGV[3] == '1' then
  return redis.call('ZADD', KEYS[1], 'XX', 'CH', 0, ARGV[1])
end
return redis.call('ZREM', KEYS[1], ARGV[1])
