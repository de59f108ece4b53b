-- Gives an entry the channel's next number, keeps it in the log and tells it to every node that holds the topic.
--
-- KEYS: counters, log, last event. The topic is ARGV[1]; it lies in the same slot.
-- ARGV: topic, epoch if a new one begins, expected epoch ('' for any), expected number, entry, bytes the log may hold,
--       seconds the log keeps, what a cache channel keeps ('' for nothing), milliseconds it keeps it, events in the entry,
--       the node, the number by which it counts its entries.
-- Returns {1, epoch, number, foreign}; or {0, epoch, number, foreign} when Redis has lost what the node expects ('' and 0:
-- everything). Foreign is 1 if somebody else had written here.
local topic, fresh, expected_epoch, expected_number, entry = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local most_bytes, keep_seconds, last, last_ms = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8], ARGV[9]
local events, from, sequence = tonumber(ARGV[10]), 'from:' .. ARGV[11], tonumber(ARGV[12])

-- What a script of ours can have written: nil for anything else. No channel ever has 10^14 events.
local function count(text)
  local found = tonumber(text or 0)
  return found and found >= 0 and found < 1e14 and found % 1 == 0 and found or nil
end
local function is_epoch(text)
  return string.match(text, '^%d+$') and (#text < 20 or #text == 20 and text <= '18446744073709551615')
end

local known = redis.call('HMGET', KEYS[1], 'epoch', 'number', from, 'bytes')
local epoch, number, taken, bytes = known[1], count(known[2]), count(known[3]), count(known[4])
local foreign = 0
if not (number and taken and bytes) or (epoch and not is_epoch(epoch)) then
  -- Somebody else has written here: the log is lost, and begins anew.
  redis.call('DEL', KEYS[1], KEYS[2])
  epoch, number, taken, bytes, foreign = false, 0, 0, 0, 1
end
if expected_epoch ~= '' and (epoch ~= expected_epoch or number < expected_number) then
  if epoch == expected_epoch then
    -- The end of the log is lost and its numbers will be given anew: not to be taken for those that nodes have seen.
    epoch = fresh
    redis.call('HSET', KEYS[1], 'epoch', epoch)
  end
  return {0, epoch or '', number, foreign}
end
-- A look; or bytes of an abandoned link that come late, or an answer that was lost.
if events == 0 or sequence <= taken then
  return {1, epoch, number, foreign}
end

local now = tonumber(redis.call('TIME')[1])
if not epoch then
  epoch = fresh
  redis.call('DEL', KEYS[2])
end
number = number + events
-- A log that was quiet for so long that it is gone weighs nothing.
if redis.call('EXISTS', KEYS[2]) == 0 then
  bytes = 0
end
local added = redis.pcall('XADD', KEYS[2], number .. '-0', 'at', now, 'entry', entry)
if type(added) == 'table' and added.err then
  if string.find(added.err, ' ID', 1, true) then
    -- Somebody else's entry has a higher number: lost as above.
    redis.call('DEL', KEYS[1], KEYS[2])
    if expected_epoch ~= '' then
      return {0, '', 0, 1}
    end
    epoch, number, bytes, foreign = fresh, events, 0, 1
  end
  redis.call('XADD', KEYS[2], number .. '-0', 'at', now, 'entry', entry)
end
redis.call('EXPIRE', KEYS[2], keep_seconds)
bytes = bytes + #entry
-- A few of the oldest go with each entry that comes: the log shrinks faster than it grows.
for _, old in ipairs(redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 8)) do
  local at, size = tonumber(old[2][2]) or 0, #(old[2][4] or '')
  if at + keep_seconds >= now and bytes <= most_bytes then
    break
  end
  redis.call('XDEL', KEYS[2], old[1])
  bytes = math.max(0, bytes - size)
end
redis.call('HSET', KEYS[1], 'epoch', epoch, 'number', number, from, sequence, 'bytes', bytes)
redis.call('EXPIRE', KEYS[1], 3600)
if last ~= '' then
  redis.call('SET', KEYS[3], last, 'PX', last_ms)
end
redis.call('SPUBLISH', topic, epoch .. ':' .. number .. ':' .. entry)
return {1, epoch, number, foreign}
