-- Deletes keys that are not what they should be: somebody else has written them.
--
-- KEYS: keys of one script. ARGV: the type of each, as TYPE says it. Returns those that are deleted.
local deleted = {}
for i, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'none' and kind ~= ARGV[i] then
    redis.call('DEL', key)
    deleted[#deleted + 1] = key
  end
end
return deleted
