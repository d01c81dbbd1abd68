-- Declares lost what another server has confirmed: this one was restarted, or took over, and may lack the
-- last writes.
--
-- KEYS: the markers of all buckets, by saga
-- ARGV: 1 identity of this server
-- Returns how many markers say so by this call.
local lost = 0
for _, key in ipairs(KEYS) do
  local markers = redis.call('HGETALL', key)
  for i = 1, #markers, 2 do
    local kind, generation, server = string.match(markers[i + 1], '^(%a+) (%d+) ?(%S*)')
    if kind ~= 'lost' and server ~= ARGV[1] then
      redis.call('HSET', key, markers[i], 'lost ' .. generation)
      lost = lost + 1
    end
  end
end
return lost
