-- Writes many keys, each with its own time to live or none.
-- KEYS: the keys. ARGV: for each key its value, and milliseconds to live, or "".
-- Answer: OK, or the error of the first key; then nothing was written.
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
