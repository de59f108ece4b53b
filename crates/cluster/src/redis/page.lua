-- Reads a channel's log after a position, and where it stands, in one moment.
--
-- KEYS: counters, log. ARGV: epoch and number of the position ('' and 0 for the beginning), most bytes to read,
-- most bytes of a first entry that is larger than that.
-- Returns {epoch, number, {number, entry, number, entry, ...}, 1 if there is more than that}; the epoch is '' when there is
-- none.
local known = redis.call('HMGET', KEYS[1], 'epoch', 'number')
local epoch, number, most, most_of_one = known[1], tonumber(known[2] or 0), tonumber(ARGV[3]), tonumber(ARGV[4])
-- Neither can be what somebody else wrote: `append.lua` will begin anew.
if not (epoch and number and string.match(epoch, '^%d+$') and number >= 0 and number < 1e14 and number % 1 == 0) then
  return {'', 0, {}, 0}
end
local from = '-'
if epoch == ARGV[1] and number >= tonumber(ARGV[2]) then
  from = '(' .. ARGV[2] .. '-0'
end
local entries = {}
repeat
  local some = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', 64)
  for _, found in ipairs(some) do
    local entry = found[2][4] or ''
    most = most - #entry
    if most < 0 and (#entries > 0 or #entry > most_of_one) then
      return {epoch, number, entries, 1}
    end
    entries[#entries + 1] = found[1]
    entries[#entries + 1] = entry
    from = '(' .. found[1]
  end
until #some < 64
return {epoch, number, entries, 0}
