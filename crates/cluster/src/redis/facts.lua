-- Writes what a node says of its own clients in one channel, and tells the change to every node that holds the topic.
--
-- KEYS: facts, users, occupied channels, channels of the node, numbers taken from nodes, the node's tombstone; proofs,
--       records and entries of `hooks.lua`.
-- ARGV: topic, node, the node's number for this partition, channel, its subscriptions, whether it was confirmed before that
--       the node has any ('1' or '0'), whether the node has nobody but the users that follow, the sealed change for the
--       others; for webhooks: which are wanted, milliseconds of grace, the proof of the channel, the epoch and the node's
--       number at which this channel was confirmed ('' and 0 for never), the epoch if a new one begins; then for each user
--       its id, the sealed member ('' when the last connection is gone), whether it was confirmed before that the user is
--       there, and the user's proof.
-- Returns {1, version, milliseconds until there is a webhook for the node or -1, epoch}; {0, 0} when the node was declared
-- dead; {2, number} when that number of it was taken before.
local topic, node, number, channel = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local subscriptions, known, whole, change = tonumber(ARGV[5]), ARGV[6] == '1', ARGV[7] == '1', ARGV[8]
local wanted, proof, relied, relied_number = ARGV[9], ARGV[11], ARGV[12], tonumber(ARGV[13])
local first_user, changed = 15, false

if redis.call('EXISTS', KEYS[6]) == 1 then
  return {0, 0}
end
-- Bytes of an abandoned connection may arrive seconds later: only a higher number is believed.
local taken = tonumber(redis.call('HGET', KEYS[5], node) or 0) or 0
if number <= taken then
  return {2, taken}
end
redis.call('HSET', KEYS[5], node, number)

local hooks, epoch = webhooks(KEYS[7], KEYS[8], KEYS[9], wanted, ARGV[10], node), ''
if wanted ~= '' then
  epoch = redis.call('HGET', KEYS[5], '@')
  -- A memory that lacks what it had confirmed is a new one.
  if not epoch or taken < relied_number then
    epoch = ARGV[14]
    redis.call('HSET', KEYS[5], '@', epoch)
  end
end
local forgot = relied ~= '' and relied ~= epoch

local before = tonumber(redis.call('HGET', KEYS[1], '#' .. node) or 0) or 0
local total = redis.call('HINCRBY', KEYS[3], channel, subscriptions - before)
if total > 0 and total <= subscriptions - before then
  hooks.came(channel, nil, proof, known and forgot)
end
if subscriptions ~= before then
  changed = true
  hooks.counted(channel, math.max(total, 0), proof, forgot)
end

local function enter(user, member, is_known, seal)
  if redis.call('HSET', KEYS[1], node .. '/' .. user, member) == 1 then
    if redis.call('HINCRBY', KEYS[2], user, 1) == 1 then
      hooks.came(channel, user, seal, is_known and forgot)
    end
    changed = true
  end
end

local function leave(user, is_known, seal)
  if redis.call('HDEL', KEYS[1], node .. '/' .. user) == 1 then
    if redis.call('HINCRBY', KEYS[2], user, -1) <= 0 then
      redis.call('HDEL', KEYS[2], user)
      hooks.went(channel, user, seal)
    end
    changed = true
  elseif is_known and forgot and redis.call('HEXISTS', KEYS[2], user) == 0 then
    hooks.went(channel, user, seal, true)
  end
end

for i = first_user, #ARGV, 4 do
  if ARGV[i + 1] ~= '' then
    enter(ARGV[i], ARGV[i + 1], ARGV[i + 2] == '1', ARGV[i + 3])
  else
    leave(ARGV[i], ARGV[i + 2] == '1', ARGV[i + 3])
  end
end
-- Only after a reconnect: this looks at everybody in the channel.
if whole then
  local claimed = {}
  for i = first_user, #ARGV, 4 do
    claimed[node .. '/' .. ARGV[i]] = true
  end
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, #node + 1) == node .. '/' and not claimed[field] then
      leave(string.sub(field, #node + 2))
    end
  end
end

if subscriptions > 0 then
  redis.call('HSET', KEYS[1], '#' .. node, subscriptions)
  redis.call('SADD', KEYS[4], channel)
else
  redis.call('HDEL', KEYS[1], '#' .. node)
  redis.call('SREM', KEYS[4], channel)
end
if total <= 0 then
  redis.call('HDEL', KEYS[3], channel)
  if before > 0 then
    hooks.went(channel, nil, proof)
  elseif known and forgot then
    hooks.went(channel, nil, proof, true)
  end
end

local follows = tonumber(redis.call('HGET', KEYS[1], '@') or 0) or 0
-- Somebody who left while everything was forgotten is unknown here, and yet to be told.
if not changed and not (whole and subscriptions == 0) then
  return {1, follows, hooks.wake, epoch}
end
-- Versions are this server's time, and rise even when that does not.
local version = math.max(follows + 1, hooks.now)
redis.call('HSET', KEYS[1], '@', string.format('%.0f', version))
-- Nobody is there any more: the version stays for those who come back soon.
if total <= 0 then
  redis.call('EXPIRE', KEYS[1], 60)
elseif total == subscriptions - before then
  redis.call('PERSIST', KEYS[1])
end
redis.call('SPUBLISH', topic, string.format('facts:%.0f:%.0f:', follows, version) .. change)
return {1, version, hooks.wake, epoch}
