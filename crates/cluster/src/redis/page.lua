-- Reads a channel's log after a position, and where it stands, in one moment.
--
-- KEYS: counters, log. ARGV: epoch and number of the position ('' and 0 for the beginning).
-- Returns {epoch, number, {number, entry, number, entry, ...}}; the epoch is '' when there is none.
local known = redis.call('HMGET', KEYS[1], 'epoch', 'number')
local epoch, number = known[1], tonumber(known[2] or 0)
-- Neither can be what somebody else wrote: `append.lua` will begin anew.
if not (epoch and number and string.match(epoch, '^%d+$') and number >= 0 and number < 1e14 and number % 1 == 0) then
  return {'', 0, {}}
end
local from = '-'
if epoch == ARGV[1] and number >= tonumber(ARGV[2]) then
  from = '(' .. ARGV[2] .. '-0'
end
local entries = {}
for _, found in ipairs(redis.call('XRANGE', KEYS[2], from, '+')) do
  entries[#entries + 1] = found[1]
  entries[#entries + 1] = found[2][4] or ''
end
return {epoch, number, entries}
