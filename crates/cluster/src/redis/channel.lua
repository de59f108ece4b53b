-- Counts one channel, and lists its users if asked.
--
-- KEYS: occupied channels, users, facts. ARGV: channel, most users to list, most bytes of an id.
-- Returns {fields that no node of ours can have written and that are taken out, subscriptions, users, id, id, ...}.
local channel, most, longest, strangers = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), 0

-- As facts.lua: users of another type end the script here and are deleted, and facts without users are not to be used on.
local users = redis.pcall('HLEN', KEYS[2])
if type(users) == 'table' and string.find(users.err, 'WRONGTYPE', 1, true) then
  redis.call('DEL', KEYS[3])
end
users = redis.call('HLEN', KEYS[2])

local count = tonumber(redis.call('HGET', KEYS[1], channel) or 0)
if not (count and count >= 0 and count < 2 ^ 53) then
  count, strangers = 0, redis.call('HDEL', KEYS[1], channel)
end
local answer = { 0, count, users }
if users > 0 and users <= most then
  for _, id in ipairs(redis.call('HKEYS', KEYS[2])) do
    if #id <= longest then
      answer[#answer + 1] = id
    else
      strangers = strangers + redis.call('HDEL', KEYS[2], id)
    end
  end
end
answer[1] = strangers
return answer
