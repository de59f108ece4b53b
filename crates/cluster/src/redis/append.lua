-- Gives an entry the channel's next number, keeps it in the log and tells it to every node that holds the topic.
--
-- KEYS: counters, log, last event. The topic is ARGV[1]; it lies in the same slot.
-- ARGV: topic, epoch if a new one begins, expected epoch ('' for any), expected number, entry, bytes the log may hold,
--       seconds the log keeps, what a cache channel keeps ('' for nothing), milliseconds it keeps it, events in the entry,
--       the node, the number by which it counts its entries.
-- Returns {1, epoch, number}; or {0, epoch, number} when Redis has lost what the node expects ({0, '', 0}: everything).
local topic, fresh, expected_epoch, expected_number, entry = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local most_bytes, keep_seconds, last, last_ms = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8], ARGV[9]
local events, from, sequence = tonumber(ARGV[10]), 'from:' .. ARGV[11], tonumber(ARGV[12])

local known = redis.call('HMGET', KEYS[1], 'epoch', 'number', from)
local epoch, number = known[1], tonumber(known[2] or 0)
if expected_epoch ~= '' and (epoch ~= expected_epoch or number < expected_number) then
  if epoch == expected_epoch then
    -- The end of the log is lost and its numbers will be given anew: not to be taken for those that nodes have seen.
    epoch = fresh
    redis.call('HSET', KEYS[1], 'epoch', epoch)
  end
  return {0, epoch or '', number}
end
-- A look; or bytes of an abandoned link that come late, or an answer that was lost.
if events == 0 or sequence <= tonumber(known[3] or 0) then
  return {1, epoch, number}
end

local now = tonumber(redis.call('TIME')[1])
if not epoch then
  epoch = fresh
  redis.call('HSET', KEYS[1], 'epoch', epoch)
  redis.call('DEL', KEYS[2])
end
number = redis.call('HINCRBY', KEYS[1], 'number', events)
redis.call('HSET', KEYS[1], from, sequence)
-- A log that was quiet for so long that it is gone weighs nothing.
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('HSET', KEYS[1], 'bytes', 0)
end
local bytes = redis.call('HINCRBY', KEYS[1], 'bytes', #entry)
redis.call('EXPIRE', KEYS[1], 3600)
redis.call('XADD', KEYS[2], number .. '-0', 'at', now, 'entry', entry)
redis.call('EXPIRE', KEYS[2], keep_seconds)
-- A few of the oldest go with each entry that comes: the log shrinks faster than it grows.
for _, old in ipairs(redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 8)) do
  local at, size = tonumber(old[2][2]), #old[2][4]
  if at + keep_seconds >= now and bytes <= most_bytes then
    break
  end
  redis.call('XDEL', KEYS[2], old[1])
  bytes = redis.call('HINCRBY', KEYS[1], 'bytes', -size)
end
if last ~= '' then
  redis.call('SET', KEYS[3], last, 'PX', last_ms)
end
redis.call('SPUBLISH', topic, epoch .. ':' .. number .. ':' .. entry)
return {1, epoch, number}
