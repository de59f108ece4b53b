-- Reads all members of a channel, with the version of that state.
--
-- KEYS: facts. Returns {version, {field, sealed member, ...}}; a field is node/user.
local all = redis.call('HGETALL', KEYS[1])
local version, members = 0, {}
for i = 1, #all, 2 do
  if all[i] == '@' then
    version = tonumber(all[i + 1])
  elseif string.sub(all[i], 1, 1) ~= '#' then
    members[#members + 1] = all[i]
    members[#members + 1] = all[i + 1]
  end
end
return {version, members}
