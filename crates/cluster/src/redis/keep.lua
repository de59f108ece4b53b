-- Keeps a batch before it is sent for the first time.
--
-- KEYS: batches, the node's tombstone. ARGV: node, delivery, sealed batch. Returns 1; 0 when the node was declared dead.
if redis.call('EXISTS', KEYS[2]) == 1 then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1] .. '/' .. ARGV[2], ARGV[3])
return 1
