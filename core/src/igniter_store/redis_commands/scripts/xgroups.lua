-- Lists the groups of a stream. Redis's own command makes an error of a stream that isn't there.
-- KEYS: the stream.
-- Answer: what XINFO GROUPS answers.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {}
end
return redis.pcall('XINFO', 'GROUPS', KEYS[1])
