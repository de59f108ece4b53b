-- Renews a node's lease, or begins one, and says how things stand among the nodes of the app.
--
-- KEYS: nodes with the ends of their leases, connections of nodes, places promised to nodes, the node's tombstone.
-- ARGV: node, 1 to begin and 0 to renew, milliseconds a lease lasts, its connections, its clients that wait for a place,
--       most connections on all nodes ('' for no limit).
-- Returns {1, seconds, microseconds, nodes, connections of the others, places that are free, {nodes whose lease has ended},
-- nodes that are none and are taken out}; {0, seconds, microseconds} when the lease has ended or is not known. Only this
-- script knows what time it is.
local node, first, lease = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3])
local connections, wanted, limit = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
-- A count of connections; nothing for what no script of ours can have written.
local function count_of(key, id)
  local found = tonumber(redis.call('HGET', key, id) or 0)
  return found and found >= 0 and found < 2 ^ 31 and found % 1 == 0 and found or 0
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local ends = tonumber(redis.call('ZSCORE', KEYS[1], node) or nil)
if redis.call('EXISTS', KEYS[4]) == 1 or (ends and ends <= now) or not (ends or first) then
  return {0, time[1], time[2]}
end
redis.call('ZADD', KEYS[1], now + lease, node)
redis.call('HSET', KEYS[2], node, connections)

-- Who does not live has no connections. A few of the dead are enough: they leave the set one by one.
local nodes, elsewhere, promised, ended, strangers = 0, 0, 0, {}, 0
local all = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #all, 2 do
  local till = tonumber(all[i + 1])
  if #all[i] ~= 32 or not string.match(all[i], '^%x+$') or till > now + 1000 * lease then
    -- No node, or none whose lease ends: somebody else wrote it.
    strangers = strangers + redis.call('ZREM', KEYS[1], all[i])
  elseif till > now then
    nodes = nodes + 1
    if all[i] ~= node then
      elsewhere = elsewhere + count_of(KEYS[2], all[i])
      promised = promised + (limit and count_of(KEYS[3], all[i]) or 0)
    end
  elseif #ended < 16 then
    ended[#ended + 1] = all[i]
  end
end

local free = 0
if limit then
  free = math.max(0, limit - connections - promised)
  redis.call('HSET', KEYS[3], node, connections + math.min(wanted, free))
end
return {1, time[1], time[2], nodes, elsewhere, free, ended, strangers}
