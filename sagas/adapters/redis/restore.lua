-- Puts a whole row in place of whatever is there, while its bucket is rebuilt by the token.
--
-- KEYS: 1 the instance's hash, 2 the index of its status, 3 its bucket's markers, 4 its bucket's timers
-- ARGV: 1 the rebuilder's token, 2 stamp, 3 token of the change, 4 status, 5 state, 6 changed at (ms),
--       7 saga id, 8 prefix of the index keys, 9 how many statuses there are, 10 how many timers to clear,
--       11 how many to set, 12 saga, 13 digest of the start's content; then the statuses, the members to clear, due (ms) and member of each timer to
--       set, field and bytes of each event
-- Returns 1 if the row is there, 0 if the bucket is not being rebuilt by the token.
--
-- What is left of a lost row may stand in any index: named from the prefix, they are in the slot of KEYS.
local marker = redis.call('HGET', KEYS[3], ARGV[12]) or ''
if not string.find(marker, '^rebuilding ') or string.sub(marker, -#ARGV[1] - 1) ~= ' ' .. ARGV[1] then
  return 0
end
local at = 14
for i = at, at + tonumber(ARGV[9]) - 1 do
  redis.call('ZREM', ARGV[8] .. ARGV[i], ARGV[7])
end
at = at + tonumber(ARGV[9])
local set_from = at + tonumber(ARGV[10])
if at < set_from then
  redis.call('ZREM', KEYS[4], unpack(ARGV, at, set_from - 1))
end
local events_from = set_from + 2 * tonumber(ARGV[11])
if set_from < events_from then
  redis.call('ZADD', KEYS[4], unpack(ARGV, set_from, events_from - 1))
end
redis.call('ZADD', KEYS[2], ARGV[6], ARGV[7])
redis.call('DEL', KEYS[1])
local head = ARGV[2] .. ' ' .. ARGV[4] .. ' ' .. ARGV[13] .. ' ' .. ARGV[3] .. '\n'
redis.call('HSET', KEYS[1], 's', head .. ARGV[5], unpack(ARGV, events_from))
return 1
