/* guard: the script that applies a write at most once, whoever sends it how often.
 *
 * KEYS[1] is the session, KEYS[2] the request, by session and request id. ARGV: 1 the tag, that is the new version's etag
 * (16 characters) and the fingerprint of the write (11); 2 how long, in s, the request is remembered; 3 the condition: '' for
 * none, '*' the session must exist, '-' it must not, else the etag that it must have; 4 the session's lifetime in s, '' to
 * delete it; 5 the etag and the value, as they are stored.
 *
 * The answer: the outcome ('+' applied, '0' nothing there to delete, '!' the condition did not hold) and the tag; with '=' in
 * front when the request was seen before, and then with the outcome and the tag that it had. A request that was seen is
 * written again with a new lifetime, so that a WAIT after it waits for what the first one wrote too.
 *
 * "#!lua" makes Redis refuse the whole script, and not the first write in it, when it can't take writes (READONLY,
 * NOREPLICAS, OOM, MISCONF). Measured on Redis 8.0.2, 64-byte values, 16 in a pipeline: 4.6 us of Redis' time, a plain SET
 * 2.7 us. */
#ifndef GUARD_H
#define GUARD_H

static const char guard_script[] =
    "#!lua\n"
    "local seen = redis.call('GET', KEYS[2])\n"
    "if seen then\n"
    "  redis.call('EXPIRE', KEYS[2], ARGV[2])\n"
    "  return '=' .. seen\n"
    "end\n"
    "local outcome, condition = '+', ARGV[3]\n"
    "if condition ~= '' then\n"
    "  local etag = redis.call('GETRANGE', KEYS[1], 0, 15)\n"
    "  if condition == '*' and etag == '' or condition == '-' and etag ~= '' or #condition > 1 and etag ~= condition then\n"
    "    outcome = '!'\n"
    "  end\n"
    "end\n"
    "if outcome == '+' then\n"
    "  if ARGV[4] ~= '' then\n"
    "    redis.call('SET', KEYS[1], ARGV[5], 'EX', ARGV[4])\n"
    "  elseif redis.call('DEL', KEYS[1]) == 0 then\n"
    "    outcome = '0'\n"
    "  end\n"
    "end\n"
    "local result = outcome .. ARGV[1]\n"
    "redis.call('SET', KEYS[2], result, 'EX', ARGV[2])\n"
    "return result\n";

#endif
