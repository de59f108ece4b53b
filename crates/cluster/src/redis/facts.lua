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
-- Returns {1, version, milliseconds until there is a webhook for the node or -1, epoch, 1 if the facts were lost};
-- {0, 0} when the node was declared dead; {2, number} when that number of it was taken before.
local topic, node, number, channel = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local subscriptions, known, whole, change = tonumber(ARGV[5]), ARGV[6] == '1', ARGV[7] == '1', ARGV[8]
local wanted, proof, relied, relied_number = ARGV[9], ARGV[11], ARGV[12], tonumber(ARGV[13])
local first_user, changed = 15, false

-- A key of another type ends the script here, before anything is written; it is deleted then, and the script called again.
-- Facts without users are not to be used on.
local users = redis.pcall('HLEN', KEYS[2])
if type(users) == 'table' and string.find(users.err, 'WRONGTYPE', 1, true) then
  redis.call('DEL', KEYS[1])
end
for _, i in ipairs({ 1, 2, 3, 5, 7, 8 }) do
  redis.call('HLEN', KEYS[i])
end
redis.call('SRANDMEMBER', KEYS[4])
redis.call('ZCARD', KEYS[9])

if redis.call('EXISTS', KEYS[6]) == 1 then
  return {0, 0}
end
-- Bytes of an abandoned connection may arrive seconds later: only a higher number is believed.
local taken = natural(redis.call('HGET', KEYS[5], node)) or 0
if number <= taken then
  return {2, taken}
end
redis.call('HSET', KEYS[5], node, number)

-- What facts and counts say must fit together. Where it does not, somebody else has written or deleted: then they are lost,
-- and because this version follows none, all nodes look and tell again what they have.
local before, follows = natural(redis.call('HGET', KEYS[1], '#' .. node)), natural(redis.call('HGET', KEYS[1], '@'))
local occupied, lost = natural(redis.call('HGET', KEYS[3], channel)), false
if not (before and follows and occupied) or occupied < before or (follows == 0 and occupied > 0) then
  redis.call('DEL', KEYS[1], KEYS[2])
  before, follows, occupied, lost = 0, 0, 0, true
end

local hooks, epoch = webhooks(KEYS[7], KEYS[8], KEYS[9], wanted, ARGV[10], node), ''
if wanted ~= '' then
  epoch = redis.call('HGET', KEYS[5], '@')
  -- A memory that lacks what it had confirmed is a new one.
  if lost or not epoch or taken < relied_number or #epoch > 20 or not string.match(epoch, '^%d+$') then
    epoch = ARGV[14]
    redis.call('HSET', KEYS[5], '@', epoch)
  end
end
local forgot = relied ~= '' and relied ~= epoch

local total = occupied + subscriptions - before
redis.call('HSET', KEYS[3], channel, string.format('%.0f', total))
if total > 0 and total <= subscriptions - before then
  hooks.came(channel, nil, proof, known and forgot)
end
if subscriptions ~= before then
  changed = true
  hooks.counted(channel, math.max(total, 0), proof, forgot)
end

-- How many nodes have the user now.
local function add(user, nodes)
  local now = math.max(0, (natural(redis.call('HGET', KEYS[2], user)) or 0) + nodes)
  redis.call('HSET', KEYS[2], user, string.format('%.0f', now))
  return now
end

local function enter(user, member, is_known, seal)
  if redis.call('HSET', KEYS[1], node .. '/' .. user, member) == 1 then
    if add(user, 1) == 1 then
      hooks.came(channel, user, seal, is_known and forgot)
    end
    changed = true
  end
end

local function leave(user, is_known, seal)
  if redis.call('HDEL', KEYS[1], node .. '/' .. user) == 1 then
    if add(user, -1) <= 0 then
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
  redis.call('DEL', KEYS[2])
  if before > 0 then
    hooks.went(channel, nil, proof)
  elseif known and forgot then
    hooks.went(channel, nil, proof, true)
  end
end

-- Somebody who left while everything was forgotten is unknown here, and yet to be told.
if not changed and not lost and not (whole and subscriptions == 0) then
  return {1, follows, hooks.wake, epoch, 0}
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
return {1, version, hooks.wake, epoch, lost and 1 or 0}
