-- Deletes a claim if this owner holds it.
-- KEYS: the claim. ARGV: the owner.
-- Returns 1 if it was deleted, else 0.
local owner = redis.pcall('GET', KEYS[1])
if type(owner) == 'table' then
  return owner
end
if owner ~= ARGV[1] then
  return 0
end
return redis.pcall('DEL', KEYS[1])
