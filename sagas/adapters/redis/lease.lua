-- Takes, keeps or gives back the only lease on rebuilding.
--
-- KEYS: 1 the lease
-- ARGV: 1 token, 2 for how long (ms), 0 to give it back
-- Returns 1 if the lease is, or was, the token's; else 0.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1
