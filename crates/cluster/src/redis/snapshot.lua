-- Reads what all nodes say of a channel, with the version of that state.
--
-- KEYS: facts. Returns {version, {field, sealed member, ...}, {node, subscriptions, ...}}; a field is node/user.
local all = redis.call('HGETALL', KEYS[1])
local version, members, counts = 0, {}, {}
for i = 1, #all, 2 do
  if all[i] == '@' then
    version = tonumber(all[i + 1]) or 0
    -- No script of ours can have written it: the next change follows none.
    version = version >= 0 and version < 2 ^ 53 and math.floor(version) or 0
  elseif string.sub(all[i], 1, 1) == '#' then
    counts[#counts + 1] = string.sub(all[i], 2)
    counts[#counts + 1] = all[i + 1]
  else
    members[#members + 1] = all[i]
    members[#members + 1] = all[i + 1]
  end
end
return {version, members, counts}
