-- Removes a group. Redis's own command makes an error of a stream that isn't there.
-- KEYS: the stream. ARGV: the group.
-- Answer: 1 if it was removed, else 0.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
return redis.pcall('XGROUP', 'DESTROY', KEYS[1], ARGV[1])
