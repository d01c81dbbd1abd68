-- Stores one change of one saga instance, if its stamp is still as expected and its bucket is ready.
--
-- KEYS: 1 the instance's hash, 2 the index of its new status, 3 its bucket's markers, by saga,
--       4 its bucket's timers (only if any change)
-- ARGV: 1 expected stamp ('' = no row), 2 new stamp, 3 token, 4 status, 5 state, 6 changed at (ms),
--       7 saga id, 8 prefix of the index keys, 9 saga, then field and bytes of each event;
--       with a fourth key then the members to clear, due (ms) and member of each timer to set, how many
--       were cleared, how many set
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
local row = redis.call('HMGET', KEYS[1], 'v', 't', 'x', 'n')
if row[2] == ARGV[3] then
  return 1
end
if (row[1] or '') ~= ARGV[1] then
  return 0
end
if not row[1] and string.match(marker, '^ready (%d+)') ~= string.match(ARGV[2], '^%d+') then
  return 0
end
if row[3] and row[3] ~= ARGV[4] then
  redis.call('ZREM', ARGV[8] .. row[3], ARGV[7])
end
redis.call('ZADD', KEYS[2], ARGV[6], ARGV[7])
local last = #ARGV
if KEYS[4] then
  local set_from = last - 1 - 2 * tonumber(ARGV[last])
  local cleared_from = set_from - tonumber(ARGV[last - 1])
  if cleared_from < set_from then
    redis.call('ZREM', KEYS[4], unpack(ARGV, cleared_from, set_from - 1))
    if row[4] then
      local readable, notes = pcall(cjson.decode, row[4])
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
redis.call('HSET', KEYS[1], 'v', ARGV[2], 't', ARGV[3], 'x', ARGV[4], 's', ARGV[5], unpack(ARGV, 10, last))
return 1
