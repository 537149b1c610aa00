-- Sets the last id of a stream ahead, as it is when the clock has gone back.
-- KEYS: the key. ARGV: milliseconds.
-- Answer: nothing.
if redis.call('TYPE', KEYS[1]).ok ~= 'stream' then
  return
end
local facts = redis.call('XINFO', 'STREAM', KEYS[1])
for place = 1, #facts, 2 do
  if facts[place] == 'last-generated-id' then
    local milliseconds, sequence = string.match(facts[place + 1], '^(%d+)-(%d+)$')
    redis.call('XSETID', KEYS[1], string.format('%.0f-%s', milliseconds + ARGV[1], sequence))
  end
end
