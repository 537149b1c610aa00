-- Claims idle entries of one page of the pending list, and drops those from it that were deleted. XAUTOCLAIM itself leaves deleted ones
-- pending on Redis 6.2, and doesn't say which they are.
-- KEYS: the stream. ARGV: the group; the consumer; milliseconds; the id to start at; how many entries to look at; how many to return.
-- Answer: the id of the last entry that was looked at, or "" when there are no more; then the entries.
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
