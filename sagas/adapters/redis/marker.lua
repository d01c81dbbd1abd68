-- Changes the marker of one saga in one bucket: 'ready GENERATION SERVER', 'rebuilding GENERATION SERVER TOKEN', or
-- 'lost GENERATION', where GENERATION is the last one that was ready.
--
-- KEYS: 1 the markers of the bucket, by saga
-- ARGV: 1 'begin' or 'finish', 2 identity of the server, 3 token, 4 saga, 5 generation (to finish)
-- begin: returns the generation that was known, 0 if none. finish: 1 if the bucket is ready under this
-- generation, 0 if it is not the token's.
local marker = redis.call('HGET', KEYS[1], ARGV[4]) or ''
if ARGV[1] == 'begin' then
  local generation = string.match(marker, '^%a+ (%d+)') or '0'
  redis.call('HSET', KEYS[1], ARGV[4], 'rebuilding ' .. generation .. ' ' .. ARGV[2] .. ' ' .. ARGV[3])
  return tonumber(generation)
end
local ready = 'ready ' .. ARGV[5] .. ' ' .. ARGV[2]
if marker == ready then
  return 1
end
if not string.find(marker, '^rebuilding ') or string.sub(marker, -#ARGV[3] - 1) ~= ' ' .. ARGV[3] then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[4], ready)
return 1
