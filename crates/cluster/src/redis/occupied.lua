-- Lists the occupied channels of one partition whose names begin with a prefix.
--
-- KEYS: occupied channels. ARGV: prefix, most channels, most bytes of a name.
-- Returns {fields that no node of ours can have written and that are taken out, channel, subscriptions, ...}; nil when there
-- are more channels than that.
local prefix, most, longest = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if redis.call('HLEN', KEYS[1]) > most then
  return false
end
local found = { 0 }
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local name, count = all[i], tonumber(all[i + 1])
  if not (count and count >= 1 and count < 2 ^ 53 and #name <= longest) then
    redis.call('HDEL', KEYS[1], name)
    found[1] = found[1] + 1
  elseif string.sub(name, 1, #prefix) == prefix then
    found[#found + 1] = name
    found[#found + 1] = count
  end
end
return found
