/* guard: the script that applies a batch of writes, each at most once, whoever sends it how often.
 *
 * KEYS: three that hold the requests seen (below), then of each write its session. ARGV: how long a request is remembered and the
 * lifetime of a session, both in s, for all; then the requests of all writes, by session and request id; then their tags, each
 * '+', the new version's etag (16 characters) and the fingerprint of the write (11), with the condition after it: nothing for
 * none, '*' the session must exist, '-' it must not, else the etag that it must have; then the values as they are stored, the etag
 * first, '' to delete the session.
 *
 * The answer: nil when all were applied; else one for each write: nil when it was applied; else its tag with the outcome in the
 * first place, '0' nothing there to delete, '!' the condition did not hold; of a request that was seen before '=' and the tag that
 * it had then. Its record is written again, so that a WAIT after it waits for what the first one wrote too.
 *
 * The requests seen are fields of two hashes: those of this turn, and those of the turn before. A turn begins when the key that
 * marks the last one has expired, so a request is remembered for one turn at least and two at most. A key for each request, with
 * an expiry of its own, costs Redis 1 us more a write: two tables to enter it in, and a call of redis.call.
 *
 * "#!lua" makes Redis refuse the whole script, and not the first write in it, when it can't take writes (READONLY,
 * NOREPLICAS, OOM, MISCONF). Records that are no hash end it before the first write. pcall: a key that holds no session has no
 * version, and must not end the batch. PXAT, the time reckoned once: SET rewrites an EX for the replicas, each time. The
 * fields go out by 15, since Redis makes the arguments of a call from Lua anew beyond 32. */
#ifndef GUARD_H
#define GUARD_H

#define GUARD_KEYS 3
static const char *const guard_keys[GUARD_KEYS] = {"requests:this-turn", "requests:last-turn", "requests:turn"};

static const char guard_script[] =
    "#!lua\n"
    "local call, KEYS, ARGV, n = redis.call, KEYS, ARGV, #KEYS - 3\n"
    "local this, last, turn = KEYS[1], KEYS[2], KEYS[3]\n"
    "local time, answer, records, here, all = call('TIME'), {}, {}, {}, true\n"
    "local expire = string.format('%d', time[1] * 1000 + time[2] / 1000 + ARGV[2] * 1000)\n"
    "local begins = call('SET', turn, '', 'NX', 'EX', ARGV[1])\n"
    "if begins then\n"
    "  call('UNLINK', last)\n"
    "  if call('EXISTS', this) == 1 then\n"
    "    call('RENAME', this, last)\n"
    "    call('EXPIRE', last, ARGV[1])\n"
    "  end\n"
    "end\n"
    "local now, before = call('HMGET', this, unpack(ARGV, 3, n + 2)), call('HMGET', last, unpack(ARGV, 3, n + 2))\n"
    "for i = 1, n do\n"
    "  local session, request, tag, value = KEYS[i + 3], ARGV[i + 2], ARGV[i + n + 2], ARGV[i + n + n + 2]\n"
    "  local seen, condition, outcome = here[request] or now[i] or before[i], '', '+'\n"
    "  if seen then\n"
    "    tag, answer[i], all = seen, '=' .. seen, false\n"
    "  else\n"
    "    if #tag > 28 then\n"
    "      tag, condition = tag:sub(1, 28), tag:sub(29)\n"
    "      local etag = redis.pcall('GETRANGE', session, 0, 15)\n"
    "      if condition == '*' and etag == '' or condition == '-' and etag ~= '' or #condition > 1 and etag ~= condition then\n"
    "        outcome = '!'\n"
    "      end\n"
    "    end\n"
    "    if outcome == '+' and value ~= '' then\n"
    "      call('SET', session, value, 'PXAT', expire)\n"
    "    elseif outcome == '+' and call('DEL', session) == 0 then\n"
    "      outcome = '0'\n"
    "    end\n"
    "    if outcome ~= '+' then\n"
    "      tag = outcome .. tag:sub(2)\n"
    "      answer[i], all = tag, false\n"
    "    end\n"
    "  end\n"
    "  here[request], records[i + i - 1], records[i + i] = tag, request, tag\n"
    "end\n"
    "for i = 1, n + n, 30 do\n"
    "  call('HSET', this, unpack(records, i, math.min(i + 29, n + n)))\n"
    "end\n"
    "if begins then\n"
    "  call('EXPIRE', this, 2 * ARGV[1])\n"
    "end\n"
    "if all then\n"
    "  return false\n"
    "end\n"
    "for i = 1, n do\n"
    "  answer[i] = answer[i] or false\n"
    "end\n"
    "return answer\n";

#endif
