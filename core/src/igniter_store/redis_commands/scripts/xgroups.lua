-- Lists the groups of a stream. For a missing stream, XINFO GROUPS itself returns an error.
-- KEYS: the stream.
-- Returns the reply of XINFO GROUPS, or an empty list.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {}
end
return redis.pcall('XINFO', 'GROUPS', KEYS[1])
