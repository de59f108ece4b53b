-- Reads the batches that a node has not finished.
--
-- KEYS: batches. ARGV: node, most bytes of a batch. Returns {delivery, sealed batch, ...}; '' for a batch that is larger.
local answer, prefix = {}, ARGV[1] .. '/'
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 33) == prefix then
    local fits = redis.call('HSTRLEN', KEYS[1], field) <= tonumber(ARGV[2])
    answer[#answer + 1] = string.sub(field, 34)
    answer[#answer + 1] = fits and redis.call('HGET', KEYS[1], field) or ''
  end
end
return answer
