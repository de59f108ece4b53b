-- Reads again what a node was handed and has not settled: its answer may have been lost, or it is another's estate.
--
-- KEYS: proofs, records, entries. ARGV: node, time and id after which to read ('' for all), most records.
-- Returns {time, id, record, ...}.
local node, answer = ARGV[1], {}
local hooks = webhooks(KEYS[1], KEYS[2], KEYS[3], '', 0, node)
hooks.clear()
local from, to = (ARGV[2] == '' and '[' or '(') .. node .. 'h' .. ARGV[2], '(' .. node .. 'i'
for _, entry in ipairs(redis.call('ZRANGEBYLEX', KEYS[3], from, to, 'LIMIT', 0, ARGV[3])) do
  local channel, _, record = hooks.read(string.sub(entry, 50))
  if channel then
    answer[#answer + 1] = string.sub(entry, 34, 49)
    answer[#answer + 1] = string.sub(entry, 50)
    answer[#answer + 1] = record
  else
    hooks.refuse(entry)
  end
end
return answer
