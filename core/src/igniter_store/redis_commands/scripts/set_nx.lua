-- SET NX, for clients that change the values of SET.
-- KEYS: the key. ARGV: the owner; the TTL in milliseconds, or "".
-- Returns 1 if the key was set, else 0.
local set
if ARGV[2] == '' then
  set = redis.call('SET', KEYS[1], ARGV[1], 'NX')
else
  set = redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
end
return set and 1 or 0
