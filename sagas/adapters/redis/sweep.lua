-- Forgets instances that have ended: rows and index entries.
--
-- KEYS: 1 the index of a status in which nothing follows
-- ARGV: 1 changed before (ms), 2 at most so many, 3 prefix of the rows' keys, in the slot of KEYS
-- Returns how many.
local ids = redis.call('ZRANGE', KEYS[1], '-inf', '(' .. ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[2])
for _, id in ipairs(ids) do
  redis.call('DEL', ARGV[3] .. id)
  redis.call('ZREM', KEYS[1], id)
end
return #ids
