-- Stores one change of one saga instance, if its stamp is still as expected and its bucket is ready.
--
-- KEYS: 1 the instance's hash, 2 the index of its new status, 3 its bucket's markers, by saga,
--       4 its bucket's timers (only if any change)
-- ARGV: 1 expected stamp ('' = no row), 2 new stamp, 3 token, 4 status, 5 state, 6 changed at (ms),
--       7 saga id, 8 prefix of the index keys, 9 saga, 10 digest of the start's content ('' = as it is), then
--       field and bytes of each event; with a fourth key then the members to clear, due (ms) and member of
--       each timer to set, how many were cleared, how many set
-- Returns 1 if the change is stored, by this call or by an earlier one with the same token; 0 if the
-- stamp, or the generation of a new row, is another one; -1 if the bucket is lost, -2 while it is rebuilt.
--
-- The index of the old status is named from the prefix: it has the hash tag, so the slot, of KEYS.
-- A timer that is cleared takes the note of its name along: what follows the last U+001F of a member.
local marker = redis.call('HGET', KEYS[3], ARGV[9])
if not marker or string.sub(marker, 1, 5) == 'lost ' then
  return -1
end
if string.sub(marker, 1, 6) ~= 'ready ' then
  return -2
end
local row = redis.call('HMGET', KEYS[1], 's', 'n')
local stamp, status, content, token = '', nil, '', nil
if row[1] then
  stamp, status, content, token = string.match(row[1], '^(%S+) (%S+) (%S*) (%S+)\n')
end
if token == ARGV[3] then
  return 1
end
if stamp ~= ARGV[1] then
  return 0
end
if not row[1] and string.match(marker, '^ready (%d+)') ~= string.match(ARGV[2], '^%d+') then
  return 0
end
if status and status ~= ARGV[4] then
  redis.call('ZREM', ARGV[8] .. status, ARGV[7])
end
redis.call('ZADD', KEYS[2], ARGV[6], ARGV[7])
local last = #ARGV
if KEYS[4] then
  local set_from = last - 1 - 2 * tonumber(ARGV[last])
  local cleared_from = set_from - tonumber(ARGV[last - 1])
  if cleared_from < set_from then
    redis.call('ZREM', KEYS[4], unpack(ARGV, cleared_from, set_from - 1))
    if row[2] then
      local readable, notes = pcall(cjson.decode, row[2])
      if not readable or type(notes) ~= 'table' then
        notes = {}
      end
      for i = cleared_from, set_from - 1 do
        notes[string.match(ARGV[i], '[^\31]*$')] = nil
      end
      if next(notes) then
        redis.call('HSET', KEYS[1], 'n', cjson.encode(notes))
      else
        redis.call('HDEL', KEYS[1], 'n')
      end
    end
  end
  if set_from < last - 1 then
    redis.call('ZADD', KEYS[4], unpack(ARGV, set_from, last - 2))
  end
  last = cleared_from - 1
end
if ARGV[10] ~= '' then
  content = ARGV[10]
end
local head = ARGV[2] .. ' ' .. ARGV[4] .. ' ' .. content .. ' ' .. ARGV[3] .. '\n'
redis.call('HSET', KEYS[1], 's', head .. ARGV[5], unpack(ARGV, 11, last))
return 1
