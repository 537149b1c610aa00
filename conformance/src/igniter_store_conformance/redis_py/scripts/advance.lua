-- Makes a key older: brings its deadline nearer, and lets its pending entries have been idle for longer.
-- KEYS: the key. ARGV: milliseconds.
-- Answer: nothing.
local left = redis.call('PTTL', KEYS[1])
if left >= 0 then
  left = left - ARGV[1]
  -- At 0 a key is in its last millisecond and still there, but PEXPIRE takes 0 and less for the end.
  redis.call('PEXPIRE', KEYS[1], left == 0 and 1 or left)
end
if redis.call('TYPE', KEYS[1]).ok ~= 'stream' then
  return
end
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local name, start = group[2], '-'
  repeat
    local page = redis.call('XPENDING', KEYS[1], name, start, '+', 1000)
    for _, pending in ipairs(page) do
      local id, consumer, idle, deliveries = pending[1], pending[2], pending[3], pending[4]
      -- One that was deleted would leave the list, from Redis 7 on.
      if #redis.call('XRANGE', KEYS[1], id, id) > 0 then
        redis.call('XCLAIM', KEYS[1], name, consumer, 0, id, 'IDLE', idle + ARGV[1], 'RETRYCOUNT', deliveries, 'JUSTID')
      end
      start = '(' .. id
    end
  until #page == 0
end
