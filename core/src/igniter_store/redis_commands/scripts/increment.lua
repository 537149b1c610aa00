-- Adds to a counter, and gives it a time to live where it has none.
-- KEYS: the counter. ARGV: what to add; milliseconds to live, or "".
-- Answer: the new value as text, since a Lua number can't hold 64 bits.
local added = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(added) == 'table' then
  return added
end
if ARGV[2] ~= '' and redis.call('PTTL', KEYS[1]) == -1 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return redis.call('GET', KEYS[1])
