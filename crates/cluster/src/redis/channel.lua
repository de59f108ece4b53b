-- Counts one channel, and lists its users if asked.
--
-- KEYS: occupied channels, users. ARGV: channel, most users to list, most bytes of an id.
-- Returns {subscriptions, users, id, id, ...}; keys and values that no node of ours can have written count 0.
local channel, most, longest = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local count = tonumber(redis.pcall('HGET', KEYS[1], channel)) or 0
if not (count >= 1 and count < 2 ^ 53) then
  count = 0
end
local users = redis.pcall('HLEN', KEYS[2])
if type(users) ~= 'number' then
  users = 0
end
local answer = {count, users}
if users > 0 and users <= most then
  for _, id in ipairs(redis.call('HKEYS', KEYS[2])) do
    if #id <= longest then
      answer[#answer + 1] = id
    end
  end
end
return answer
