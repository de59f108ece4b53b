-- Decides which webhooks follow from a change of facts, once for the cluster. Stands before every script that changes
-- them, and before those that hand the records out. Three keys of the partition:
--
-- proofs (hash): what the channel, or `channel/user`, was sealed with by a node that had it.
-- records (hash): what nobody has delivered yet, by its id: `kind count proof marks channel user`. Beside them `-subject`:
--   the entry of a going that a return takes back; `#channel`: the entry of a count that is summed up; `+channel`: the
--   node that tells of the channel and how many records it has to (so its records stay in order); `@`: the newest id;
--   `!`: how many found no room; `?`: how many entries no script of ours has written.
-- entries (sorted set, every score 0): node, then r (ready), w (waits for its time) or h (handed to the node), then its
--   time and its id, both in microseconds with 16 digits.
local MOST_ENTRIES, COUNTED_AT_ONCE, COUNT_PAUSE, FORGOTTEN_PAUSE = 65536, 100, 5000000, 10000000

-- The number in a field, 0 for a field that is not there; nil for what no script of ours can have written.
local function natural(text)
  local number = tonumber(text or 0)
  return number and number >= 0 and number < 2 ^ 53 and number % 1 == 0 and number or nil
end

local function digits(number)
  return string.format('%016.0f', number)
end

local function webhooks(proofs, records, entries, wanted, grace, node)
  local hooks, time = { wake = -1 }, redis.call('TIME')
  local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
  grace = (tonumber(grace) or 0) * 1000

  local function lane(channel)
    local owner, count = string.match(redis.call('HGET', records, '+' .. channel) or '', '^(%x+) (%d+)$')
    if not owner or #owner ~= 32 or not natural(count) then
      return nil, 0
    end
    return owner, tonumber(count)
  end

  local function set_lane(channel, owner, count)
    if count > 0 then
      redis.call('HSET', records, '+' .. channel, owner .. ' ' .. count)
    else
      redis.call('HDEL', records, '+' .. channel)
    end
  end

  -- Counts something until somebody takes.
  local function note(field, more)
    redis.call('HSET', records, field, (natural(redis.call('HGET', records, field)) or 0) + more)
  end

  local function add(owner, class, pause, kind, count, proof, channel, user)
    if redis.call('ZCARD', entries) >= MOST_ENTRIES then
      note('!', 1)
      return nil
    end
    local id = math.max(now, (natural(redis.call('HGET', records, '@')) or 0) + 1)
    local entry = owner .. class .. digits(math.max(id, now + pause)) .. digits(id)
    redis.call('HSET', records, '@', digits(id), digits(id), table.concat({ kind, count, proof, '-', channel, user }, ' '))
    redis.call('ZADD', entries, 0, entry)
    if owner == node and (hooks.wake < 0 or pause / 1000 < hooks.wake) then
      hooks.wake = math.ceil(pause / 1000)
    end
    return entry
  end

  local function ready(kind, count, proof, channel, user)
    local owner, before = lane(channel)
    owner = owner or node
    if add(owner, 'r', 0, kind, count, proof, channel, user) then
      set_lane(channel, owner, before + 1)
    end
  end

  local function forget(entry)
    redis.call('ZREM', entries, entry)
    redis.call('HDEL', records, string.sub(entry, 50))
  end

  -- Takes out what no script of ours has written.
  function hooks.refuse(entry)
    forget(entry)
    note('?', 1)
  end

  -- The order of the entries stands on their having one score.
  function hooks.clear()
    local strange = redis.call('ZREMRANGEBYSCORE', entries, '-inf', '(0')
      + redis.call('ZREMRANGEBYSCORE', entries, '(0', '+inf')
    if strange > 0 then
      note('?', strange)
    end
  end

  -- What was noted since the last call.
  function hooks.reported(field)
    local count = natural(redis.call('HGET', records, field)) or 0
    redis.call('HDEL', records, field)
    return count
  end

  -- The entry that is noted under a name, if it still waits.
  local function noted(name)
    local entry = redis.call('HGET', records, name)
    return entry and redis.call('ZSCORE', entries, entry) and entry
  end

  local function concerns(letter, channel)
    return string.find(wanted, letter, 1, true) and string.sub(channel, 1, 1) ~= '#'
  end

  -- The first of the cluster has come: into the channel, or as this user. A known one was there before Redis forgot it.
  function hooks.came(channel, user, proof, known)
    if not concerns(user and 'm' or 'c', channel) then
      return
    end
    local subject = user and channel .. '/' .. user or channel
    redis.call('HSET', proofs, subject, proof)
    local gone = noted('-' .. subject)
    if gone then
      redis.call('HDEL', records, '-' .. subject)
      forget(gone)
    elseif not known then
      ready(user and 'a' or 'o', 0, proof, channel, user or '')
    end
  end

  -- The last of the cluster has gone. When Redis had forgotten it, others may still have to say that they have it, too.
  function hooks.went(channel, user, proof, forgotten)
    if not concerns(user and 'm' or 'c', channel) then
      return
    end
    local subject = user and channel .. '/' .. user or channel
    proof = redis.call('HGET', proofs, subject) or proof
    redis.call('HDEL', proofs, subject)
    if not proof or noted('-' .. subject) then
      return
    end
    local pause = forgotten and math.max(grace, FORGOTTEN_PAUSE) or grace
    local entry = add(node, 'w', pause, user and 'r' or 'v', 0, proof, channel, user or '')
    if entry then
      redis.call('HSET', records, '-' .. subject, entry)
    end
  end

  -- The channel has another number of subscriptions. What nodes tell again after a cut is summed up, too.
  function hooks.counted(channel, total, proof, known)
    proof = proof or redis.call('HGET', proofs, channel)
    if not proof or not concerns('s', channel) or string.sub(channel, 1, 9) == 'presence-' then
      return
    end
    local waiting = noted('#' .. channel)
    if known or total > COUNTED_AT_ONCE then
      if waiting then
        local record = table.concat({ 's', total, proof, '-', channel, '' }, ' ')
        redis.call('HSET', records, string.sub(waiting, 50), record)
      else
        local entry = add(node, 'w', COUNT_PAUSE, 's', total, proof, channel, '')
        if entry then
          redis.call('HSET', records, '#' .. channel, entry)
        end
      end
      return
    end
    if waiting then
      redis.call('HDEL', records, '#' .. channel)
      forget(waiting)
    end
    ready('s', total, proof, channel, '')
  end

  -- What a record is about: its fields, and where its waiting entry is noted.
  function hooks.read(id)
    local record = redis.call('HGET', records, id) or ''
    local kind, count, proof, marks, channel, user = string.match(record, '^(%a) (%d+) (%x+) (%S+) (%S+) (.*)$')
    local note = kind == 's' and '#' .. channel or (kind == 'v' and '-' .. channel)
    if kind == 'r' then
      note = '-' .. channel .. '/' .. user
    end
    return channel, note, record, { kind, count, proof, marks, channel, user }
  end

  -- Milliseconds until there is something for the node; -1 for never.
  function hooks.next()
    if redis.call('ZLEXCOUNT', entries, '[' .. node .. 'r', '(' .. node .. 's') > 0 then
      return 0
    end
    local first = redis.call('ZRANGEBYLEX', entries, '[' .. node .. 'w', '(' .. node .. 'x', 'LIMIT', 0, 1)[1]
    if first and not (#first == 65 and string.match(string.sub(first, 34), '^%d+$')) then
      -- It would never be due. There may be more like it.
      hooks.refuse(first)
      return 0
    end
    return first and math.max(0, math.ceil((tonumber(string.sub(first, 34, 49)) - now) / 1000)) or -1
  end

  hooks.now, hooks.lane, hooks.set_lane, hooks.forget = now, lane, set_lane, forget
  return hooks
end
