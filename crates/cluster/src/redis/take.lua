-- Hands a node what it has to tell: first what is ready, then what has become due.
--
-- KEYS: proofs, records, entries, the node's tombstone. ARGV: node, most records.
-- Returns {1, milliseconds until the next (-1: none), records without room since the last call, {time, id, record, ...},
-- entries that no script of ours has written and that were taken out since}; {0} when the node was declared dead.
local node, most = ARGV[1], tonumber(ARGV[2])
if redis.call('EXISTS', KEYS[4]) == 1 then
  return {0}
end
local hooks, taken = webhooks(KEYS[1], KEYS[2], KEYS[3], '', 0, node), {}
hooks.clear()

local function move(entry, to, class)
  redis.call('ZREM', KEYS[3], entry)
  redis.call('ZADD', KEYS[3], 0, to .. class .. string.sub(entry, 34))
end

local function hand(entry, record)
  move(entry, node, 'h')
  taken[#taken + 1] = string.sub(entry, 34, 49)
  taken[#taken + 1] = string.sub(entry, 50)
  taken[#taken + 1] = record
end

for _, entry in ipairs(redis.call('ZRANGEBYLEX', KEYS[3], '[' .. node .. 'r', '(' .. node .. 's', 'LIMIT', 0, most)) do
  local channel, _, record = hooks.read(string.sub(entry, 50))
  if channel then
    hand(entry, record)
  else
    hooks.refuse(entry)
  end
end
local due = '(' .. node .. 'w' .. digits(hooks.now + 1)
for _, entry in ipairs(redis.call('ZRANGEBYLEX', KEYS[3], '[' .. node .. 'w', due, 'LIMIT', 0, most)) do
  local channel, note, record = hooks.read(string.sub(entry, 50))
  if channel then
    if note then
      redis.call('HDEL', KEYS[2], note)
    end
    local owner, count = hooks.lane(channel)
    hooks.set_lane(channel, owner or node, count + 1)
    -- Whoever tells of the channel already tells this, too, so that it comes in its turn.
    if owner and owner ~= node then
      move(entry, owner, 'r')
    else
      hand(entry, record)
    end
  else
    hooks.refuse(entry)
  end
end
return {1, hooks.next(), hooks.reported('!'), taken, hooks.reported('?')}
