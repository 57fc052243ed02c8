#include "store.h"
#include "guard.h"
#include "log.h"
#include "metrics.h"
#include "tls.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 20
#define PAUSE_MS 25         /* before a write is tried again that Redis refused for now (NOREPLICAS, LOADING, MISCONF) */
#define PRESS_MS 50         /* a batch that waits longer makes us look closely at the replicas */
#define RETRY_MS 10         /* how long a WAIT blocks that only makes the replicas report */
#define COMPLAIN_MS 1000    /* at most one line of log in this time */
#define BACKLOG_MAX 1048576 /* bytes under way to Redis, after which requests wait in the queue */
#define BATCH_MAX 128       /* requests in one command */
#define READS_MAX (RCONN_REPLY_MAX / 4) /* bytes that the reads of one command may find, but for the last of them */
#define LANES_MAX 17
#define SHA_LEN 40

/* A connection to the primary. The first is for reads, and for writes that wait for no replica; each of the others carries
 * one batch of writes at a time. */
struct lane {
  struct store *s;
  struct rconn *conn;
  struct hold batch; /* applied, to be acknowledged when the replicas have them */
  bool waiting;      /* a batch is under way */
  uint64_t since;    /* when it was sent */
  long long offset;  /* of the primary, after the batch */
  long long fsynced; /* replicas, by WAITAOF; -1: not even the primary */
};

struct store {
  uv_loop_t *loop;
  const struct config *cfg;
  struct rconn_options redis; /* of every connection; its tls is ours */
  struct sentinel *sentinel;
  uv_prepare_t prepare; /* before the loop sleeps: sends what was submitted since */
  uv_timer_t tick;
  struct lane lanes[LANES_MAX];
  size_t lane_count, ready; /* open ones; those that have greeted */
  bool up;                  /* all greeted, and the script is loaded */
  bool loading;             /* the script is under way */
  bool diskless;            /* the primary cannot write to its disk: no replica holds writes up, and one of them has to take over */
  uint64_t paused_until, complained_at;
  struct hold reads, writes;
  char sha[SHA_LEN + 1]; /* of the script */
  uint64_t seed, count; /* of tags */
  char session_ttl[16], request_ttl[16];
  bool stopped;
};

static uint64_t now(const struct store *s) { return uv_now(s->loop); }
static bool replicated(const struct store *s) { return s->cfg->durability != CONFIG_ASYNC; }
static struct hold *queue_of(struct store *s, const struct store_op *op) { return op->kind == STORE_GET ? &s->reads : &s->writes; }

static void finish(struct store_op *op, enum store_result result, const char *text, const char *etag) {
  op->state = STORE_IDLE;
  op->done(op, result, text, strlen(text), etag);
}

static void acknowledge(struct store *s, struct store_op *op) {
  metrics.acked[s->cfg->durability]++;
  op->primary = sentinel_lineage(s->sentinel);
  finish(op, op->outcome, "", op->outcome == STORE_OK && op->kind == STORE_SET ? op->tag + 1 : NULL);
}

static void unavailable(struct store_op *op, const char *why) {
  bool unknown = op->kind != STORE_GET && op->sent;
  metrics.unknown += unknown;
  finish(op, unknown ? STORE_UNKNOWN : STORE_UNAVAILABLE, why, NULL);
}

static void hold_again(struct store *s, struct store_op *op) {
  if (s->stopped) {
    unavailable(op, "shutting down");
    return;
  }
  metrics.resent++;
  op->state = STORE_HELD;
  hold_return(queue_of(s, op), &op->item);
}

/* tags */

static void put_chars(char *out, uint64_t bits, size_t chars) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (size_t i = 0; i < chars; i++, bits >>= 6) out[i] = digits[bits & 63];
}

/* FNV-1a, by words and folded, for values are long. */
static uint64_t hash(uint64_t h, const char *data, size_t len) {
  for (uint64_t word; len >= sizeof word; data += sizeof word, len -= sizeof word) {
    memcpy(&word, data, sizeof word);
    h = (h ^ word) * UINT64_C(1099511628211);
    h ^= h >> 32;
  }
  for (size_t i = 0; i < len; i++) h = (h ^ (unsigned char)data[i]) * UINT64_C(1099511628211);
  return h;
}

/* The etag follows from the request's id, where it has one: sent again through another instance, to another primary, it makes the same
 * version. So one who read it on a primary that was cut off holds no version that never was. */
static void make_tag(struct store *s, struct store_op *op) {
  uint64_t h = hash(UINT64_C(14695981039346656037) + op->kind, op->condition, strlen(op->condition) + 1);
  uint64_t print = hash(h, op->value, op->value_len);
  bool named = op->request_id_len > 0;
  op->tag[0] = '+';
  put_chars(op->tag + 1, named ? hash(print, op->request_id, op->request_id_len) : s->seed, STORE_ETAG_LEN / 2);
  put_chars(op->tag + 1 + STORE_ETAG_LEN / 2, named ? hash(~print, op->request_id, op->request_id_len) : s->count++, STORE_ETAG_LEN / 2);
  put_chars(op->tag + 1 + STORE_ETAG_LEN, print, STORE_TAG_LEN - STORE_ETAG_LEN - 1);
}

/* the connections to the primary */

/* Everything that was not answered goes back to the queue. */
static void drop(struct store *s) {
  size_t count = s->lane_count;
  s->up = s->loading = false;
  s->lane_count = s->ready = 0; /* first: closing runs callbacks, which must find no connection to send on */
  for (size_t i = 0; i < count; i++) {
    struct lane *l = &s->lanes[i];
    struct hold_item *item;
    if (l->conn != NULL) rconn_close(l->conn);
    l->conn = NULL;
    l->waiting = false;
    while ((item = hold_take(&l->batch)) != NULL) hold_again(s, (struct store_op *)item);
  }
}

static void fail(struct store *s, const char *why) {
  char text[160];
  snprintf(text, sizeof text, "%s", why); /* it may lie in a reply of the connection that goes */
  drop(s);
  sentinel_suspect(s->sentinel, text);
}

static void on_lost(void *owner, struct rconn *c, const char *why) {
  struct lane *l = owner;
  struct store *s = l->s;
  if (l->conn != c) return;
  metrics.connections_lost++;
  l->conn = NULL;
  fail(s, why);
}

static void complain(struct store *s, const char *what, const char *why) {
  if (now(s) - s->complained_at < COMPLAIN_MS) return;
  s->complained_at = now(s);
  log_line(LOG_ERROR, "%s: %s", what, why);
}

static void on_script(void *owner, const struct rconn_answer *a) {
  struct store *s = ((struct lane *)owner)->s;
  const redisReply *r = a->reply;
  if (r == NULL) return;
  s->loading = false;
  s->up = r->type == REDIS_REPLY_STRING && r->len == SHA_LEN;
  if (s->up) {
    memcpy(s->sha, r->str, SHA_LEN);
  } else {
    s->paused_until = now(s) + PAUSE_MS;
    complain(s, "Redis does not take the script", r->type == REDIS_REPLY_ERROR ? r->str : "an answer of another type");
  }
}

static void on_ready(void *owner, struct rconn *c) {
  struct lane *l = owner;
  (void)c;
  l->s->ready++;
}

static void on_primary(void *owner, const struct addr *addr) {
  static const struct rconn_events events = {.ready = on_ready, .lost = on_lost};
  struct store *s = owner;
  if (addr != NULL && s->lane_count > 0 && addr_equal(addr, &s->redis.addr)) return;
  drop(s);
  if (addr == NULL) return;
  s->redis.addr = *addr;
  s->paused_until = 0;
  s->diskless = false;
  s->lane_count = replicated(s) ? 1 + s->cfg->write_connections : 1;
  for (size_t i = 0; i < s->lane_count; i++) {
    struct lane *l = &s->lanes[i];
    if ((l->conn = rconn_open(s->loop, &s->redis, &events, l)) != NULL) continue;
    fail(s, "no memory or descriptor for a connection");
    return;
  }
}

/* answers */

/* The next one of the batch that went out in one command. */
static struct store_op *after(const struct store_op *op) { return (struct store_op *)op->item.next; }

/* True: the batch has no answer but an error or none, which is dealt with here. Of the errors that Redis tells before it begins
 * none was applied; the requests are held when another attempt can succeed. */
static bool failed(struct store *s, const struct rconn_answer *a) {
  static const char *const final[REDIS_ERROR_COUNT] = {
      [REDIS_OOM] = "Redis is out of memory", [REDIS_OTHER] = "Redis refused the command"};
  const redisReply *r = a->reply;
  bool writes = ((const struct store_op *)a->arg)->kind != STORE_GET;
  if (r != NULL && (r->type == REDIS_REPLY_ARRAY || (writes && r->type == REDIS_REPLY_NIL))) return false; /* nil: guard.h */
  const char *why = r == NULL || r->type != REDIS_REPLY_ERROR ? "an answer of another type" : r->str;
  size_t kind = 0;
  while (kind < REDIS_OTHER && strncmp(why, metrics_redis_errors[kind], strlen(metrics_redis_errors[kind])) != 0) kind++;
  for (struct store_op *op = a->arg, *next; op != NULL; op = next) {
    next = after(op);
    op->sent = op->sent || (a->sent && kind == REDIS_OTHER);
    if (r == NULL || final[kind] == NULL) {
      hold_again(s, op);
    } else {
      unavailable(op, final[kind]);
    }
  }
  if (r == NULL) return true;
  metrics.redis_errors[kind]++;
  if (kind == REDIS_OTHER) complain(s, "Redis refused a command", why);
  s->diskless = kind == REDIS_MISCONF;
  if (kind == REDIS_NOSCRIPT) s->up = false; /* pump loads it again */
  /* One that cannot write to its disk answers no PING either: the Sentinels replace it. */
  if (kind == REDIS_LOADING || kind == REDIS_NOREPLICAS || kind == REDIS_MISCONF) s->paused_until = now(s) + PAUSE_MS;
  if (kind == REDIS_READONLY || kind == REDIS_MASTERDOWN) fail(s, why);
  return true;
}

static void take_value(struct store_op *op, const redisReply *r) {
  bool absent = r->type == REDIS_REPLY_NIL;
  op->state = STORE_IDLE;
  if (r->type == REDIS_REPLY_STRING && r->len >= STORE_ETAG_LEN) {
    op->done(op, STORE_OK, r->str + STORE_ETAG_LEN, r->len - STORE_ETAG_LEN, r->str);
  } else {
    finish(op, absent ? STORE_ABSENT : STORE_UNAVAILABLE, absent ? "" : "the key holds something that is no session", NULL);
  }
}

/* What the script said of a write; guard.h. */
static bool take_outcome(struct store_op *op, const redisReply *r) {
  bool seen = r->type == REDIS_REPLY_STRING && r->str[0] == '=';
  op->outcome = STORE_OK;
  if (r->type == REDIS_REPLY_NIL) return true;
  if (r->type != REDIS_REPLY_STRING || r->len != (size_t)seen + STORE_TAG_LEN) return false;
  const char *tag = r->str + seen, *fingerprint = tag + 1 + STORE_ETAG_LEN;
  metrics.guarded += seen;
  if (memcmp(fingerprint, op->tag + (fingerprint - tag), STORE_TAG_LEN - (size_t)(fingerprint - tag)) != 0) {
    op->outcome = STORE_REUSED;
  } else {
    op->outcome = tag[0] == '+' ? STORE_OK : tag[0] == '0' ? STORE_ABSENT : STORE_MISMATCH;
    memcpy(op->tag, tag, STORE_TAG_LEN);
  }
  return true;
}

static void on_answer(void *owner, const struct rconn_answer *a) {
  struct lane *l = owner;
  size_t i = 0;
  if (failed(l->s, a)) return;
  if (((const struct store_op *)a->arg)->kind != STORE_GET) l->s->diskless = false;
  for (struct store_op *op = a->arg, *next; op != NULL; op = next) {
    const redisReply *r = i < a->reply->elements ? a->reply->element[i++] : a->reply;
    next = after(op);
    op->sent = true;
    if (op->kind == STORE_GET) {
      take_value(op, r);
    } else if (!take_outcome(op, r)) {
      unavailable(op, "Redis gave an answer of another type");
    } else if (!replicated(l->s)) {
      acknowledge(l->s, op);
    } else if (l->conn == NULL) {
      hold_again(l->s, op); /* a callback ended the connection, and with it the wait for this batch */
    } else {
      op->state = STORE_APPLIED;
      hold_return(&l->batch, &op->item);
    }
  }
}

/* replicas */

static void ask_replicas(struct lane *l, bool first);

static void on_offset(void *owner, const struct rconn_answer *a) {
  struct lane *l = owner;
  struct follow_role role;
  if (a->reply != NULL && follow_parse_role(a->reply, &role) && role.primary) l->offset = role.offset;
}

static void on_waited(void *owner, const struct rconn_answer *a) {
  struct lane *l = owner;
  const redisReply *r = a->reply;
  if (r == NULL) return;
  if (r->type == REDIS_REPLY_ERROR) fail(l->s, r->str); /* it is no primary any more, or has no append-only file */
  if (r->type == REDIS_REPLY_ARRAY && r->elements == 2) l->fsynced = r->element[0]->integer >= 1 ? r->element[1]->integer : -1;
}

static void on_reached(void *owner, const struct rconn_answer *a) {
  struct lane *l = owner;
  struct store *s = l->s;
  struct follow_role role;
  struct hold_item *item;
  if (a->reply == NULL) return; /* drop() gives the batch back */
  bool covered = follow_parse_role(a->reply, &role) && sentinel_covered(s->sentinel, &role, l->offset);
  if (covered && s->cfg->durability == CONFIG_FSYNCED) {
    /* Who has fsynced it has it: when as many have fsynced as have it, they are the same. */
    long long have = 0;
    for (size_t i = 0; i < role.linked; i++) have += role.acked[i] >= l->offset;
    covered = l->fsynced >= have;
  }
  while (covered && (item = hold_take(&l->batch)) != NULL) acknowledge(s, (struct store_op *)item);
  while ((item = hold_take_expired(&l->batch, now(s))) != NULL) unavailable((struct store_op *)item, "too few replicas confirmed the write in time");
  l->waiting = l->batch.count > 0;
  if (!l->waiting) return;
  metrics.wait_short++;
  ask_replicas(l, false);
  if (!l->waiting) fail(s, "out of memory"); /* nobody would look at the batch again */
}

/* WAIT counts replicas and does not say which; ROLE does. When more are linked than count, or the first WAIT was in vain, a
 * short WAIT only makes all of them report. So it does when fewer are: nobody could end a long one, and who counts may change before. */
static void ask_replicas(struct lane *l, bool first) {
  const struct store *s = l->s;
  unsigned required = sentinel_required(s->sentinel), linked = sentinel_linked(s->sentinel);
  bool patient = first && linked == required;
  unsigned ms = patient ? s->cfg->wait_ms : RETRY_MS;
  char replicas[16], timeout[16];
  snprintf(replicas, sizeof replicas, "%u", first ? required : linked + 1);
  snprintf(timeout, sizeof timeout, "%u", ms);
  bool ok = !first || rconn_ask(l->conn, on_offset, NULL, 0, "ROLE", NULL);
  ok = ok && (s->cfg->durability == CONFIG_FSYNCED ? rconn_ask(l->conn, on_waited, NULL, ms, "WAITAOF", "1", replicas, timeout, NULL)
                                                   : rconn_ask(l->conn, on_waited, NULL, ms, "WAIT", replicas, timeout, NULL));
  l->waiting = ok && rconn_ask(l->conn, on_reached, NULL, 0, "ROLE", NULL);
}

/* sending */

/* Takes what goes out in one command, and says how many they are. `each`: bytes that one may take beside its value. The first
 * goes out in any case, and none after the one that reaches `most`. */
static struct store_op *take_batch(struct hold *h, size_t each, size_t most, size_t *count) {
  struct hold_item *first = NULL, **end = &first;
  size_t bytes = 0;
  for (*count = 0; h->count > 0 && *count < BATCH_MAX && bytes < most; ++*count) {
    struct store_op *op = (struct store_op *)(*end = hold_take(h));
    op->state = STORE_SENT;
    bytes += each + op->value_len;
    end = &op->item.next;
  }
  *end = NULL;
  return (struct store_op *)first;
}

/* Like the next ones: false when memory is short, and the requests are back in the queue. */
static bool end_batch(struct store *s, struct rconn *c, struct store_op *first) {
  return rconn_end(c, on_answer, first, 0) || !failed(s, &(struct rconn_answer){.arg = first});
}

static bool send_reads(struct store *s) {
  struct rconn *c = s->lanes[0].conn;
  char head[64];
  size_t count;
  struct store_op *first = take_batch(&s->reads, s->cfg->body_max, READS_MAX, &count);
  rconn_begin(c, head, (size_t)snprintf(head, sizeof head, "*%zu\r\n$4\r\nMGET\r\n", 1 + count));
  for (const struct store_op *op = first; op != NULL; op = after(op)) rconn_arg2(c, "session:", 8, op->id, op->id_len);
  return end_batch(s, c, first);
}

static bool send_batch(struct store *s, struct rconn *c) {
  char head[128], request[STORE_ID_MAX + 1];
  size_t count;
  struct store_op *first = take_batch(&s->writes, 0, BACKLOG_MAX, &count);
  rconn_begin(c, head, (size_t)snprintf(head, sizeof head, "*%zu\r\n$7\r\nEVALSHA\r\n$40\r\n%s\r\n", 5 + GUARD_KEYS + 4 * count, s->sha));
  rconn_arg(c, head, (size_t)(buf_number(head, GUARD_KEYS + count) - head));
  for (size_t i = 0; i < GUARD_KEYS; i++) rconn_arg(c, guard_keys[i], strlen(guard_keys[i]));
  for (const struct store_op *op = first; op != NULL; op = after(op)) rconn_arg2(c, "session:", 8, op->id, op->id_len);
  rconn_arg(c, s->request_ttl, strlen(s->request_ttl));
  rconn_arg(c, s->session_ttl, strlen(s->session_ttl));
  for (const struct store_op *op = first; op != NULL; op = after(op)) {
    bool own = op->request_id_len == 0;
    memcpy(request, op->id, op->id_len);
    request[op->id_len] = ':';
    rconn_arg2(c, request, op->id_len + 1, own ? op->tag + 1 : op->request_id, own ? STORE_ETAG_LEN : op->request_id_len);
  }
  for (const struct store_op *op = first; op != NULL; op = after(op)) rconn_arg2(c, op->tag, STORE_TAG_LEN, op->condition, strlen(op->condition));
  for (const struct store_op *op = first; op != NULL; op = after(op)) {
    rconn_arg2(c, op->tag + 1, op->kind == STORE_SET ? STORE_ETAG_LEN : 0, op->value, op->value_len);
  }
  return end_batch(s, c, first);
}

static bool may_write(const struct store *s) {
  return now(s) >= s->paused_until && (!replicated(s) || sentinel_linked(s->sentinel) >= s->cfg->replicas_required);
}

static struct lane *free_lane(struct store *s) {
  for (size_t i = replicated(s); i < s->lane_count; i++) {
    if (!s->lanes[i].waiting) return &s->lanes[i];
  }
  return NULL;
}

static void send_writes(struct store *s) {
  struct lane *l = free_lane(s);
  if (l == NULL || !may_write(s)) return;
  while (s->writes.count > 0 && rconn_backlog(l->conn) < BACKLOG_MAX && send_batch(s, l->conn)) continue;
  if (!replicated(s)) return;
  l->since = now(s);
  l->fsynced = -1;
  l->offset = LLONG_MAX; /* until ROLE tells */
  ask_replicas(l, true);
  /* Writes without their WAIT must never be acknowledged: the connection goes, and they go back to the queue. */
  if (!l->waiting) fail(s, "out of memory");
}

/* Once per loop turn, before it may sleep: whatever can be sent is sent. Any step may end the connections. */
static void pump(struct store *s) {
  bool open = s->lane_count > 0 && s->ready == s->lane_count && now(s) >= s->paused_until;
  if (open && !s->up && !s->loading) s->loading = rconn_ask(s->lanes[0].conn, on_script, NULL, 0, "SCRIPT", "LOAD", guard_script, NULL);
  while (open && s->up && s->reads.count > 0 && rconn_backlog(s->lanes[0].conn) < BACKLOG_MAX && send_reads(s)) continue;
  if (s->up && s->writes.count > 0) send_writes(s);
  for (size_t i = 0; i < s->lane_count; i++) rconn_flush(s->lanes[i].conn);
}

static void on_prepare(uv_prepare_t *h) { pump(h->data); }

static void expire(struct store *s, struct hold *h) {
  const char *why = s->diskless ? "Redis cannot write to its disk" : s->up ? "too few replicas are linked to the primary" : "no primary was found in time";
  struct hold_item *item;
  while ((item = hold_take_expired(h, now(s))) != NULL) {
    metrics.held_expired++;
    unavailable((struct store_op *)item, why);
  }
}

static void on_tick(uv_timer_t *timer) {
  struct store *s = timer->data;
  expire(s, &s->reads);
  expire(s, &s->writes);
  bool pressed = s->writes.count > 0 && !s->diskless;
  for (size_t i = 1; i < s->lane_count; i++) pressed = pressed || (s->lanes[i].waiting && now(s) - s->lanes[i].since >= PRESS_MS);
  sentinel_press(s->sentinel, pressed && replicated(s));
}

void store_submit(struct store *s, struct store_op *op) {
  struct hold *h = queue_of(s, op);
  op->item.deadline = now(s) + s->cfg->hold_ms - (op->waited_ms < s->cfg->hold_ms ? op->waited_ms : s->cfg->hold_ms);
  op->sent = false;
  op->primary = NULL;
  if (op->kind != STORE_SET) op->value_len = 0; /* a DELETE may come with a body; the script knows it by its having no value */
  if (op->kind != STORE_GET) make_tag(s, op);
  if (!s->up) metrics.held++;
  if (h->count >= h->max) pump(s);
  if (s->stopped || !hold_push(h, &op->item)) {
    metrics.held_refused++;
    finish(op, STORE_UNAVAILABLE, "too many requests wait for a primary", NULL);
    return;
  }
  op->state = STORE_HELD;
}

bool store_withdraw(struct store *s, struct store_op *op) {
  if (op->state != STORE_HELD) return false;
  hold_remove(queue_of(s, op), &op->item);
  op->state = STORE_IDLE;
  return true;
}

const char *store_unready(const struct store *s) {
  if (!s->up) return "no primary";
  if (now(s) < s->paused_until) return s->diskless ? "Redis cannot write to its disk" : "Redis takes no writes for now";
  if (may_write(s) && (!replicated(s) || sentinel_linked(s->sentinel) >= sentinel_required(s->sentinel))) return NULL;
  return "too few replicas are linked to the primary";
}

void store_measure(const struct store *s) {
  metrics.queued = s->reads.count + s->writes.count;
  metrics.has_primary = s->up;
  metrics.ready = store_unready(s) == NULL;
  sentinel_measure(s->sentinel);
}

/* life */

bool store_reload(struct store *s, struct tls *tls) {
  const struct config *c = s->cfg;
  struct rconn_options redis = {.user = c->redis_user, .password = c->redis_password, .tls = tls, .timeout_ms = c->redis_timeout_ms,
                                .ping_ms = c->redis_ping_ms, .dead_ms = c->redis_dead_ms};
  struct sentinel_options o = {.addrs = c->sentinels, .count = c->sentinel_count, .master_name = c->master_name,
                               .sentinel_password = c->sentinel_password, .redis = redis, .least = replicated(s) ? c->replicas_required : 0,
                               .replica_priority = c->replica_priority, .exclude_after_ms = c->exclude_after_ms};
  struct sentinel *sentinel = sentinel_new(s->loop, &o, on_primary, s);
  if (sentinel == NULL) return false;
  drop(s);
  if (s->sentinel != NULL) sentinel_close(s->sentinel);
  tls_free(s->redis.tls);
  s->sentinel = sentinel;
  s->redis = redis;
  s->reads.max = s->writes.max = c->hold_max;
  snprintf(s->session_ttl, sizeof s->session_ttl, "%u", c->session_ttl_s);
  snprintf(s->request_ttl, sizeof s->request_ttl, "%u", c->request_id_ttl_s);
  return true;
}

struct store *store_new(uv_loop_t *loop, const struct config *config, struct tls *tls) {
  struct store *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->loop = loop;
  s->cfg = config;
  hold_init(&s->reads, 0);
  hold_init(&s->writes, 0);
  for (size_t i = 0; i < LANES_MAX; i++) {
    s->lanes[i].s = s;
    hold_init(&s->lanes[i].batch, 0);
  }
  if (uv_random(NULL, NULL, &s->seed, sizeof s->seed, 0, NULL) != 0 || !store_reload(s, tls)) {
    free(s);
    return NULL;
  }
  /* These cannot fail: libuv only fills in the structs. */
  uv_prepare_init(loop, &s->prepare);
  uv_timer_init(loop, &s->tick);
  s->prepare.data = s->tick.data = s;
  uv_prepare_start(&s->prepare, on_prepare);
  uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
  return s;
}

void store_stop(struct store *s) {
  struct hold_item *item;
  if (s->stopped) return;
  s->stopped = true;
  drop(s);
  while ((item = hold_take(&s->reads)) != NULL || (item = hold_take(&s->writes)) != NULL) {
    unavailable((struct store_op *)item, "shutting down");
  }
  sentinel_close(s->sentinel);
  uv_close((uv_handle_t *)&s->prepare, NULL);
  uv_close((uv_handle_t *)&s->tick, NULL);
}

void store_free(struct store *s) {
  if (s == NULL) return;
  tls_free(s->redis.tls);
  free(s);
}
