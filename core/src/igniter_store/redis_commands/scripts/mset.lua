-- Sets many keys, each with its own TTL or none.
-- KEYS: the keys. ARGV: for each key its value, and its TTL in milliseconds or "".
-- Returns OK, or the error of the first key that can't be set; the keys before it are set. But the
-- errors of the server's state (OOM, MISCONF, READONLY) occur at the first key, so nothing is set.
for index, key in ipairs(KEYS) do
  local value, milliseconds = ARGV[2 * index - 1], ARGV[2 * index]
  local answer
  if milliseconds == '' then
    answer = redis.pcall('SET', key, value)
  else
    answer = redis.pcall('SET', key, value, 'PX', milliseconds)
  end
  if answer.err then
    return answer
  end
end
return redis.status_reply('OK')
