-- Gives a claim a new time to live if it is this owner's.
-- KEYS: the claim. ARGV: the owner; milliseconds to live.
-- Answer: 1 if it has the new time, else 0.
local owner = redis.pcall('GET', KEYS[1])
if type(owner) == 'table' then
  return owner
end
if owner ~= ARGV[1] then
  return 0
end
return redis.pcall('PEXPIRE', KEYS[1], ARGV[2])
