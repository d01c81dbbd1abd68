-- Keeps or removes one note of a saga instance that is there, and sets or clears the timer of its name.
--
-- KEYS: 1 the instance's hash, 2 its bucket's timers
-- ARGV: 1 the note's name, 2 the timer's member; to keep it: 3 the note, 4 due (ms), or '' to leave the
--       timer as it is
-- Returns 1, or 0 if there is no such instance.
--
-- The field n has all notes as JSON, name to text: one field more for a load, and none without notes.
-- They are hints: where it is damaged it begins anew.
local row = redis.call('HMGET', KEYS[1], 's', 'n')
if not row[1] then
  return 0
end
local readable, notes = pcall(cjson.decode, row[2] or '{}')
if not readable or type(notes) ~= 'table' then
  notes = {}
end
notes[ARGV[1]] = ARGV[3]
if not ARGV[3] then
  redis.call('ZREM', KEYS[2], ARGV[2])
elseif ARGV[4] ~= '' then
  redis.call('ZADD', KEYS[2], ARGV[4], ARGV[2])
end
if next(notes) then
  redis.call('HSET', KEYS[1], 'n', cjson.encode(notes))
else
  redis.call('HDEL', KEYS[1], 'n')
end
return 1
