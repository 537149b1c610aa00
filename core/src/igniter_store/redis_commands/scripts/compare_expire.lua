-- Sets the TTL of a claim if this owner holds it.
-- KEYS: the claim. ARGV: the owner; the TTL in milliseconds.
-- Returns 1 if the TTL was set, else 0.
local owner = redis.pcall('GET', KEYS[1])
if type(owner) == 'table' then
  return owner
end
if owner ~= ARGV[1] then
  return 0
end
return redis.pcall('PEXPIRE', KEYS[1], ARGV[2])
