/* guard: the script that applies a batch of writes, each at most once, whoever sends it how often.
 *
 * KEYS: of each write the session, and the request, by session and request id. ARGV: first, for all, how long a request is
 * remembered and the lifetime of a session, both in s; then of each write two: its tag, that is '+', the new version's etag (16
 * characters) and the fingerprint of the write (11), with the condition after it: nothing for none, '*' the session must exist,
 * '-' it must not, else the etag that it must have; and the etag and the value as they are stored, '' to delete the session.
 *
 * The answer, for each write: nil when it was applied; else its tag with the outcome in the first place, '0' nothing there to
 * delete, '!' the condition did not hold; of a request that was seen before '=' and the tag that it had then. Its record is given
 * a new lifetime, so that a WAIT after it waits for what the first one wrote too. '?' alone: the request's key is another type's,
 * and nothing was written.
 *
 * "#!lua" makes Redis refuse the whole script, and not the first write in it, when it can't take writes (READONLY,
 * NOREPLICAS, OOM, MISCONF). pcall: a key that holds no session has no version, and neither it nor a
 * request's that holds no record must end the batch.
 * PXAT, the time reckoned once: SET rewrites an EX for the replicas, each time. A call of redis.call costs more than what it
 * does, so the look-up and the record are one, and the start of a script costs as much as two: so one script for a batch. */
#ifndef GUARD_H
#define GUARD_H

static const char guard_script[] =
    "#!lua\n"
    "local answer, call, time = {}, redis.call, redis.call('TIME')\n"
    "local now = time[1] * 1000 + time[2] / 1000\n"
    "local forget, expire = string.format('%d', now + ARGV[1] * 1000), string.format('%d', now + ARGV[2] * 1000)\n"
    "for i = 1, #KEYS, 2 do\n"
    "  local session, request, tag, value = KEYS[i], KEYS[i + 1], ARGV[i + 2], ARGV[i + 3]\n"
    "  local condition, outcome = '', '+'\n"
    "  if #tag > 28 then\n"
    "    tag, condition = tag:sub(1, 28), tag:sub(29)\n"
    "  end\n"
    "  local seen = redis.pcall('SET', request, tag, 'NX', 'GET', 'PXAT', forget)\n"
    "  if type(seen) == 'table' then\n"
    "    outcome, tag = '?', '?'\n"
    "  elseif seen then\n"
    "    call('PEXPIREAT', request, forget)\n"
    "    outcome, tag = '=', '=' .. seen\n"
    "  else\n"
    "    if condition ~= '' then\n"
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
    "      call('SET', request, tag, 'PXAT', forget)\n"
    "    end\n"
    "  end\n"
    "  answer[(i + 1) / 2] = outcome ~= '+' and tag\n"
    "end\n"
    "return answer\n";

#endif
