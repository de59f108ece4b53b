-- Reads the batches that a node has not finished.
--
-- KEYS: batches. ARGV: node, most bytes of a batch. Returns {delivery, sealed batch, ...}.
local answer, prefix = {}, ARGV[1] .. '/'
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 33) == prefix then
    if redis.call('HSTRLEN', KEYS[1], field) <= tonumber(ARGV[2]) then
      answer[#answer + 1] = string.sub(field, 34)
      answer[#answer + 1] = redis.call('HGET', KEYS[1], field)
    else
      redis.call('HDEL', KEYS[1], field)
    end
  end
end
return answer
