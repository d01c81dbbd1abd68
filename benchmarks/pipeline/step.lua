-- Records one step of one order, unless it is recorded or the order has been turned back.
--
-- KEYS: 1 the order's hash
-- ARGV: 1 the step's field, 2 its event, 3 the status it leads to, 4 a status in which it is too late,
--       then field and bytes of what else is to be recorded
-- Returns 1 if the step is recorded now, its event if it was before, nil if it is too late.
local row = redis.call('HMGET', KEYS[1], ARGV[1], 'status')
if row[1] then
  return row[1]
end
if row[2] == ARGV[4] then
  return false
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2], 'status', ARGV[3], unpack(ARGV, 5))
return 1
