-- Moves a timer that is still set. ZADD XX alone would not tell a timer that was cleared from one that
-- is due at that moment already, which is what a repeat finds.
--
-- KEYS: 1 the bucket's timers
-- ARGV: 1 due (ms), 2 member
-- Returns 1 if the timer is set, else 0.
if not redis.call('ZSCORE', KEYS[1], ARGV[2]) then
  return 0
end
redis.call('ZADD', KEYS[1], 'XX', ARGV[1], ARGV[2])
return 1
