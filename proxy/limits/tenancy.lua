-- Limits and budgets that several processes count together: what local.py does, in Redis or Valkey.
--
-- KEYS: of each subject two, a hash (r, c, i, o: when the buckets of requests, token counts, input and output tokens
-- are full again, in microseconds of the server's clock; h: what is held; d20783, m24323: what was spent in a period;
-- ad20783, am24323: until when the ledger has told that, where it knew more) and a sorted set of leases (members ID:HOLD,
-- scores their ends). A missing field is a full bucket, or nothing spent.
-- ARGV[1]: a batch as JSON, {n = now or false, s = terms, o = operations}. Terms are {number of the subject, requests,
-- input, output, in flight, budget of the day, of the month, shadow limits, shadow budgets}; no limit is 0, no budget
-- -1. Several terms may be of one subject. All that is read is read once a batch, and written once.

local BATCH, MINUTE = cjson.decode(ARGV[1]), 60000000
local HASH_S, LEASES_S = 3888000, 3600
local RATES, LIMIT_OF = {'r', 'c', 'i', 'o'}, {2, 2, 3, 4}  -- counting tokens has the limit of requests
local IN_FLIGHT, DAY, MONTH, SHADOW_LIMITS, SHADOW_BUDGETS = 5, 6, 7, 8, 9

local now = BATCH.n
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

local function int(x) return string.format('%.0f', x) end  -- `..` would keep 14 digits
local function cost(units, limit) return math.ceil(units * MINUTE / limit) end

local function put(S, field, value)
  S[field] = value
  S.changed[field] = true
end

local function holds(members)
  local total = 0
  for _, member in ipairs(members) do total = total + tonumber(string.match(member, '%d+$')) end
  return total
end

-- Reads a subject. Leases that have ended give back what they held.
local function load(s)
  local S = {hash = KEYS[2 * s - 1], leases = KEYS[2 * s], changed = {}}
  local all = redis.call('HGETALL', S.hash)
  S.known = #all > 0 and 1 or 0
  for k = 1, #all, 2 do S[all[k]] = tonumber(all[k + 1]) end
  local ended = redis.call('ZRANGEBYSCORE', S.leases, '-inf', int(now))
  if #ended > 0 then redis.call('ZREMRANGEBYSCORE', S.leases, '-inf', int(now)) end
  if not S.h then
    S.h = holds(redis.call('ZRANGE', S.leases, 0, -1))
  elseif #ended > 0 then
    put(S, 'h', S.h - holds(ended))
  end
  S.inside = redis.call('ZCARD', S.leases)
  return S
end

local subjects = setmetatable({}, {__index = function(t, s) t[s] = load(s); return t[s] end})

local function missing(S, field) return math.max((S[field] or 0) - now, 0) end

-- What the subject of some terms has used: known before, buckets, in flight, held, spent.
local function told(terms, day, month)
  local S = subjects[terms[1]]
  return {S.known, missing(S, 'r'), missing(S, 'c'), missing(S, 'i'), missing(S, 'o'), S.inside, S.h,
          S[day] or 0, S[month] or 0}
end

-- Appends what some terms have against an ask, as {metric, number among the ask's, wait, spent}.
-- Gives whether that refuses, and whether the rates would have.
local function over(found, n, terms, asked, slot, hold, day, month, strict)
  local S, refused, limited = subjects[terms[1]], false, false
  for k, field in ipairs(RATES) do
    local limit = terms[LIMIT_OF[k]]
    if limit > 0 and asked[k] > 0 then
      local wait = missing(S, field) + cost(asked[k], limit) - MINUTE
      if wait > 0 then found[#found + 1] = {k, n, wait, 0}; limited = true end
    end
  end
  if slot == 1 and terms[IN_FLIGHT] > 0 and S.inside >= terms[IN_FLIGHT] then
    found[#found + 1] = {IN_FLIGHT, n, 0, 0}
    limited = true
  end
  if limited and terms[SHADOW_LIMITS] == 0 then refused = true end
  for k, period in pairs({[DAY] = day, [MONTH] = month}) do
    local budget, spent = terms[k], S[period] or 0
    local gone = spent >= budget
    if hold > 0 and budget >= 0 and spent + S.h + hold > budget and (strict or S.h > 0 or gone) then
      if strict then gone = spent + hold > budget end
      found[#found + 1] = {k, n, 0, gone and 1 or 0}
      if terms[SHADOW_BUDGETS] == 0 then refused = true end
    end
  end
  return refused, limited
end

local function admit(_, id, which, asked, slot, hold, day, month, strict, lease)
  local found, refused, limited, readings = {}, false, {}, {}
  for n, t in ipairs(which) do                      -- check all
    local no
    no, limited[n] = over(found, n, BATCH.s[t], asked, slot, hold, day, month, strict)
    refused = refused or no
  end
  for n, t in ipairs(which) do                      -- write all
    local terms = BATCH.s[t]
    local S = subjects[terms[1]]
    if not refused then
      for k, field in ipairs(RATES) do
        local limit = terms[LIMIT_OF[k]]
        if limit > 0 and asked[k] > 0 and not limited[n] then
          put(S, field, math.max(S[field] or 0, now) + cost(asked[k], limit))
        end
      end
      if slot == 1 then
        redis.call('ZADD', S.leases, int(now + lease), id .. ':' .. int(hold))
        S.inside = S.inside + 1
        put(S, 'h', S.h + hold)
      end
    end
    readings[n] = told(terms, day, month)
  end
  return {refused and 0 or 1, found, readings}
end

-- The lease decides whether a slot and a hold are given back; rates are counted in any case. So is the cost, but where the
-- ledger has raised what was spent since the request ended: it may have told of this one, or tells of it the next time.
local function settle(_, id, which, reserved, actual, hold, micros, day, month, ended)
  for _, t in ipairs(which) do
    local terms = BATCH.s[t]
    local S = subjects[terms[1]]
    for k, field in ipairs({'i', 'o'}) do
      local limit = terms[k + 2]
      if limit > 0 and actual[k] ~= reserved[k] then
        put(S, field, (S[field] or 0) + cost(actual[k], limit) - cost(reserved[k], limit))
      end
    end
    if redis.call('ZREM', S.leases, id .. ':' .. int(hold)) == 1 then
      S.inside = S.inside - 1
      put(S, 'h', S.h - hold)
    end
    if micros > 0 and (terms[DAY] >= 0 or terms[MONTH] >= 0) then
      for _, period in ipairs({day, month}) do
        if ended > (S['a' .. period] or -1) then put(S, period, (S[period] or 0) + micros) end
      end
    end
  end
  return 1
end

-- One that its process let in by itself, when no verdict came in time: the lease says whether it was let in here, too.
local function follow(_, id, which, asked, hold, lease)
  for _, t in ipairs(which) do
    local terms = BATCH.s[t]
    local S = subjects[terms[1]]
    if redis.call('ZADD', S.leases, 'NX', int(now + lease), id .. ':' .. int(hold)) == 1 then
      S.inside = S.inside + 1
      put(S, 'h', S.h + hold)
      for k, field in ipairs(RATES) do
        local limit = terms[LIMIT_OF[k]]
        if limit > 0 and asked[k] > 0 then put(S, field, math.max(S[field] or 0, now) + cost(asked[k], limit)) end
      end
    end
  end
  return 1
end

-- XX: a lease that has ended stays ended.
local function renew(_, id, which, hold, lease)
  for _, t in ipairs(which) do
    local S = subjects[BATCH.s[t][1]]
    redis.call('ZADD', S.leases, 'XX', int(now + lease), id .. ':' .. int(hold))
  end
  return 1
end

-- What the ledger knew at a moment that was spent; `older` are fields of periods long past.
local function raise(_, t, period, micros, known, older)
  local S = subjects[BATCH.s[t][1]]
  if (S[period] or 0) < micros then
    put(S, period, micros)
    put(S, 'a' .. period, math.max(S['a' .. period] or -1, known))
  end
  local gone = {}
  for n, field in ipairs(older) do gone[2 * n - 1], gone[2 * n] = field, 'a' .. field end
  if #gone > 0 then redis.call('HDEL', S.hash, unpack(gone)) end
  return 1
end

local function read(_, which, day, month)
  local readings = {}
  for n, t in ipairs(which) do readings[n] = told(BATCH.s[t], day, month) end
  return readings
end

local DO = {admit = admit, follow = follow, settle = settle, renew = renew, raise = raise, read = read}
local replies = {}
for n, operation in ipairs(BATCH.o) do replies[n] = DO[operation[1]](unpack(operation)) end
for _, S in pairs(subjects) do
  local fields = {}
  for field in pairs(S.changed) do
    fields[#fields + 1] = field
    fields[#fields + 1] = int(S[field])
  end
  if #fields > 0 then
    redis.call('HSET', S.hash, unpack(fields))
    redis.call('EXPIRE', S.hash, HASH_S)
  end
  if S.inside > 0 then redis.call('EXPIRE', S.leases, LEASES_S) end
end
return {now, replies}
