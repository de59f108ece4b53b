-- Lists the occupied channels of one partition whose names begin with a prefix.
--
-- KEYS: occupied channels. ARGV: prefix, most channels, most bytes of a name.
-- Returns {channel, subscriptions, ...}; nil when there are more than that, or the key is something else.
local prefix, most, longest = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local size = redis.pcall('HLEN', KEYS[1])
if type(size) ~= 'number' or size > most then
  return false
end
local found = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local name, count = all[i], tonumber(all[i + 1])
  -- What no node of ours can have written is passed over.
  if count and count >= 1 and count < 2 ^ 53 and #name <= longest and string.sub(name, 1, #prefix) == prefix then
    found[#found + 1] = name
    found[#found + 1] = count
  end
end
return found
