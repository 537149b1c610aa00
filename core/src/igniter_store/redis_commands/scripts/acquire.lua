-- Takes a claim that nobody holds, and counts its fencing token; a counter that isn't there begins at the clock in milliseconds.
-- KEYS: the claim; the counter of tokens. ARGV: the owner; milliseconds that the claim lives; milliseconds that the counter lives.
-- Answer: the token as text, or nil when the claim is held.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return false
end
local step = '1'
if redis.call('EXISTS', KEYS[2]) == 0 then
  local clock = redis.call('TIME')
  step = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000) + 1)
end
-- The token first: if it can't be counted, the claim must not have been taken.
local token = redis.pcall('INCRBY', KEYS[2], step)
if type(token) == 'table' then
  return token
end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return redis.call('GET', KEYS[2])
