-- Writes what a node says of its own clients in one channel, and tells the change to every node that holds the topic.
--
-- KEYS: facts, users, occupied channels, channels of the node, numbers taken from nodes, the node's tombstone.
-- ARGV: topic, node, the node's number for this partition, channel, its subscriptions, whether it was confirmed before that
--       the node has any ('1' or '0'), whether the node has nobody but the users that follow, the sealed change for the
--       others; then for each user its id, the sealed member ('' when the last connection is gone), and whether it was
--       confirmed before that the user is there.
-- Returns {1, version}; {0, 0} when the node was declared dead; {2, number} when that number of it was taken before.
local topic, node, number, channel = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local subscriptions, whole, change = tonumber(ARGV[5]), ARGV[7] == '1', ARGV[8]
local first_user, changed = 9, false

if redis.call('EXISTS', KEYS[6]) == 1 then
  return {0, 0}
end
-- Bytes of an abandoned connection may arrive seconds later: only a higher number is believed.
local taken = tonumber(redis.call('HGET', KEYS[5], node) or 0) or 0
if number <= taken then
  return {2, taken}
end
redis.call('HSET', KEYS[5], node, number)

local function enter(user, member)
  if redis.call('HSET', KEYS[1], node .. '/' .. user, member) == 1 then
    redis.call('HINCRBY', KEYS[2], user, 1)
    changed = true
  end
end

local function leave(user)
  if redis.call('HDEL', KEYS[1], node .. '/' .. user) == 1 then
    if redis.call('HINCRBY', KEYS[2], user, -1) <= 0 then
      redis.call('HDEL', KEYS[2], user)
    end
    changed = true
  end
end

for i = first_user, #ARGV, 3 do
  if ARGV[i + 1] ~= '' then
    enter(ARGV[i], ARGV[i + 1])
  else
    leave(ARGV[i])
  end
end
-- Only after a reconnect: this looks at everybody in the channel.
if whole then
  local claimed = {}
  for i = first_user, #ARGV, 3 do
    claimed[node .. '/' .. ARGV[i]] = true
  end
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, #node + 1) == node .. '/' and not claimed[field] then
      leave(string.sub(field, #node + 2))
    end
  end
end

local before = tonumber(redis.call('HGET', KEYS[1], '#' .. node) or 0) or 0
if subscriptions ~= before then
  changed = true
end
if subscriptions > 0 then
  redis.call('HSET', KEYS[1], '#' .. node, subscriptions)
  redis.call('SADD', KEYS[4], channel)
else
  redis.call('HDEL', KEYS[1], '#' .. node)
  redis.call('SREM', KEYS[4], channel)
end
local total = redis.call('HINCRBY', KEYS[3], channel, subscriptions - before)
if total <= 0 then
  redis.call('HDEL', KEYS[3], channel)
end

local follows = tonumber(redis.call('HGET', KEYS[1], '@') or 0) or 0
-- Somebody who left while everything was forgotten is unknown here, and yet to be told.
if not changed and not (whole and subscriptions == 0) then
  return {1, follows}
end
-- Versions are this server's time, and rise even when that does not.
local time = redis.call('TIME')
local version = math.max(follows + 1, tonumber(time[1]) * 1000000 + tonumber(time[2]))
redis.call('HSET', KEYS[1], '@', string.format('%.0f', version))
-- Nobody is there any more: the version stays for those who come back soon.
if total <= 0 then
  redis.call('EXPIRE', KEYS[1], 60)
elseif total == subscriptions - before then
  redis.call('PERSIST', KEYS[1])
end
redis.call('SPUBLISH', topic, string.format('facts:%.0f:%.0f:', follows, version) .. change)
return {1, version}
