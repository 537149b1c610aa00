-- Claims idle entries of one page of a pending list, and drops deleted entries from the list. On
-- Redis 6.2, XAUTOCLAIM itself leaves deleted entries pending, and doesn't report which they are.
-- KEYS: the stream.
-- ARGV: the group; the consumer; the minimum idle time in milliseconds; the id to start at; how
-- many entries to examine; how many to return.
-- Returns the id of the last entry that was examined, or "" after the last page; then the entries.
local page = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[4], '+', ARGV[5])
if page.err then
  return page
end
local claimed = {}
for _, pending in ipairs(page) do
  local id, idle = pending[1], pending[3]
  if #redis.call('XRANGE', KEYS[1], id, id) == 0 then
    local dropped = redis.pcall('XACK', KEYS[1], ARGV[1], id)
    if type(dropped) == 'table' then
      return dropped
    end
  elseif idle >= tonumber(ARGV[3]) then
    local entries = redis.pcall('XCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], id)
    if entries.err then
      return entries
    end
    claimed[#claimed + 1] = entries[1]
    if #claimed == tonumber(ARGV[6]) then
      return { id, claimed }
    end
  end
end
if #page < tonumber(ARGV[5]) then
  return { '', claimed }
end
return { page[#page][1], claimed }
