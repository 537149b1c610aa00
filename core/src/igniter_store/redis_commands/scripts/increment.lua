-- Increments a counter, and sets its TTL if it has none.
-- KEYS: the counter. ARGV: the increment; the TTL in milliseconds, or "".
-- Returns the new value as text, because a Lua number can't represent 64 bits.
local added = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(added) == 'table' then
  return added
end
if ARGV[2] ~= '' and redis.call('PTTL', KEYS[1]) == -1 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return redis.call('GET', KEYS[1])
