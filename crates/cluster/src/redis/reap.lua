-- Takes away what a dead node said of one partition; called until nothing is left. Whoever calls it, and however many do at
-- once, the result is the same.
--
-- Webhooks that follow are the dead node's, as if it had told; its successor takes them over afterwards.
--
-- KEYS: the node's tombstone, channels of the node, numbers taken from nodes, occupied channels; proofs, records and entries
--       of `hooks.lua`; then for each channel to be done: facts, users.
-- ARGV: node, seconds the tombstone stands, most channels at a time, which webhooks are wanted, milliseconds of grace, then
--       for each channel: name, topic, sealed notice.
-- Returns {1 if facts were lost that other nodes may have told, names of channels that are still to be done...}.
local node = ARGV[1]
local mine = node .. '/'
local hooks = webhooks(KEYS[5], KEYS[6], KEYS[7], ARGV[4], ARGV[5], node)

-- As facts.lua: a key of another type ends the script here, and facts without users are not to be used on.
for i = 8, #KEYS, 2 do
  local users = redis.pcall('HLEN', KEYS[i + 1])
  if type(users) == 'table' and string.find(users.err, 'WRONGTYPE', 1, true) then
    redis.call('DEL', KEYS[i])
  end
end
redis.call('SRANDMEMBER', KEYS[2])
redis.call('ZCARD', KEYS[7])
for i = 3, #KEYS do
  if i ~= 7 then
    redis.call('HLEN', KEYS[i])
  end
end

-- First of all: from now on nothing that the node says is taken.
redis.call('SET', KEYS[1], '', 'EX', ARGV[2])
redis.call('HDEL', KEYS[3], node)

-- Fields looked at before other clients of Redis get their turn.
local budget, lost = 20000, 0

-- What is left of a number; what is none, or nothing, goes.
local function take(key, field, count)
  local left = redis.pcall('HINCRBY', key, field, string.format('-%.0f', count))
  if type(left) ~= 'number' or left <= 0 then
    redis.call('HDEL', key, field)
    return 0
  end
  return left
end

local function take_users(facts, users, channel)
  local changed = false
  for _, field in ipairs(redis.call('HKEYS', facts)) do
    budget = budget - 1
    if string.sub(field, 1, #mine) == mine then
      redis.call('HDEL', facts, field)
      local user = string.sub(field, #mine + 1)
      if take(users, user, 1) == 0 then
        hooks.went(channel, user)
      end
      changed = true
    end
  end
  return changed
end

-- Nobody knows any more whose these were. Whoever is there tells again.
local function lose(users, channel)
  lost = 1
  for _, user in ipairs(redis.call('HKEYS', users)) do
    hooks.went(channel, user)
  end
  redis.call('DEL', users)
  hooks.went(channel)
end

local function take_count(facts, users, channel)
  local count = natural(redis.call('HGET', facts, '#' .. node)) or 0
  redis.call('HDEL', facts, '#' .. node)
  if redis.call('EXISTS', facts) == 0 and redis.call('HDEL', KEYS[4], channel) == 1 then
    lose(users, channel)
    return false
  end
  if count > 0 then
    local left = take(KEYS[4], channel, count)
    hooks.counted(channel, left)
    if left == 0 then
      hooks.went(channel)
    end
  end
  return count > 0
end

local function announce(facts, channel, topic, notice)
  local now = redis.call('TIME')
  local follows = natural(redis.call('HGET', facts, '@')) or 0
  local version = math.max(follows + 1, tonumber(now[1]) * 1000000 + tonumber(now[2]))
  redis.call('HSET', facts, '@', string.format('%.0f', version))
  if redis.call('HEXISTS', KEYS[4], channel) == 0 then
    -- As facts.lua: the version stays for those who come back soon.
    redis.call('EXPIRE', facts, 60)
  end
  redis.call('SPUBLISH', topic, string.format('gone:%.0f:%.0f:', follows, version) .. notice)
end

for i = 0, (#KEYS - 7) / 2 - 1 do
  local facts, users = KEYS[8 + 2 * i], KEYS[9 + 2 * i]
  local channel, topic, notice = ARGV[6 + 3 * i], ARGV[7 + 3 * i], ARGV[8 + 3 * i]
  if budget <= 0 then
    break
  end
  local had_users = take_users(facts, users, channel)
  local had_count = take_count(facts, users, channel)
  redis.call('SREM', KEYS[2], channel)
  if had_users or had_count then
    announce(facts, channel, topic, notice)
  end
end
local left = redis.call('SRANDMEMBER', KEYS[2], ARGV[3])
table.insert(left, 1, lost)
return left
