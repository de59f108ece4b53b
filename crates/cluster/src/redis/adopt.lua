-- Gives a dead node's records and batches to its successor, some of them at a time.
--
-- KEYS: proofs, records, entries, batches, the successor's tombstone. ARGV: the dead node, its successor, most records.
-- Returns how many were given; -1 when the successor was declared dead itself.
local dead, heir = ARGV[1], ARGV[2]
if redis.call('EXISTS', KEYS[5]) == 1 then
  return -1
end
local hooks = webhooks(KEYS[1], KEYS[2], KEYS[3], '', 0, heir)
hooks.clear()
local given = redis.call('ZRANGEBYLEX', KEYS[3], '[' .. dead, '(' .. dead .. 'x', 'LIMIT', 0, ARGV[3])
for _, entry in ipairs(given) do
  local channel, note = hooks.read(string.sub(entry, 50))
  if channel then
    local class = string.sub(entry, 33, 33)
    -- What was ready is looked at together with what was handed: in order, and not before the batches are known.
    local new = heir .. (class == 'w' and 'w' or 'h') .. string.sub(entry, 34)
    redis.call('ZREM', KEYS[3], entry)
    redis.call('ZADD', KEYS[3], 0, new)
    if class ~= 'w' then
      local _, count = hooks.lane(channel)
      hooks.set_lane(channel, heir, count)
    elseif note and redis.call('HGET', KEYS[2], note) == entry then
      redis.call('HSET', KEYS[2], note, new)
    end
  else
    hooks.refuse(entry)
  end
end
local batches = 0
for _, field in ipairs(redis.call('HKEYS', KEYS[4])) do
  if string.sub(field, 1, 33) == dead .. '/' then
    redis.call('HSET', KEYS[4], heir .. string.sub(field, 33), redis.call('HGET', KEYS[4], field))
    redis.call('HDEL', KEYS[4], field)
    batches = batches + 1
  end
end
return #given + batches
