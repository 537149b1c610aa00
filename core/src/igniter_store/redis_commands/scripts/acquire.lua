-- Acquires a claim that is free, and returns its fencing token. A missing counter of tokens starts
-- at the server's clock in milliseconds.
-- KEYS: the claim; the counter of tokens.
-- ARGV: the owner; the TTL of the claim, and that of the counter, in milliseconds.
-- Returns the token as text, or nil if the claim is held.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return false
end
local step = '1'
if redis.call('EXISTS', KEYS[2]) == 0 then
  local clock = redis.call('TIME')
  step = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000) + 1)
end
-- The token first: if the counter can't be incremented, the claim must stay free.
local token = redis.pcall('INCRBY', KEYS[2], step)
if type(token) == 'table' then
  return token
end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return redis.call('GET', KEYS[2])
