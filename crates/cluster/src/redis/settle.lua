-- Forgets records that every endpoint has taken or given up, and marks those that one of several has.
--
-- KEYS: proofs, records, entries, the node's tombstone. ARGV: node, then for each record its time and id, and the
-- endpoint ('' for all of them).
-- Returns the milliseconds until there is something for the node, or -1; -2 when it was declared dead.
local node = ARGV[1]
if redis.call('EXISTS', KEYS[4]) == 1 then
  return -2
end
local hooks = webhooks(KEYS[1], KEYS[2], KEYS[3], '', 0, node)
for i = 2, #ARGV, 2 do
  local entry, endpoint = node .. 'h' .. ARGV[i], ARGV[i + 1]
  local id = string.sub(entry, 50)
  local channel, _, _, fields = hooks.read(id)
  if redis.call('ZSCORE', KEYS[3], entry) and channel then
    if endpoint == '' then
      local owner, count = hooks.lane(channel)
      hooks.set_lane(channel, owner or node, count - 1)
      hooks.forget(entry)
    else
      fields[4] = fields[4] .. endpoint .. '-'
      redis.call('HSET', KEYS[2], id, table.concat(fields, ' '))
    end
  end
end
return hooks.next()
