-- Deletes a group. For a missing stream, XGROUP DESTROY itself returns an error.
-- KEYS: the stream. ARGV: the group.
-- Returns 1 if it was deleted, else 0.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
return redis.pcall('XGROUP', 'DESTROY', KEYS[1], ARGV[1])
