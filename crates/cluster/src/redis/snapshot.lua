-- Reads what all nodes say of a channel, with the version of that state.
--
-- KEYS: facts. ARGV: most bytes to read.
-- Returns {version, {field, sealed member, ...}, {node, subscriptions, ...}, fields that no node of ours can have written and
-- that are taken out}; a field is node/user. Nothing when there is more: then it is deleted, to be told again.
local all = redis.call('HGETALL', KEYS[1])
local version, members, counts, strangers, most = 0, {}, {}, 0, tonumber(ARGV[1])
for i = 1, #all, 2 do
  local field, value = all[i], all[i + 1]
  most = most - #field - #value
  if field == '@' then
    version = tonumber(value) or 0
    -- No script of ours can have written it: the next change follows none.
    version = version >= 0 and version < 2 ^ 53 and math.floor(version) or 0
  elseif #field == 33 and string.match(field, '^#%x+$') then
    counts[#counts + 1] = string.sub(field, 2)
    counts[#counts + 1] = value
  elseif string.match(string.sub(field, 1, 33), '^%x+/$') and string.sub(field, 33, 33) == '/' then
    members[#members + 1] = field
    members[#members + 1] = value
  else
    strangers = strangers + redis.call('HDEL', KEYS[1], field)
  end
end
if most < 0 then
  redis.call('DEL', KEYS[1])
  return false
end
return {version, members, counts, strangers}
