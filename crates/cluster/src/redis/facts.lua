-- Writes what a node says of its own clients in one channel, and tells the change to every node that holds the topic.
--
-- KEYS: facts, users, occupied channels, channels of the node, numbers taken from nodes, the node's tombstone.
-- ARGV: topic, node, the node's number for this partition, channel, its subscriptions, the sealed change for the others,
--       then for each user its id and the sealed member ('' when the last connection is gone).
-- Returns {1, version}; {0, 0} when the node was declared dead; {2, 0} when a newer word of it was taken before.
local topic, node, number, channel = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local subscriptions, change = tonumber(ARGV[5]), ARGV[6]

if redis.call('EXISTS', KEYS[6]) == 1 then
  return {0, 0}
end
-- Bytes of an abandoned connection may arrive seconds later: only a higher number is believed.
if number <= tonumber(redis.call('HGET', KEYS[5], node) or 0) then
  return {2, 0}
end
redis.call('HSET', KEYS[5], node, number)

local changed = false
for i = 7, #ARGV, 2 do
  local user, member = ARGV[i], ARGV[i + 1]
  local field = node .. '/' .. user
  if member ~= '' then
    if redis.call('HSET', KEYS[1], field, member) == 1 then
      redis.call('HINCRBY', KEYS[2], user, 1)
      changed = true
    end
  elseif redis.call('HDEL', KEYS[1], field) == 1 then
    if redis.call('HINCRBY', KEYS[2], user, -1) <= 0 then
      redis.call('HDEL', KEYS[2], user)
    end
    changed = true
  end
end

local before = tonumber(redis.call('HGET', KEYS[1], '#' .. node) or 0)
if subscriptions > 0 then
  redis.call('HSET', KEYS[1], '#' .. node, subscriptions)
  redis.call('SADD', KEYS[4], channel)
else
  redis.call('HDEL', KEYS[1], '#' .. node)
  redis.call('SREM', KEYS[4], channel)
end
if redis.call('HINCRBY', KEYS[3], channel, subscriptions - before) <= 0 then
  redis.call('HDEL', KEYS[3], channel)
end

-- Versions are this server's time, and rise even when that does not.
local follows = tonumber(redis.call('HGET', KEYS[1], '@') or 0)
if not changed then
  return {1, follows}
end
local time = redis.call('TIME')
local version = math.max(follows + 1, tonumber(time[1]) * 1000000 + tonumber(time[2]))
redis.call('HSET', KEYS[1], '@', string.format('%.0f', version))
redis.call('SPUBLISH', topic, string.format('facts:%.0f:%.0f:', follows, version) .. change)
return {1, version}
