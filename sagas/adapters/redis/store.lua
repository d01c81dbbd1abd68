-- Stores one change of one saga instance, if its stamp is still as expected.
--
-- KEYS: 1 the instance's hash, 2 the index of its new status
-- ARGV: 1 expected stamp ('' = no row), 2 new stamp, 3 token, 4 status, 5 state, 6 changed at (ms),
--       7 saga id, 8 prefix of the index keys, then field and bytes of each event
-- Returns 1 if the change is stored, by this call or by an earlier one with the same token; else 0.
--
-- The index of the old status is named from the prefix: it has the hash tag, so the slot, of KEYS.
local row = redis.call('HMGET', KEYS[1], 'v', 't', 'x')
if row[2] == ARGV[3] then
  return 1
end
if (row[1] or '') ~= ARGV[1] then
  return 0
end
if row[3] and row[3] ~= ARGV[4] then
  redis.call('ZREM', ARGV[8] .. row[3], ARGV[7])
end
redis.call('ZADD', KEYS[2], ARGV[6], ARGV[7])
redis.call('HSET', KEYS[1], 'v', ARGV[2], 't', ARGV[3], 'x', ARGV[4], 's', ARGV[5], unpack(ARGV, 9))
return 1
